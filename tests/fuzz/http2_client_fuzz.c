/* tests/fuzz/http2_client_fuzz.c
 *
 * A server's bytes, in pieces, on a conn of HTTP/2 that carries four requests: without a body, with
 * one, HEAD, and a WebSocket; see http2_stage.h.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "proxy/http2/client.h"

#include "tests/fuzz/http2_stage.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len);

static void on_room(void *self, bool is_idle)
{
    (void)is_idle;
    assert_always(!((struct stage *)self)->is_closed);
}

static void on_closed(void *self)
{
    struct stage *stage = self;
    assert_always(!stage->is_closed);
    stage->is_closed = true;
}

static const struct client_settings settings = {
    .limits = {.header_bytes = 2048, .header_count = 32, .uri_bytes = 512},
};

static const struct message requests[] = {
    {.method = METHOD_GET, .method_name = {"GET", 3}},
    {.method = METHOD_POST, .method_name = {"POST", 4}, .framing = {.kind = FRAMING_STREAMED}},
    {.method = METHOD_HEAD, .method_name = {"HEAD", 4}},
    {.method = METHOD_GET, .method_name = {"GET", 3}, .upgrade = {"websocket", 9}},
};

static struct staged *make_request(struct stage *stage, const struct message *request)
{
    struct staged *staged = stage_open_exchange(stage);
    struct exchange *exchange = &staged->exchange;
    *exchange->request = *request;
    exchange->request->scheme = SLICE("https");
    exchange->request->authority = SLICE("h");
    exchange->request->path = SLICE("/");
    if (request->framing.kind == FRAMING_STREAMED) {
        staged_put(staged, &exchange->request_body);
    } else if (request->upgrade.len == 0) {
        body_end(&exchange->request_body);
    }
    return staged;
}

static void ask(struct stage *stage, struct client_codec *codec)
{
    for (size_t i = 0; i < sizeof(requests) / sizeof(requests[0]); i++) {
        if (stage->is_closed || !codec->calls->has_room(codec)) {
            return;
        }
        struct requester *requester = codec->calls->requester(codec);
        assert_always(requester != NULL);
        struct staged *staged = make_request(stage, &requests[i]);
        requester->calls->request(requester, &staged->exchange);
    }
}

static size_t write_input(const struct stage *stage, const uint8_t *in, size_t len, uint8_t *out)
{
    if ((stage->habits & STAGE_IS_RAW) == 0) {
        return stage_write_frames(in, len, out, STAGE_ROOM);
    }
    len = len < STAGE_ROOM ? len : STAGE_ROOM;
    memcpy(out, in, len);
    return len;
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
    static struct stage stage;
    static uint8_t input[STAGE_ROOM];
    if (len < 2) {
        return 0;
    }
    stage_init(&stage);
    stage.habits = bytes[0];
    const struct client_codec_start start = {
        .loop = stage.loop,
        .settings = &settings,
        .on_room = on_room,
        .on_closed = on_closed,
        .self = &stage,
    };
    struct client_codec *codec = http2_client_open(stage_connect(&stage), &start);
    assert_always(codec != NULL);
    ask(&stage, codec);
    stage_turn(&stage);
    stage_send(&stage, input, write_input(&stage, bytes + 2, len - 2, input), bytes[1]);
    if (!stage.is_closed) {
        stage_take_all(&stage);
    }
    if (!stage.is_closed && (stage.habits & STAGE_DRAINS) != 0) {
        codec->calls->close(codec);
    }
    stage_hang_up(&stage);
    stage_turn(&stage);
    assert_always(stage.is_closed);
    assert_always(stage.running == 0);
    return 0;
}
