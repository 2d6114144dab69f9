/* proxy/http2/framer.c · SPDX-License-Identifier: Apache-2.0 */
#include "proxy/http2/framer.h"

#include <stdlib.h>

#include "proxy/http2/limits.h"

enum {
    READS_MAX = 16, /* then others have their turn */
    WRITES_MAX = 16,
    RESET_IDS = 128, /* more than streams can be open at once by default */
    DATA_HEADER_BYTES = 9,
};

static struct framer *framer_of(void *self)
{
    return self;
}

/* ---- the end ---- */

static void over(struct framer *framer, enum fault_code fault)
{
    if (framer->is_over) {
        return;
    }
    framer->is_over = true;
    framer_flush_last(framer);
    framer->role->on_over(framer, framer->fault != FAULT_NONE ? framer->fault : fault);
}

void framer_fail(struct framer *framer, uint32_t code, enum fault_code fault)
{
    if (framer->is_failed) {
        return;
    }
    framer->is_failed = true;
    framer->fault = fault;
    (void)nghttp2_session_terminate_session2(framer->library, framer->last_id, code);
    framer_wake(framer);
}

/* ---- lanes that have something to tell ---- */

static void settle_lane(struct lane *lane)
{
    const struct framer_role *role = lane->framer->role;
    unsigned news = lane->news;
    lane->news = 0;
    /* A request that was taken back before anybody heard of it costs no backend anything. */
    bool was_taken_back = (news & LANE_CLOSED) != 0 && lane->framer->is_server;
    if ((news & LANE_HEAD) != 0 && lane->exchange != NULL && !was_taken_back) {
        role->on_head(lane);
    }
    if ((news & LANE_CONTENT) != 0) {
        lane_offer(lane);
    }
    if ((news & LANE_BAD) != 0 && lane->exchange != NULL) {
        role->on_bad_content(lane);
    }
    if ((news & LANE_TOOK) != 0 && lane->out != NULL) {
        body_made_room(lane->out);
    }
    if ((news & (LANE_CONTENT | LANE_SENT)) != 0 && lane->exchange != NULL) {
        role->on_moved(lane);
    }
    if ((news & LANE_CLOSED) != 0) {
        role->on_closed(lane);
    }
}

