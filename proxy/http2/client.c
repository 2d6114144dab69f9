/* proxy/http2/client.c
 *
 * The conn itself: what room it has, whether it lives, and how it ends. Its exchanges are in
 * client_lane.c.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "proxy/http2/client.h"

#include <stdlib.h>

#include "proxy/http2/client_state.h"
#include "proxy/http2/limits.h"

static struct http2_client *client_of(struct client_codec *codec)
{
    return LIST_OBJECT(codec, struct http2_client, codec);
}

static void arm_ping(struct http2_client *client);

/* ---- room ---- */

static bool has_room(struct client_codec *codec)
{
    struct http2_client *client = client_of(codec);
    nghttp2_session *library = client->framer.library;
    uint32_t most =
        nghttp2_session_get_remote_settings(library, NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS);
    uint32_t bounded = most < H2_SERVER_STREAMS ? most : H2_SERVER_STREAMS;
    return client->framer.stream != NULL && !client->is_leaving && client->lanes < bounded &&
           nghttp2_session_check_request_allowed(library) != 0;
}

/* ---- the end of the conn ---- */

static void reap(void *self)
{
    struct http2_client *client = self;
    framer_fini(&client->framer);
    free(client);
}

static void end_client(struct http2_client *client, enum fault_code fault)
{
    struct stream *stream = framer_take_stream(&client->framer);
    if (stream == NULL) {
        return;
    }
    deadline_disarm(&client->ping);
    stream_close(stream);
    for (struct list_link *link = list_first(&client->waiting); link != NULL;
         link = list_first(&client->waiting)) {
        client_lane_fail(LIST_OBJECT(link, struct client_lane, waiting), fault, FATE_UNSEEN);
    }
    for (struct list_link *link = list_first(&client->framer.lanes); link != NULL;
         link = list_first(&client->framer.lanes)) {
        struct client_lane *asked = LIST_OBJECT(link, struct client_lane, lane.link);
        bool is_cut = asked->is_responded && fault == FAULT_BACKEND_RESET;
        client_lane_fail(asked, is_cut ? FAULT_BACKEND_TRUNCATED : fault, client_lane_fate(asked));
        client_lane_forget(asked);
    }
    client->start.on_closed(client->start.self);
    loop_post_reap(client->start.loop, &client->post_reap);
}

static void close_now(struct client_codec *codec)
{
    struct http2_client *client = client_of(codec);
    if (client->framer.stream != NULL) {
        (void)nghttp2_session_terminate_session(client->framer.library, NGHTTP2_NO_ERROR);
        framer_flush_last(&client->framer);
    }
    end_client(client, FAULT_BACKEND_RESET);
}

static void on_over(struct framer *framer, enum fault_code fault)
{
    bool is_broken =
        fault == FAULT_H2_PROTOCOL || fault == FAULT_H2_FLOOD || fault == FAULT_LIMIT_HEADER_BYTES;
    bool is_ours = fault == FAULT_LIMIT_MEMORY || fault == FAULT_TIMEOUT_RESPONSE;
    end_client(http2_client_of_framer(framer), is_broken ? FAULT_BACKEND_RESPONSE
                                               : is_ours ? fault
                                                         : FAULT_BACKEND_RESET);
}

/* ---- deadlines ---- */

static uint64_t silence_to_ask_ms(const struct http2_client *client)
{
    uint64_t after_ms = client->start.settings->ping_ms;
    bool has_only_answered = client->framer.read_at_ms == client->pong_at_ms;
    bool is_quiet_grpc = client->grpc_lanes > 0 && has_only_answered;
    return is_quiet_grpc && after_ms < H2_GRPC_PING_MS ? H2_GRPC_PING_MS : after_ms;
}

/* A conn that is silent while exchanges wait is asked whether it lives (RFC 9113 §6.7). */
static void on_ping_deadline(void *self)
{
    struct http2_client *client = self;
    struct framer *framer = &client->framer;
    if (client->lanes == 0) {
        return;
    }
    uint64_t silent_ms = loop_now_ms(client->start.loop) - framer->read_at_ms;
    if (silent_ms < client->start.settings->ping_ms) {
        client->is_asked = false;
    } else if (client->is_asked) {
        end_client(client, FAULT_TIMEOUT_RESPONSE);
        return;
    } else if (silent_ms >= silence_to_ask_ms(client)) {
        client->is_asked = true;
        (void)nghttp2_submit_ping(framer->library, NGHTTP2_FLAG_NONE, NULL);
        framer_wake(framer);
    }
    arm_ping(client);
}

