/* proxy/http2/framer_library.c · SPDX-License-Identifier: Apache-2.0 */
#include "proxy/http2/framer_library.h"

#include <stdlib.h>

#include "proxy/http2/limits.h"

enum {
    RESET_IDS = 128, /* more than streams can be open at once by default */
};

static struct framer *framer_of(void *self)
{
    return self;
}

/* ---- what the library tells ---- */

static struct lane *lane_of(const struct framer *framer, int32_t id)
{
    return nghttp2_session_get_stream_user_data(framer->library, id);
}

static void remember_reset(struct framer *framer, int32_t id)
{
    if (framer->reset_ids == NULL) {
        framer->reset_ids = calloc(RESET_IDS, sizeof(*framer->reset_ids));
    }
    if (framer->reset_ids != NULL) {
        framer->reset_ids[framer->reset_next++ % RESET_IDS] = id;
    }
}

static bool was_reset(const struct framer *framer, int32_t id)
{
    for (size_t i = 0; framer->reset_ids != NULL && i < RESET_IDS; i++) {
        if (framer->reset_ids[i] == id) {
            return true;
        }
    }
    return false;
}

bool framer_library_is_closed(const void *self, uint32_t stream)
{
    const struct framer *framer = self;
    int32_t id = (int32_t)stream;
    return id <= framer->last_id && id % 2 != 0 && lane_of(framer, id) == NULL &&
           !was_reset(framer, id);
}

static int on_begin_frame(nghttp2_session *library, const nghttp2_frame_hd *frame, void *self)
{
    (void)library;
    struct framer *framer = framer_of(self);
    if (!framer->is_server || frame->type != NGHTTP2_HEADERS ||
        !framer_library_is_closed(framer, (uint32_t)frame->stream_id)) {
        return 0;
    }
    framer_fail(framer, NGHTTP2_STREAM_CLOSED, FAULT_H2_PROTOCOL);
    return NGHTTP2_ERR_CALLBACK_FAILURE;
}

static int on_begin_headers(nghttp2_session *library, const nghttp2_frame *frame, void *self)
{
    struct framer *framer = framer_of(self);
    int32_t id = frame->hd.stream_id;
    struct lane *lane = lane_of(framer, id);
    bool is_new = frame->headers.cat == NGHTTP2_HCAT_REQUEST;
    if (is_new) {
        framer->last_id = id;
        lane = framer->role->open_lane(framer, id);
        if (lane == NULL) {
            (void)nghttp2_submit_rst_stream(library, NGHTTP2_FLAG_NONE, id, NGHTTP2_REFUSED_STREAM);
        }
        (void)nghttp2_session_set_stream_user_data(library, id, lane);
    }
    bool is_wanted = lane != NULL && lane->exchange != NULL;
    framer->block_lane = is_wanted ? lane : NULL;
    block_begin(&framer->block, is_wanted ? &lane->exchange->arena : NULL, framer->limits,
                is_wanted && lane->has_head);
    return 0;
}

static int on_header(nghttp2_session *library, const nghttp2_frame *frame, const uint8_t *name,
                     size_t name_len, const uint8_t *value, size_t value_len, uint8_t flags,
                     void *self)
{
    (void)library;
    (void)frame;
    (void)flags;
    struct framer *framer = framer_of(self);
    if (block_add(&framer->block, (slice){(const char *)name, name_len},
                  (slice){(const char *)value, value_len})) {
        return 0;
    }
    framer_fail(framer, NGHTTP2_ENHANCE_YOUR_CALM, FAULT_LIMIT_HEADER_BYTES);
    return NGHTTP2_ERR_CALLBACK_FAILURE;
}

/* RFC 9113 §8.1: trailers end the message; §8.5: a tunnel has none. */
static void take_trailers(struct lane *lane, struct block *block, bool is_last)
{
    if (lane->in == NULL || lane->fault != FAULT_NONE) {
        return;
    }
    enum fault_code fault = is_last && !lane->is_tunnel
                                ? block_to_trailers(block, &lane->in->trailers)
                                : FAULT_H2_TRAILER;
    if (fault != FAULT_NONE) {
        lane->fault = fault;
        lane_note(lane, LANE_BAD);
    }
}