/* Telling one lane can make news for others; each is told of once in a row. */
static void settle(struct framer *framer)
{
    if (framer->is_settling) {
        return;
    }
    framer->is_settling = true;
    for (struct list_link *link = list_first(&framer->ready); link != NULL && !framer->is_over;
         link = list_first(&framer->ready)) {
        list_remove(link);
        settle_lane(LIST_OBJECT(link, struct lane, ready));
    }
    framer->is_settling = false;
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

/* RFC 9113 §5.1: on a stream that has ended only PRIORITY, WINDOW_UPDATE and RST_STREAM may come;
 * on one that we reset, the peer's frames may still have been on the way. The library lets all of
 * them pass. */
static bool is_closed(const void *self, uint32_t stream)
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
        !is_closed(framer, (uint32_t)frame->stream_id)) {
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

/* ---- sending ---- */

bool framer_has_room(const struct framer *framer)
{
    return buffer_len(&framer->out) + DATA_HEADER_BYTES + H2_DATA_BYTES <= H2_GATHER_BYTES;
}

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
    if (!buffer_reserve(&framer->out, pool, DATA_HEADER_BYTES + len)) {
        return NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE;
    }
    (void)buffer_append(&framer->out, pool, (slice){(const char *)header, DATA_HEADER_BYTES});
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

/* Lets the library make frames until enough are gathered. False: it cannot go on. */
static bool gather(struct framer *framer)
{
    struct buffer_pool *pool = loop_buffer_pool(framer->loop);
    while (buffer_len(&framer->out) < H2_GATHER_BYTES) {
        const uint8_t *at = NULL;
        ssize_t len = nghttp2_session_mem_send(framer->library, &at);
        if (len < 0 || (len > 0 && !buffer_append(&framer->out, pool,
                                                  (slice){(const char *)at, (size_t)len}))) {
            framer->fault = FAULT_LIMIT_MEMORY;
            return false;
        }
        if (len == 0) {
            return true;
        }
    }
    return true;
}

/* STATUS_AGAIN: on_writable follows. */
static enum status write_out(struct framer *framer)
{
    if (buffer_is_empty(&framer->out)) {
        return STATUS_OK;
    }
    size_t taken = 0;
    enum status status = stream_write(framer->stream, buffer_bytes(&framer->out), &taken);
    if (taken > 0) {
        buffer_consume(&framer->out, loop_buffer_pool(framer->loop), taken);
    }
    return status;
}

static bool is_done(const struct framer *framer)
{
    return buffer_is_empty(&framer->out) && nghttp2_session_want_read(framer->library) == 0 &&
           nghttp2_session_want_write(framer->library) == 0;
}

/* Whoever was refused room asks again, now that there is some. */
static void share_budget(struct framer *framer)
{
    struct body_budget *budget = &framer->budget;
    if (!budget->has_refused || budget->held >= budget->limit) {
        return;
    }
    budget->has_refused = false;
    for (struct list_link *link = framer->lanes.head.next; link != &framer->lanes.head;
         link = link->next) {
        struct lane *lane = LIST_OBJECT(link, struct lane, link);
        if (lane->out != NULL && lane->out->is_refused) {
            lane_note(lane, LANE_TOOK);
        }
    }
}

static void flush(void *self)
{
    struct framer *framer = self;
    share_budget(framer);
    settle(framer);
    for (int round = 0; round < WRITES_MAX && !framer->is_over; round++) {
        if (!gather(framer)) {
            over(framer, FAULT_LIMIT_MEMORY);
            return;
        }
        bool was_empty = buffer_is_empty(&framer->out);
        enum status status = write_out(framer);
        share_budget(framer);
        settle(framer);
        if (framer->is_over || status == STATUS_AGAIN) {
            return;
        }
        if (status != STATUS_OK) {
            over(framer, FAULT_CLIENT_RESET);
            return;
        }
        if (was_empty) {
            if (is_done(framer)) {
                over(framer, FAULT_NONE);
            }
            return;
        }
    }
    if (!framer->is_over) {
        loop_post_next_turn(framer->loop, &framer->post_flush);
    }
}

void framer_flush_last(struct framer *framer)
{
    if (framer->stream == NULL) {
        return;
    }
    for (int round = 0; round < WRITES_MAX; round++) {
        if (!gather(framer) || buffer_is_empty(&framer->out) || write_out(framer) != STATUS_OK) {
            return;
        }
    }
}

void framer_wake(struct framer *framer)
{
    if (framer->stream != NULL) {
        loop_post(framer->loop, &framer->post_flush);
    }
}

/* ---- receiving ---- */

/* A conn that brings much is read in large pieces, as a body is. */
static void adapt_wish(struct framer *framer, size_t moved, size_t room)
{
    if (moved == room) {
        framer->wish = framer->wish < BUFFER_BULK_BYTES ? BUFFER_BULK_BYTES : BUFFER_LARGE_BYTES;
    } else if (moved < BUFFER_SMALL_BYTES) {
        framer->wish = BUFFER_SMALL_BYTES;
    } else if (moved < BUFFER_RECORD_BYTES) {
        framer->wish = BUFFER_RECORD_BYTES;
    }
}

/* True: more may be there. */
static bool read_once(struct framer *framer, struct buffer *in)
{
    size_t moved = 0;
    size_t room = buffer_room(in);
    enum status status = stream_read(framer->stream, buffer_room_at(in), room, &moved);
    if (status == STATUS_AGAIN) {
        return false;
    }
    if (status != STATUS_OK) {
        over(framer, status == STATUS_END ? FAULT_CLIENT_GONE : FAULT_CLIENT_RESET);
        return false;
    }
    adapt_wish(framer, moved, room);
    framer->read_at_ms = loop_now_ms(framer->loop);
    slice bytes = {buffer_room_at(in), moved};
    enum fault_code fault = meter_take(&framer->meter, bytes, framer->read_at_ms);
    if (fault != FAULT_NONE) {
        bool is_flood = fault == FAULT_H2_FLOOD;
        framer_fail(framer, is_flood ? NGHTTP2_ENHANCE_YOUR_CALM : NGHTTP2_STREAM_CLOSED, fault);
        return false;
    }
    ssize_t taken = nghttp2_session_mem_recv(framer->library, (const uint8_t *)bytes.at, bytes.len);
    if (taken < 0 && !framer->is_failed) {
        bool is_flood = taken == NGHTTP2_ERR_FLOODED;
        bool is_memory = taken == NGHTTP2_ERR_NOMEM;
        framer_fail(framer,
                    is_flood || is_memory ? NGHTTP2_ENHANCE_YOUR_CALM : NGHTTP2_PROTOCOL_ERROR,
                    is_flood    ? FAULT_H2_FLOOD
                    : is_memory ? FAULT_LIMIT_MEMORY
                                : FAULT_H2_PROTOCOL);
    } else if (taken >= 0 && !meter_is_patient(&framer->meter)) {
        framer_fail(framer, NGHTTP2_ENHANCE_YOUR_CALM, FAULT_H2_FLOOD);
    }
    return !framer->is_failed;
}

static void read_all(void *self)
{
    struct framer *framer = self;
    struct buffer_pool *pool = loop_buffer_pool(framer->loop);
    struct buffer in = {0};
    int reads = 0;
    bool has_more = true;
    while (has_more && !framer->is_over && !framer->is_failed && reads < READS_MAX) {
        if (!buffer_reserve(&in, pool, framer->wish)) {
            over(framer, FAULT_LIMIT_MEMORY);
            break;
        }
        has_more = read_once(framer, &in);
        reads++;
        settle(framer);
    }
    buffer_clear(&in, pool);
    if (framer->is_over) {
        return;
    }
    if (has_more && reads == READS_MAX) {
        loop_post_next_turn(framer->loop, &framer->post_read);
    }
    framer->role->on_read(framer);
    framer_wake(framer);
}

void framer_rest(struct framer *framer)
{
    if (framer->lane_count == 0 && buffer_is_empty(&framer->out) &&
        nghttp2_session_want_write(framer->library) == 0) {
        memory_rest(&framer->memory);
    }
}

void framer_read_later(struct framer *framer)
{
    loop_post(framer->loop, &framer->post_read);
}

static void on_writable(void *self)
{
    flush(self);
}

static void on_failed(void *self, enum stream_failure failure)
{
    (void)failure;
    over(self, FAULT_CLIENT_RESET);
}

static const struct stream_events stream_events = {
    .on_readable = read_all,
    .on_writable = on_writable,
    .on_failed = on_failed,
};

/* ---- birth and end ---- */

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

static bool open_library(struct framer *framer, const struct framer_start *start)
{
    nghttp2_session_callbacks *calls = make_callbacks();
    nghttp2_option *option = make_option();
    framer->memory.pool = loop_small_pool(framer->loop);
    nghttp2_mem memory = memory_calls(&framer->memory);
    int error = NGHTTP2_ERR_NOMEM;
    if (calls != NULL && option != NULL) {
        error = start->is_server
                    ? nghttp2_session_server_new3(&framer->library, calls, framer, option, &memory)
                    : nghttp2_session_client_new3(&framer->library, calls, framer, option, &memory);
    }
    nghttp2_session_callbacks_del(calls);
    nghttp2_option_del(option);
    return error == 0;
}

enum status framer_init(struct framer *framer, struct stream *stream,
                        const struct framer_start *start)
{
    *framer = (struct framer){
        .role = start->role,
        .loop = start->loop,
        .limits = start->limits,
        .is_server = start->is_server,
        .credits_at_once = start->credits_at_once,
        .stream_window = start->stream_window,
        .stream_window_max = start->stream_window_max,
        .budget = {.limit = start->send_budget},
        .read_at_ms = loop_now_ms(start->loop),
        .wish = BUFFER_SMALL_BYTES,
    };
    framer->post_flush = (struct loop_post){.run = flush, .self = framer};
    framer->post_read = (struct loop_post){.run = read_all, .self = framer};
    list_init(&framer->lanes);
    list_init(&framer->ready);
    crumbs_init(&framer->crumbs);
    meter_init(&framer->meter, start->is_server, framer->read_at_ms);
    if (start->is_server) {
        meter_watch_content(&framer->meter, is_closed, framer);
    }
    if (!open_library(framer, start) ||
        nghttp2_submit_settings(framer->library, NGHTTP2_FLAG_NONE, start->settings,
                                start->setting_count) != 0 ||
        nghttp2_session_set_local_window_size(framer->library, NGHTTP2_FLAG_NONE, 0,
                                              start->conn_window) != 0) {
        framer_fini(framer);
        return STATUS_NOMEM;
    }
    framer->stream = stream;
    stream_set_owner(stream, &stream_events, framer);
    framer_wake(framer);
    return STATUS_OK;
}

void framer_retune(struct framer *framer, const struct message_limits *limits)
{
    framer->limits = limits;
    framer->block.limits = limits;
}

struct stream *framer_take_stream(struct framer *framer)
{
    struct stream *stream = framer->stream;
    framer->stream = NULL;
    framer->is_over = true;
    crumbs_fini(&framer->crumbs);
    loop_unpost(&framer->post_flush);
    loop_unpost(&framer->post_read);
    buffer_clear(&framer->out, loop_buffer_pool(framer->loop));
    return stream;
}

void framer_fini(struct framer *framer)
{
    nghttp2_session_del(framer->library);
    framer->library = NULL;
    free(framer->reset_ids);
    framer->reset_ids = NULL;
}
