/* tests/fuzz/http2_server_fuzz.c
 *
 * A client's bytes, in pieces, on a conn of HTTP/2 with a driver that answers; see http2_stage.h.
 * Whatever comes, the codec keeps its contract with the driver, and everything ends.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "proxy/http2/server.h"

#include "tests/fuzz/http2_stage.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len);

static void on_closed(void *self, enum fault_code fault)
{
    struct stage *stage = self;
    (void)fault;
    assert_always(!stage->is_closed);
    stage->is_closed = true;
}

static struct exchange *open_exchange(void *self, struct responder *responder)
{
    struct staged *staged = stage_open_exchange(self);
    staged->exchange.responder = responder;
    return &staged->exchange;
}

static const struct server_settings settings = {
    .limits = {.header_bytes = 2048, .header_count = 32, .uri_bytes = 512},
    .body_bytes = 200 * 1000,
    .requests_per_conn = 50,
    .streams = 4,
    .connection_buffer_bytes = 128 * 1024,
    .takes_tunnels = true,
};

static size_t write_input(const struct stage *stage, const uint8_t *in, size_t len, uint8_t *out)
{
    static const char greeting[] = HTTP2_PREFACE "\0\0\0\4\0\0\0\0\0";
    if ((stage->habits & STAGE_IS_RAW) != 0) {
        len = len < STAGE_ROOM ? len : STAGE_ROOM;
        memcpy(out, in, len);
        return len;
    }
    memcpy(out, greeting, sizeof(greeting) - 1);
    return sizeof(greeting) - 1 +
           stage_write_frames(in, len, out + sizeof(greeting) - 1, STAGE_ROOM - sizeof(greeting));
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
    const struct server_codec_start start = {
        .loop = stage.loop,
        .settings = &settings,
        .source = {.open = open_exchange, .self = &stage},
        .scheme = SLICE("https"),
        .on_closed = on_closed,
        .self = &stage,
    };
    struct server_codec *codec = http2_server_open(stage_connect(&stage), &start);
    assert_always(codec != NULL);
    stage_send(&stage, input, write_input(&stage, bytes + 2, len - 2, input), bytes[1]);
    if ((stage.habits & STAGE_DRAINS) != 0 && !stage.is_closed) {
        codec->calls->drain(codec);
        stage_turn(&stage);
    }
    if (!stage.is_closed) {
        stage_take_all(&stage);
    }
    if ((stage.habits & STAGE_IS_DEAF) != 0 && !stage.is_closed) {
        codec->calls->close(codec, FAULT_DRAIN_DEADLINE);
    }
    stage_hang_up(&stage);
    stage_turn(&stage);
    assert_always(stage.is_closed);
    assert_always(stage.running == 0);
    return 0;
}
