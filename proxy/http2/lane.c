/* proxy/http2/lane.c · SPDX-License-Identifier: Apache-2.0 */
#include "proxy/http2/lane.h"

#include "proxy/http2/framer.h"
#include "proxy/http2/head.h"
#include "proxy/http2/limits.h"

void lane_open(struct lane *lane, struct framer *framer, int32_t id, struct exchange *exchange,
               void (*reap)(void *self), void *self)
{
    lane->framer = framer;
    lane->id = id;
    lane->exchange = exchange;
    lane->window = framer->stream_window;
    lane->is_closed = false;
    lane->post_reap = (struct loop_post){.run = reap, .self = self};
    list_append(&framer->lanes, &lane->link);
    framer->lane_count++;
}

void lane_note(struct lane *lane, unsigned news)
{
    lane->news |= news;
    if (!list_has(&lane->ready)) {
        list_append(&lane->framer->ready, &lane->ready);
    }
}

/* ---- receiving ---- */

/* The body has room again, at a time of its consumer's. */
static void on_room(void *self)
{
    struct lane *lane = self;
    lane_note(lane, LANE_CONTENT);
    framer_wake(lane->framer);
}

void lane_receive_into(struct lane *lane, struct body *body, const struct framing *framing,
                       uint64_t limit)
{
    lane->in = body;
    lane->is_tunnel = framing->kind == FRAMING_TUNNEL;
    lane->has_length = framing->kind == FRAMING_LENGTH || framing->kind == FRAMING_NONE;
    lane->length = framing->kind == FRAMING_LENGTH ? framing->length : 0;
    lane->limit = limit;
    body_attach_producer(body, on_room, lane);
}

static void bad_content(struct lane *lane, enum fault_code fault)
{
    if (lane->fault == FAULT_NONE) {
        lane->fault = fault;
        lane_note(lane, LANE_BAD);
    }
}

/* Gives the peer back what is of no more concern to us: of the stream's window, and (unless that
 * was given when the bytes came) of the conn's. */
static void credit(struct lane *lane, uint64_t bytes)
{
    struct framer *framer = lane->framer;
    lane->credited += bytes;
    if (!lane->is_closed) {
        (void)nghttp2_session_consume_stream(framer->library, lane->id, (size_t)bytes);
    }
    if (!framer->credits_at_once) {
        (void)nghttp2_session_consume_connection(framer->library, (size_t)bytes);
    }
}

static bool is_above_limit(struct lane *lane, slice bytes)
{
    if (lane->limit == 0) {
        return false;
    }
    return lane->is_grpc ? !grpc_messages_take(&lane->messages, bytes, lane->limit)
                         : lane->received > lane->limit;
}

void lane_take(struct lane *lane, slice bytes)
{
    struct framer *framer = lane->framer;
    lane->received += bytes.len;
    if (framer->credits_at_once) {
        (void)nghttp2_session_consume_connection(framer->library, bytes.len);
    }
    if (lane->in == NULL || lane->fault != FAULT_NONE) {
        credit(lane, bytes.len);
        return;
    }
    if (lane->has_length && lane->received > lane->length) {
        bad_content(lane, FAULT_H2_LENGTH);
        return;
    }
    if (is_above_limit(lane, bytes)) {
        bad_content(lane, FAULT_LIMIT_BODY_BYTES);
        return;
    }
    size_t taken = stash_is_empty(&lane->stash) ? body_put(lane->in, bytes) : 0;
    if (!stash_put(&lane->stash, loop_buffer_pool(framer->loop), slice_from(bytes, taken))) {
        bad_content(lane, FAULT_LIMIT_MEMORY);
        return;
    }
    lane_note(lane, LANE_CONTENT);
}

static void end_body(struct lane *lane)
{
    if (lane->in != NULL && lane->is_in_ended && stash_is_empty(&lane->stash) &&
        lane->fault == FAULT_NONE) {
        body_end(lane->in);
    }
}

void lane_end_in(struct lane *lane)
{
    lane->is_in_ended = true;
    if (lane->in != NULL && lane->has_length && lane->received != lane->length) {
        bad_content(lane, FAULT_H2_LENGTH);
        return;
    }
    end_body(lane);
    lane_note(lane, LANE_CONTENT);
}

/* Half of what the consumer's conn may hold is in use: no more should be on the way to it. */
static bool is_crowded(const struct body *body)
{
    return body->budget != NULL && body->budget->held > body->budget->limit / 2;
}

/* A consumer that has taken all of a whole window was not what the peer had to wait for: more may
 * be on the way, up to the stream's share of the conn. */
static void grow_window(struct lane *lane)
{
    struct framer *framer = lane->framer;
    bool is_due = lane->credited - lane->grown_at >= (uint64_t)lane->window;
    if (!is_due || is_crowded(lane->in) || lane->window >= framer->stream_window_max ||
        lane->is_closed || lane->is_in_ended) {
        return;
    }
    int32_t doubled = lane->window * 2;
    lane->window = doubled < framer->stream_window_max ? doubled : framer->stream_window_max;
    lane->grown_at = lane->credited;
    (void)nghttp2_session_set_local_window_size(framer->library, NGHTTP2_FLAG_NONE, lane->id,
                                                lane->window);
}

