/* proxy/http2/server.c
 *
 * The conn itself: how it begins, waits and ends. Its exchanges are in server_lane.c.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "proxy/http2/server.h"

#include <stdlib.h>

#include "proxy/http2/limits.h"
#include "proxy/http2/server_state.h"

/* ---- the end of the conn ---- */

static void reap(void *self)
{
    struct http2_server *server = self;
    framer_fini(&server->framer);
    free(server);
}

enum ending { ENDING_LINGER, ENDING_CLOSE };

static void end_server(struct http2_server *server, enum ending how, enum fault_code fault)
{
    struct stream *stream = framer_take_stream(&server->framer);
    if (stream == NULL) {
        return;
    }
    deadline_disarm(&server->deadline);
    if (how == ENDING_LINGER) {
        stream_linger(stream);
    } else {
        stream_close(stream);
    }
    bool was_idle = server->framer.lane_count == 0;
    for (struct list_link *link = list_first(&server->framer.lanes); link != NULL;
         link = list_first(&server->framer.lanes)) {
        server_lane_end(LIST_OBJECT(link, struct lane, link),
                        fault != FAULT_NONE ? fault : FAULT_CLIENT_GONE);
    }
    server->start.on_closed(server->start.self, was_idle ? fault : FAULT_NONE);
    loop_post_reap(server->start.loop, &server->post_reap);
}

/* A client that closes a quiet conn has done nothing wrong. */
static void on_over(struct framer *framer, enum fault_code fault)
{
    struct http2_server *server = http2_server_of_framer(framer);
    bool is_peers_end = fault == FAULT_CLIENT_GONE || fault == FAULT_CLIENT_RESET;
    bool was_quiet = framer->lane_count == 0 && !framer->meter.in_block && server->is_greeted;
    if (is_peers_end && stream_failure(framer->stream) == STREAM_RECORD_REFUSED) {
        fault = FAULT_TLS_RECORD;
    }
    end_server(server, is_peers_end ? ENDING_CLOSE : ENDING_LINGER,
               is_peers_end && was_quiet ? FAULT_NONE : fault);
}

static struct http2_server *server_of_codec(struct server_codec *codec)
{
    return LIST_OBJECT(codec, struct http2_server, codec);
}

static void close_now(struct server_codec *codec, enum fault_code fault)
{
    struct http2_server *server = server_of_codec(codec);
    (void)nghttp2_session_terminate_session(server->framer.library, NGHTTP2_NO_ERROR);
    framer_flush_last(&server->framer);
    end_server(server, ENDING_CLOSE, fault);
}

/* RFC 9113 §6.8, the second step. Streams up to the last one go on; then the library is done. */
static void say_last(struct http2_server *server)
{
    if (server->drain == DRAIN_NOTICED) {
        server->drain = DRAIN_LAST;
        (void)nghttp2_submit_goaway(server->framer.library, NGHTTP2_FLAG_NONE,
                                    server->framer.last_id, NGHTTP2_NO_ERROR, NULL, 0);
        framer_wake(&server->framer);
        http2_server_arm(server);
    }
}

void http2_server_drain(struct http2_server *server)
{
    if (server->drain != DRAIN_NONE) {
        return;
    }
    server->drain = DRAIN_NOTICED;
    (void)nghttp2_submit_shutdown_notice(server->framer.library);
    (void)nghttp2_submit_ping(server->framer.library, NGHTTP2_FLAG_NONE, NULL);
    framer_wake(&server->framer);
    http2_server_arm(server);
}

static void drain(struct server_codec *codec)
{
    http2_server_drain(server_of_codec(codec));
}

/* GOAWAY takes nothing from a client that is writing. */
static void wind_down(struct server_codec *codec)
{
    http2_server_drain(server_of_codec(codec));
}

/* What our SETTINGS have told the client is not taken back. */
static void retune(struct server_codec *codec, const struct server_settings *settings)
{
    struct http2_server *server = server_of_codec(codec);
    server->start.settings = settings;
    framer_retune(&server->framer, &settings->limits);
}

static const struct server_codec_calls codec_calls = {
    .drain = drain,
    .wind_down = wind_down,
    .close = close_now,
    .retune = retune,
};

static void on_pong(struct framer *framer)
{
    say_last(http2_server_of_framer(framer));
}

static void on_goaway(struct framer *framer)
{
    (void)framer; /* a client opens no more streams; those that run end as they would have */
}

static void on_settings(struct framer *framer)
{
    http2_server_of_framer(framer)->is_greeted = true;
}

/* ---- deadlines of the conn: a function of its state ---- */

