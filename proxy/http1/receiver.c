/* proxy/http1/receiver.c · SPDX-License-Identifier: Apache-2.0 */
#include "proxy/http1/receiver.h"

void receiver_init(struct receiver *receiver, struct buffer_pool *pool,
                   const struct message_limits *limits)
{
    *receiver = (struct receiver){.pool = pool, .limits = limits};
}

void receiver_retune(struct receiver *receiver, const struct message_limits *limits)
{
    receiver->limits = limits;
}

void receiver_fini(struct receiver *receiver)
{
    buffer_clear(&receiver->in, receiver->pool);
}

static enum receiver_result result_of(enum status status)
{
    switch (status) {
    case STATUS_OK:
        return RECEIVER_MOVED;
    case STATUS_AGAIN:
        return RECEIVER_WAITS;
    case STATUS_END:
        return RECEIVER_ENDED;
    case STATUS_PEER:
    case STATUS_REFUSED:
    case STATUS_BROKEN:
    case STATUS_NOMEM:
    case STATUS_SYS:
        break;
    }
    return RECEIVER_BROKEN;
}

enum receiver_result receiver_fill(struct receiver *receiver, struct stream *stream, size_t room,
                                   enum fault_code *fault)
{
    if (!stream_has_input(stream)) {
        return RECEIVER_WAITS; /* asked after each exchange: not worth a block */
    }
    enum { ROOM_LEAST = 512 }; /* a head that trickles does not need a larger block each time */
    bool has_room = !receiver_is_empty(receiver) && buffer_room(&receiver->in) >= ROOM_LEAST;
    if (!has_room && !buffer_reserve(&receiver->in, receiver->pool, room)) {
        *fault = FAULT_LIMIT_MEMORY;
        return RECEIVER_FAULT;
    }
    size_t moved = 0;
    enum status status =
        stream_read(stream, buffer_room_at(&receiver->in), buffer_room(&receiver->in), &moved);
    buffer_commit(&receiver->in, moved);
    if (buffer_is_empty(&receiver->in)) {
        buffer_clear(&receiver->in, receiver->pool);
    }
    return result_of(status);
}

void receiver_expect_head(struct receiver *receiver, enum http1_section section)
{
    receiver->chunked = NULL;
    http1_head_scan_init(&receiver->scan, section);
}

enum receiver_result receiver_head(struct receiver *receiver, struct stream *stream, size_t room,
                                   size_t *head_len, enum fault_code *fault)
{
    if (receiver_is_empty(receiver)) {
        enum receiver_result filled = receiver_fill(receiver, stream, room, fault);
        if (filled != RECEIVER_MOVED) {
            return filled;
        }
    }
    for (;;) {
        enum status status = http1_head_scan(&receiver->scan, buffer_bytes(&receiver->in),
                                             receiver->limits, head_len, fault);
        if (status == STATUS_OK) {
            return RECEIVER_MOVED;
        }
        if (status != STATUS_AGAIN) {
            return RECEIVER_FAULT;
        }
        enum receiver_result filled = receiver_fill(receiver, stream, room, fault);
        if (filled != RECEIVER_MOVED) {
            return filled;
        }
    }
}

slice receiver_take_head(struct receiver *receiver, struct arena *arena, size_t head_len)
{
    slice head = arena_copy(arena, slice_first(buffer_bytes(&receiver->in), head_len));
    buffer_consume(&receiver->in, receiver->pool, head_len);
    http1_head_scan_init(&receiver->scan, receiver->scan.section);
    return head;
}

enum status receiver_expect_body(struct receiver *receiver, const struct framing *framing,
                                 uint64_t body_limit, struct arena *arena)
{
    receiver->framing = *framing;
    receiver->body_limit = body_limit;
    receiver->chunked = NULL;
    if (framing->kind != FRAMING_STREAMED) {
        return STATUS_OK;
    }
    receiver->chunked = arena_take(arena, sizeof(*receiver->chunked));
    if (receiver->chunked == NULL) {
        return STATUS_NOMEM;
    }
    chunked_init(receiver->chunked, arena, receiver->limits);
    return STATUS_OK;
}

/* Bytes without framing of their own: a known length, until the conn ends, or a tunnel. */
static enum receiver_result move_raw(struct receiver *receiver, struct stream *stream,
                                     struct body *body, char *at, size_t room)
{
    bool has_length = receiver->framing.kind == FRAMING_LENGTH;
    uint64_t left = has_length ? receiver->framing.length - body->moved_in : room;
    size_t allowed = left < room ? (size_t)left : room;
    size_t moved = 0;
    enum status status = STATUS_OK;
    if (!receiver_is_empty(receiver)) {
        slice held = buffer_bytes(&receiver->in);
        moved = held.len < allowed ? held.len : allowed;
        memcpy(at, held.at, moved);
        buffer_consume(&receiver->in, receiver->pool, moved);
    } else {
        status = stream_read(stream, at, allowed, &moved);
    }
    body_filled(body, moved);
    if (has_length && body->moved_in == receiver->framing.length) {
        body_end(body);
        return RECEIVER_COMPLETE;
    }
    if (status == STATUS_END && !has_length) {
        body_end(body);
        return RECEIVER_COMPLETE;
    }
    return result_of(status);
}

static enum receiver_result move_chunked(struct receiver *receiver, struct stream *stream,
                                         struct body *body, char *at, size_t room,
                                         enum fault_code *fault)
{
    if (receiver_is_empty(receiver)) {
        enum receiver_result filled = receiver_fill(receiver, stream, BUFFER_RECORD_BYTES, fault);
        if (filled != RECEIVER_MOVED) {
            body_filled(body, 0);
            return filled;
        }
    }
    size_t consumed = 0;
    size_t produced = 0;
    enum status status = chunked_decode(receiver->chunked, buffer_bytes(&receiver->in), &consumed,
                                        at, room, &produced, fault);
    buffer_consume(&receiver->in, receiver->pool, consumed);
    body_filled(body, produced);
    if (receiver->body_limit > 0 && body->moved_in > receiver->body_limit) {
        *fault = FAULT_LIMIT_BODY_BYTES;
        return RECEIVER_FAULT;
    }
    if (status == STATUS_END) {
        body->trailers =
            receiver->chunked->trailers.count > 0 ? &receiver->chunked->trailers : NULL;
        body_end(body);
        return RECEIVER_COMPLETE;
    }
    return status == STATUS_AGAIN ? RECEIVER_MOVED : RECEIVER_FAULT;
}

enum receiver_result receiver_body(struct receiver *receiver, struct stream *stream,
                                   struct body *body, enum fault_code *fault)
{
    size_t room = 0;
    char *at = body_room(body, &room);
    if (at == NULL && room == SIZE_MAX) {
        *fault = FAULT_LIMIT_MEMORY;
        return RECEIVER_FAULT;
    }
    if (at == NULL) {
        return RECEIVER_WAITS;
    }
    return receiver->chunked != NULL ? move_chunked(receiver, stream, body, at, room, fault)
                                     : move_raw(receiver, stream, body, at, room);
}