static bool move_stash(struct lane *lane)
{
    struct buffer_pool *pool = loop_buffer_pool(lane->framer->loop);
    bool has_moved = false;
    while (!stash_is_empty(&lane->stash)) {
        size_t taken = body_put(lane->in, stash_bytes(&lane->stash));
        if (taken == 0) {
            break;
        }
        stash_take(&lane->stash, pool, taken);
        has_moved = true;
    }
    end_body(lane);
    return has_moved;
}

void lane_offer(struct lane *lane)
{
    do {
        struct body *body = lane->in;
        if (body == NULL) {
            return;
        }
        body_offer(body);
        if (lane->in == NULL) {
            return; /* the consumer ended the exchange */
        }
        if (body->moved_out > lane->credited) {
            credit(lane, body->moved_out - lane->credited);
        }
        if (buffer_is_empty(&body->bytes)) {
            grow_window(lane);
        }
    } while (move_stash(lane));
}

/* ---- sending ---- */

static void on_readable(void *self)
{
    struct lane *lane = self;
    if (lane->is_deferred && !lane->is_closed) {
        lane->is_deferred = false;
        (void)nghttp2_session_resume_data(lane->framer->library, lane->id);
    }
    framer_wake(lane->framer);
}

void lane_send_from(struct lane *lane, struct body *body)
{
    lane->out = body;
    if (lane->framer->budget.limit > 0) {
        body_join_budget(body, &lane->framer->budget);
    }
    body_attach_consumer(body, on_readable, lane);
    on_readable(lane);
}

static bool submit_trailers(struct lane *lane)
{
    struct head trailers;
    return head_of_trailers(lane->out->trailers, &lane->exchange->arena, &trailers) == FAULT_NONE &&
           nghttp2_submit_trailer(lane->framer->library, lane->id, trailers.at, trailers.count) ==
               0;
}

/* How much can go into the next frame. The bytes themselves are framed by frame_data() in
 * framer_library.c. */
static ssize_t read_data(nghttp2_session *library, int32_t id, uint8_t *at, size_t room,
                         uint32_t *flags, nghttp2_data_source *source, void *self)
{
    (void)library;
    (void)id;
    (void)at;
    (void)self;
    struct lane *lane = source->ptr;
    struct body *body = lane->out;
    if (body == NULL && lane->exchange == NULL) {
        return NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE;
    }
    size_t held = body != NULL ? body_bytes(body).len : 0;
    if (held == 0 && (body == NULL || body->state == BODY_OPEN)) {
        lane->is_deferred = true;
        return NGHTTP2_ERR_DEFERRED;
    }
    if (held == 0 && body->state == BODY_CUT) {
        lane_reset(lane, lane_code_of(body->fault));
        return NGHTTP2_ERR_DEFERRED;
    }
    if (!framer_has_room(lane->framer)) {
        return NGHTTP2_ERR_PAUSE;
    }
    size_t len = held < room ? held : room;
    if (crumbs_keep(lane, len)) {
        return NGHTTP2_ERR_DEFERRED;
    }
    *flags |= NGHTTP2_DATA_FLAG_NO_COPY;
    if (len == held && body->state == BODY_ENDED) {
        *flags |= NGHTTP2_DATA_FLAG_EOF;
        if (body->trailers != NULL) {
            *flags |= NGHTTP2_DATA_FLAG_NO_END_STREAM;
            if (!submit_trailers(lane)) {
                return NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE;
            }
        }
    }
    return (ssize_t)len;
}

nghttp2_data_provider lane_provider(struct lane *lane)
{
    return (nghttp2_data_provider){.source = {.ptr = lane}, .read_callback = read_data};
}

/* ---- the end ---- */

struct exchange *lane_let_go(struct lane *lane)
{
    struct exchange *exchange = lane->exchange;
    struct framer *framer = lane->framer;
    lane->exchange = NULL;
    crumbs_forget(lane);
    if (lane->in != NULL) {
        body_detach_producer(lane->in);
        lane->in = NULL;
    }
    if (lane->out != NULL) {
        body_detach_consumer(lane->out);
        body_leave_budget(lane->out);
        lane->out = NULL;
        framer_wake(framer); /* others may have waited for its part of the budget */
    }
    stash_clear(&lane->stash, loop_buffer_pool(framer->loop));
    if (framer->stream != NULL && lane->received > lane->credited) {
        credit(lane, lane->received - lane->credited);
    }
    return exchange;
}

uint32_t lane_code_of(enum fault_code fault)
{
    switch ((unsigned)fault) {
    case FAULT_BACKEND_CANCELLED:
    case FAULT_CLIENT_GONE:
    case FAULT_CLIENT_RESET:
    case FAULT_TIMEOUT_RESPONSE:
    case FAULT_TIMEOUT_TUNNEL:
    case FAULT_DRAIN_DEADLINE:
        return NGHTTP2_CANCEL;
    default:
        return NGHTTP2_INTERNAL_ERROR;
    }
}

void lane_reset(struct lane *lane, uint32_t code)
{
    if (!lane->is_closed && lane->framer->stream != NULL) {
        (void)nghttp2_submit_rst_stream(lane->framer->library, NGHTTP2_FLAG_NONE, lane->id, code);
        framer_wake(lane->framer);
    }
}
