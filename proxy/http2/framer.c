/* proxy/http2/framer.c · SPDX-License-Identifier: Apache-2.0 */
#include "proxy/http2/framer.h"

#include <stdlib.h>

#include "proxy/http2/framer_library.h"
#include "proxy/http2/limits.h"

enum {
    READS_MAX = 16, /* then others have their turn */
    WRITES_MAX = 16,
};

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

/* ---- sending ---- */

bool framer_has_room(const struct framer *framer)
{
    return buffer_len(&framer->out) + FRAMER_DATA_HEADER_BYTES + H2_DATA_BYTES <= H2_GATHER_BYTES;
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
        meter_watch_content(&framer->meter, framer_library_is_closed, framer);
    }
    if (!framer_library_open(framer, start->is_server) ||
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