static void end_block(struct framer *framer, bool is_last)
{
    struct lane *lane = framer->block_lane;
    framer->block_lane = NULL;
    if (lane == NULL || lane->exchange == NULL) {
        return;
    }
    if (lane->has_head) {
        take_trailers(lane, &framer->block, is_last);
    } else {
        framer->role->parse_head(lane, &framer->block, is_last);
    }
    if (is_last) {
        lane_end_in(lane);
    }
}

static int on_frame(nghttp2_session *library, const nghttp2_frame *frame, void *self)
{
    (void)library;
    struct framer *framer = framer_of(self);
    bool is_last = (frame->hd.flags & NGHTTP2_FLAG_END_STREAM) != 0;
    bool is_ack = (frame->hd.flags & NGHTTP2_FLAG_ACK) != 0;
    struct lane *lane = NULL;
    switch (frame->hd.type) {
    case NGHTTP2_HEADERS:
        end_block(framer, is_last);
        break;
    case NGHTTP2_DATA:
        lane = is_last ? lane_of(framer, frame->hd.stream_id) : NULL;
        if (lane != NULL) {
            lane_end_in(lane);
        }
        break;
    case NGHTTP2_RST_STREAM:
        if (framer->is_server) {
            meter_charge_reset(&framer->meter);
        }
        break;
    case NGHTTP2_WINDOW_UPDATE:
        crumbs_window_opened(framer, frame->hd.stream_id);
        break;
    case NGHTTP2_SETTINGS:
        if (!is_ack) {
            crumbs_settings_came(framer);
            framer->role->on_settings(framer);
        }
        break;
    case NGHTTP2_PING:
        if (is_ack) {
            framer->role->on_pong(framer);
        }
        break;
    case NGHTTP2_GOAWAY:
        framer->role->on_goaway(framer);
        break;
    default:
        break;
    }
    return 0;
}

static int on_data(nghttp2_session *library, uint8_t flags, int32_t id, const uint8_t *at,
                   size_t len, void *self)
{
    (void)flags;
    struct framer *framer = framer_of(self);
    struct lane *lane = lane_of(framer, id);
    if (lane == NULL) {
        (void)nghttp2_session_consume(library, id, len);
        return 0;
    }
    lane_take(lane, (slice){(const char *)at, len});
    return 0;
}

static int on_stream_close(nghttp2_session *library, int32_t id, uint32_t code, void *self)
{
    (void)library;
    struct framer *framer = framer_of(self);
    struct lane *lane = lane_of(framer, id);
    if (lane != NULL) {
        lane->is_closed = true;
        lane->code = code;
        crumbs_forget(lane);
        lane_note(lane, LANE_CLOSED);
    }
    return 0;
}

static int on_invalid_frame(nghttp2_session *library, const nghttp2_frame *frame, int code,
                            void *self)
{
    (void)library;
    (void)frame;
    (void)code;
    struct framer *framer = framer_of(self);
    /* A peer can have streams reset by us as well as by itself. */
    meter_charge_reset(&framer->meter);
    return 0;
}

static int on_frame_sent(nghttp2_session *library, const nghttp2_frame *frame, void *self)
{
    (void)library;
    struct framer *framer = framer_of(self);
    if (frame->hd.type == NGHTTP2_RST_STREAM) {
        remember_reset(framer, frame->hd.stream_id);
        /* Content beyond a window, for which the library resets without telling anybody. Nobody
         * sends it by mistake, and its bytes would pay for any number of resets. */
        if (framer->is_server && frame->rst_stream.error_code == NGHTTP2_FLOW_CONTROL_ERROR) {
            framer_fail(framer, NGHTTP2_FLOW_CONTROL_ERROR, FAULT_H2_PROTOCOL);
            framer_read_later(framer);
        }
        return 0;
    }
    if (frame->hd.type == NGHTTP2_GOAWAY && frame->goaway.error_code != NGHTTP2_NO_ERROR &&
        framer->fault == FAULT_NONE) {
        framer->fault = FAULT_H2_PROTOCOL; /* the library has found it out by itself */
    }
    bool is_lanes = frame->hd.type == NGHTTP2_DATA || frame->hd.type == NGHTTP2_HEADERS;
    struct lane *lane = is_lanes ? lane_of(framer, frame->hd.stream_id) : NULL;
    if (lane == NULL) {
        return 0;
    }
    lane->is_begun = true;
    if ((frame->hd.flags & NGHTTP2_FLAG_END_STREAM) != 0) {
        lane->is_sent = true;
        lane_note(lane, LANE_SENT);
    }
    return 0;
}