static void on_deadline(void *self)
{
    struct http2_server *server = self;
    struct framer *framer = &server->framer;
    if (server->drain == DRAIN_NOTICED) {
        say_last(server);
        return;
    }
    if (framer->is_failed) {
        end_server(server, ENDING_CLOSE, framer->fault); /* it does not take the GOAWAY either */
        return;
    }
    bool is_late = !server->is_greeted || framer->meter.in_block;
    if (is_late) {
        framer_fail(framer, NGHTTP2_ENHANCE_YOUR_CALM, FAULT_TIMEOUT_HEADER);
        framer_flush_last(framer);
        end_server(server, ENDING_LINGER, FAULT_TIMEOUT_HEADER);
        return;
    }
    if (framer->lane_count == 0 && !server->is_rested) {
        server->is_rested = true;
        framer_rest(framer);
        http2_server_arm(server);
        return;
    }
    if (framer->lane_count == 0) {
        (void)nghttp2_session_terminate_session(framer->library, NGHTTP2_NO_ERROR);
        framer_flush_last(framer);
        end_server(server, ENDING_LINGER, FAULT_TIMEOUT_IDLE);
    }
}

static enum wait wait_of(const struct http2_server *server)
{
    const struct framer *framer = &server->framer;
    if (server->drain == DRAIN_NOTICED) {
        return WAIT_NOTICED;
    }
    if (framer->is_failed) {
        return WAIT_END;
    }
    if (!server->is_greeted) {
        return WAIT_GREETING;
    }
    if (framer->meter.in_block) {
        return WAIT_BLOCK;
    }
    return framer->lane_count == 0 ? WAIT_REQUEST : WAIT_NOTHING;
}

/* First until the conn rests, if that is worth it, then for what is left. */
static uint64_t idle_wait_ms(struct http2_server *server)
{
    uint64_t idle_ms = server->start.settings->idle_ms;
    bool is_long = idle_ms > 2 * H2_REST_MS;
    uint64_t rest_ms = is_long ? H2_REST_MS : 0;
    server->is_rested = server->is_rested || !is_long;
    return server->is_rested ? idle_ms - rest_ms : rest_ms;
}

static uint64_t wait_ms(struct http2_server *server)
{
    const struct server_settings *settings = server->start.settings;
    switch (server->wait) {
    case WAIT_GREETING:
    case WAIT_BLOCK:
    case WAIT_END:
        return settings->header_ms;
    case WAIT_REQUEST:
        return idle_wait_ms(server);
    case WAIT_NOTICED:
        return H2_GOAWAY_MS;
    case WAIT_NOTHING:
    default:
        return 0;
    }
}

void http2_server_arm(struct http2_server *server)
{
    if (server->framer.stream == NULL) {
        return;
    }
    server->wait = wait_of(server);
    server->wait_stream = server->framer.meter.last_stream;
    deadline_arm(&server->deadline, server->start.loop, wait_ms(server), on_deadline, server);
}

/* A deadline that runs is not put off by bytes, only by what they make of the conn. */
static void on_read(struct framer *framer)
{
    struct http2_server *server = http2_server_of_framer(framer);
    enum wait wait = wait_of(server);
    bool is_other_block = wait == WAIT_BLOCK && server->wait_stream != framer->meter.last_stream;
    if (wait != server->wait || is_other_block) {
        http2_server_arm(server);
    }
}

/* ---- birth ---- */

static const struct framer_role role = {
    .open_lane = server_lane_open,
    .parse_head = server_lane_parse_head,
    .on_head = server_lane_on_head,
    .on_bad_content = server_lane_on_bad_content,
    .on_moved = server_lane_on_moved,
    .on_closed = server_lane_on_closed,
    .on_settings = on_settings,
    .on_goaway = on_goaway,
    .on_pong = on_pong,
    .on_read = on_read,
    .on_over = on_over,
};

static enum status init_framer(struct http2_server *server, struct stream *stream)
{
    const struct server_settings *settings = server->start.settings;
    int32_t budget = (int32_t)settings->connection_buffer_bytes;
    const nghttp2_settings_entry entries[] = {
        {NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS, settings->streams},
        {NGHTTP2_SETTINGS_MAX_HEADER_LIST_SIZE, (uint32_t)settings->limits.header_bytes},
        {NGHTTP2_SETTINGS_NO_RFC7540_PRIORITIES, 1},
        {NGHTTP2_SETTINGS_ENABLE_CONNECT_PROTOCOL, 1},
    };
    size_t count = sizeof(entries) / sizeof(entries[0]);
    const struct framer_start start = {
        .role = &role,
        .loop = server->start.loop,
        .limits = &settings->limits,
        .settings = entries,
        .setting_count = settings->takes_tunnels ? count : count - 1,
        .stream_window = H2_WINDOW_DEFAULT,
        .stream_window_max = budget / H2_STREAM_SHARE,
        .conn_window = budget,
        .send_budget = settings->connection_buffer_bytes,
        .is_server = true,
    };
    return framer_init(&server->framer, stream, &start);
}

struct server_codec *http2_server_open(struct stream *stream,
                                       const struct server_codec_start *start)
{
    struct http2_server *server = calloc(1, sizeof(*server));
    if (server == NULL) {
        stream_close(stream);
        return NULL;
    }
    server->codec.calls = &codec_calls;
    server->start = *start;
    server->post_reap = (struct loop_post){.run = reap, .self = server};
    if (init_framer(server, stream) != STATUS_OK) {
        free(server);
        stream_close(stream);
        return NULL;
    }
    http2_server_arm(server);
    framer_read_later(&server->framer);
    return &server->codec;
}