static void arm_ping(struct http2_client *client)
{
    uint64_t after_ms = client->lanes > 0 ? client->start.settings->ping_ms : 0;
    deadline_arm(&client->ping, client->start.loop, after_ms, on_ping_deadline, client);
}

void http2_client_watch(struct http2_client *client)
{
    if (!deadline_is_armed(&client->ping)) {
        client->is_asked = false;
        arm_ping(client);
    }
}

/* ---- the conn's news ---- */

static void on_settings(struct framer *framer)
{
    struct http2_client *client = http2_client_of_framer(framer);
    client->has_settings = true;
    framer_wake(framer);
}

static void begin_waiting(struct http2_client *client)
{
    while (client->has_settings && client->framer.stream != NULL) {
        struct list_link *link = list_first(&client->waiting);
        if (link == NULL) {
            return;
        }
        struct client_lane *asked = LIST_OBJECT(link, struct client_lane, waiting);
        list_remove(link);
        client_lane_begin(asked);
    }
}

/* Exchanges above the last id are closed by the library, as refused. */
static void on_goaway(struct framer *framer)
{
    http2_client_of_framer(framer)->is_leaving = true;
}

static void on_pong(struct framer *framer)
{
    struct http2_client *client = http2_client_of_framer(framer);
    client->is_asked = false;
    client->pong_at_ms = framer->read_at_ms;
}

static void on_read(struct framer *framer)
{
    begin_waiting(http2_client_of_framer(framer));
}

static struct lane *open_lane(struct framer *framer, int32_t id)
{
    (void)framer; /* a server opens none: push is off (RFC 9113 §8.4) */
    (void)id;
    return NULL;
}

static const struct framer_role role = {
    .open_lane = open_lane,
    .parse_head = client_lane_parse_head,
    .on_head = client_lane_on_head,
    .on_bad_content = client_lane_on_bad_content,
    .on_moved = client_lane_on_moved,
    .on_closed = client_lane_on_closed,
    .on_settings = on_settings,
    .on_goaway = on_goaway,
    .on_pong = on_pong,
    .on_read = on_read,
    .on_over = on_over,
};

/* ---- birth ---- */

static struct requester *requester(struct client_codec *codec)
{
    return client_lane_new(client_of(codec));
}

static const struct client_codec_calls codec_calls = {
    .has_room = has_room,
    .requester = requester,
    .close = close_now,
    .is_multiplexed = true,
};

struct client_codec *http2_client_open(struct stream *stream,
                                       const struct client_codec_start *start)
{
    struct http2_client *client = calloc(1, sizeof(*client));
    if (client == NULL) {
        stream_close(stream);
        return NULL;
    }
    client->codec.calls = &codec_calls;
    client->start = *start;
    client->post_reap = (struct loop_post){.run = reap, .self = client};
    list_init(&client->waiting);
    const nghttp2_settings_entry entries[] = {
        {NGHTTP2_SETTINGS_ENABLE_PUSH, 0},
        {NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE, H2_SERVER_WINDOW_FIRST},
        {NGHTTP2_SETTINGS_MAX_HEADER_LIST_SIZE, (uint32_t)start->settings->limits.header_bytes},
    };
    const struct framer_start framer_start = {
        .role = &role,
        .loop = start->loop,
        .limits = &client->start.settings->limits,
        .settings = entries,
        .setting_count = sizeof(entries) / sizeof(entries[0]),
        .stream_window = H2_SERVER_WINDOW_FIRST,
        .stream_window_max = H2_SERVER_WINDOW_MOST,
        .conn_window = H2_SERVER_CONN_WINDOW,
        .credits_at_once = true,
    };
    if (framer_init(&client->framer, stream, &framer_start) != STATUS_OK) {
        free(client);
        stream_close(stream);
        return NULL;
    }
    return &client->codec;
}