/* ---- what the library asks for ---- */

static int frame_data(nghttp2_session *library, nghttp2_frame *frame, const uint8_t *header,
                      size_t len, nghttp2_data_source *source, void *self)
{
    (void)library;
    (void)frame;
    struct framer *framer = framer_of(self);
    struct lane *lane = source->ptr;
    struct buffer_pool *pool = loop_buffer_pool(framer->loop);
    if (lane->out == NULL) {
        return NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE; /* let go since the frame was begun */
    }
    slice bytes = slice_first(body_bytes(lane->out), len);
    if (!buffer_reserve(&framer->out, pool, FRAMER_DATA_HEADER_BYTES + len)) {
        return NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE;
    }
    (void)buffer_append(&framer->out, pool,
                        (slice){(const char *)header, FRAMER_DATA_HEADER_BYTES});
    (void)buffer_append(&framer->out, pool, bytes);
    if (len > 0) {
        bool is_crumb = len < H2_CRUMB_BYTES && len < body_bytes(lane->out).len;
        body_take(lane->out, len);
        meter_pay(&framer->meter, is_crumb ? len : H2_CRUMB_BYTES);
        lane_note(lane, LANE_TOOK);
    }
    return 0;
}

static ssize_t frame_limit(nghttp2_session *library, uint8_t type, int32_t id, int32_t conn_window,
                           int32_t stream_window, uint32_t frame_max, void *self)
{
    (void)library;
    (void)type;
    (void)id;
    struct framer *framer = framer_of(self);
    uint32_t most = frame_max < H2_DATA_BYTES ? frame_max : H2_DATA_BYTES;
    return crumbs_frame_limit(&framer->crumbs, conn_window, stream_window, (int32_t)most);
}

/* ---- birth ---- */

static nghttp2_session_callbacks *make_callbacks(void)
{
    nghttp2_session_callbacks *calls = NULL;
    if (nghttp2_session_callbacks_new(&calls) != 0) {
        return NULL;
    }
    nghttp2_session_callbacks_set_on_begin_frame_callback(calls, on_begin_frame);
    nghttp2_session_callbacks_set_on_begin_headers_callback(calls, on_begin_headers);
    nghttp2_session_callbacks_set_on_header_callback(calls, on_header);
    nghttp2_session_callbacks_set_on_frame_recv_callback(calls, on_frame);
    nghttp2_session_callbacks_set_on_data_chunk_recv_callback(calls, on_data);
    nghttp2_session_callbacks_set_on_stream_close_callback(calls, on_stream_close);
    nghttp2_session_callbacks_set_on_invalid_frame_recv_callback(calls, on_invalid_frame);
    nghttp2_session_callbacks_set_on_frame_send_callback(calls, on_frame_sent);
    nghttp2_session_callbacks_set_send_data_callback(calls, frame_data);
    nghttp2_session_callbacks_set_data_source_read_length_callback(calls, frame_limit);
    return calls;
}

static nghttp2_option *make_option(void)
{
    nghttp2_option *option = NULL;
    if (nghttp2_option_new(&option) != 0) {
        return NULL;
    }
    nghttp2_option_set_no_auto_window_update(option, 1);
    nghttp2_option_set_no_http_messaging(option, 1);
    nghttp2_option_set_no_closed_streams(option, 1);
    nghttp2_option_set_max_outbound_ack(option, H2_ANSWERS_MAX);
    nghttp2_option_set_builtin_recv_extension_type(option, NGHTTP2_PRIORITY_UPDATE);
    nghttp2_option_set_peer_max_concurrent_streams(option, H2_SERVER_STREAMS);
    return option;
}

bool framer_library_open(struct framer *framer, bool is_server)
{
    nghttp2_session_callbacks *calls = make_callbacks();
    nghttp2_option *option = make_option();
    framer->memory.pool = loop_small_pool(framer->loop);
    nghttp2_mem memory = memory_calls(&framer->memory);
    int error = NGHTTP2_ERR_NOMEM;
    if (calls != NULL && option != NULL) {
        error = is_server
                    ? nghttp2_session_server_new3(&framer->library, calls, framer, option, &memory)
                    : nghttp2_session_client_new3(&framer->library, calls, framer, option, &memory);
    }
    nghttp2_session_callbacks_del(calls);
    nghttp2_option_del(option);
    return error == 0;
}
