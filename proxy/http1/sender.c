/* proxy/http1/sender.c · SPDX-License-Identifier: Apache-2.0 */
#include "proxy/http1/sender.h"

#include "proxy/http1/chunked.h"

enum {
    STAGED_BYTES = 16 * 1024, /* one full TLS record */
    CHUNK_FRAMING_BYTES = CHUNKED_SIZE_LINE_BYTES + 2,
    HEAD_ROOM = 2048, /* enough for most heads at the first try */
};

void sender_init(struct sender *sender, struct buffer_pool *pool)
{
    *sender = (struct sender){.pool = pool};
}

void sender_fini(struct sender *sender)
{
    buffer_clear(&sender->out, sender->pool);
}

/* Writes one kind of head into staged room, asking twice when the first room was too small. */
static enum fault_code stage(struct sender *sender, const struct message *message,
                             const struct http1_sending *sending,
                             enum fault_code (*write)(const struct message *message,
                                                      const struct http1_sending *sending,
                                                      char *out, size_t room, size_t *needed))
{
    size_t needed = HEAD_ROOM;
    for (int attempt = 0; attempt < 2; attempt++) {
        if (!buffer_reserve(&sender->out, sender->pool, needed)) {
            return FAULT_LIMIT_MEMORY;
        }
        size_t room = buffer_room(&sender->out);
        enum fault_code fault =
            write(message, sending, buffer_room_at(&sender->out), room, &needed);
        if (fault != FAULT_NONE) {
            return fault;
        }
        if (needed <= room) {
            buffer_commit(&sender->out, needed);
            return FAULT_NONE;
        }
    }
    return FAULT_INTERNAL;
}

enum fault_code sender_stage_request(struct sender *sender, const struct message *request,
                                     const struct http1_sending *sending)
{
    sender->is_chunked = request->framing.kind == FRAMING_STREAMED;
    sender->is_ended = false;
    sender->has_only_head = true;
    return stage(sender, request, sending, http1_write_request);
}

enum fault_code sender_stage_response(struct sender *sender, const struct message *response,
                                      const struct http1_sending *sending)
{
    sender->is_chunked = http1_response_is_chunked(response, sending);
    sender->is_ended = false;
    sender->has_only_head = true;
    return stage(sender, response, sending, http1_write_response);
}

/* Adds one chunk of what the body holds. False: no room is left in this record. */
static bool stage_chunk(struct sender *sender, struct body *body)
{
    size_t held = buffer_len(&sender->out);
    slice bytes = body_bytes(body);
    if (held + CHUNK_FRAMING_BYTES + 1 > STAGED_BYTES) {
        return false;
    }
    size_t most = STAGED_BYTES - held - CHUNK_FRAMING_BYTES;
    size_t len = bytes.len < most ? bytes.len : most;
    char line[CHUNKED_SIZE_LINE_BYTES];
    size_t line_len = chunked_write_size(line, len);
    if (!buffer_reserve(&sender->out, sender->pool, len + CHUNK_FRAMING_BYTES)) {
        return false;
    }
    (void)buffer_append(&sender->out, sender->pool, (slice){line, line_len});
    (void)buffer_append(&sender->out, sender->pool, slice_first(bytes, len));
    (void)buffer_append(&sender->out, sender->pool, SLICE("\r\n"));
    body_take(body, len);
    sender->has_only_head = false;
    return true;
}

static enum fault_code stage_end(struct sender *sender, const struct body *body)
{
    size_t needed = 64;
    for (int attempt = 0; attempt < 2; attempt++) {
        if (!buffer_reserve(&sender->out, sender->pool, needed)) {
            return FAULT_LIMIT_MEMORY;
        }
        size_t room = buffer_room(&sender->out);
        enum fault_code fault =
            chunked_write_end(body->trailers, buffer_room_at(&sender->out), room, &needed);
        if (fault != FAULT_NONE) {
            return fault;
        }
        if (needed <= room) {
            buffer_commit(&sender->out, needed);
            break;
        }
    }
    sender->is_ended = true;
    sender->has_only_head = false;
    return FAULT_NONE;
}

/* The first bytes of a body join the head that waits for them. */
static void join_head(struct sender *sender, struct body *body)
{
    size_t held = buffer_len(&sender->out);
    slice bytes = body_bytes(body);
    if (held >= STAGED_BYTES || bytes.len == 0) {
        return;
    }
    size_t most = STAGED_BYTES - held;
    size_t len = bytes.len < most ? bytes.len : most;
    if (buffer_append(&sender->out, sender->pool, slice_first(bytes, len))) {
        body_take(body, len);
        sender->has_only_head = false;
    }
}

enum sender_result sender_flush(struct sender *sender, struct stream *stream)
{
    while (!buffer_is_empty(&sender->out)) {
        size_t taken = 0;
        enum status status = stream_write(stream, buffer_bytes(&sender->out), &taken);
        buffer_consume(&sender->out, sender->pool, taken);
        if (status == STATUS_AGAIN) {
            return SENDER_WAITS_FOR_STREAM;
        }
        if (status != STATUS_OK) {
            return SENDER_BROKEN;
        }
    }
    return SENDER_DONE;
}

static enum sender_result write_raw(struct stream *stream, struct body *body)
{
    size_t taken = 0;
    enum status status = stream_write(stream, body_bytes(body), &taken);
    body_take(body, taken);
    if (status == STATUS_AGAIN) {
        return SENDER_WAITS_FOR_STREAM;
    }
    return status == STATUS_OK ? SENDER_DONE : SENDER_BROKEN;
}

static bool has_bytes(const struct body *body)
{
    return !buffer_is_empty(&body->bytes);
}

/* Stages what belongs into the next record. False: the body holds what cannot be said. */
static bool gather(struct sender *sender, struct body *body)
{
    if (!sender->is_chunked) {
        if (sender_has_staged(sender)) {
            join_head(sender, body);
        }
        return true;
    }
    while (has_bytes(body) && stage_chunk(sender, body)) {
    }
    if (body_is_done(body) && !sender->is_ended) {
        return stage_end(sender, body) == FAULT_NONE;
    }
    return true;
}

enum sender_result sender_pump(struct sender *sender, struct stream *stream, struct body *body)
{
    for (;;) {
        if (!gather(sender, body)) {
            return SENDER_CUT;
        }
        bool can_wait = sender->has_only_head && body->state == BODY_OPEN && !has_bytes(body);
        if (sender_has_staged(sender) && can_wait) {
            return SENDER_WAITS_FOR_BODY;
        }
        if (sender_has_staged(sender)) {
            enum sender_result flushed = sender_flush(sender, stream);
            if (flushed != SENDER_DONE) {
                return flushed;
            }
            continue;
        }
        if (has_bytes(body) && sender->is_chunked) {
            return SENDER_CUT; /* no memory for a chunk: content must not leave without one */
        }
        if (has_bytes(body)) {
            enum sender_result written = write_raw(stream, body);
            if (written != SENDER_DONE) {
                return written;
            }
            continue;
        }
        if (body->state == BODY_CUT) {
            return SENDER_CUT;
        }
        return body->state == BODY_ENDED ? SENDER_DONE : SENDER_WAITS_FOR_BODY;
    }
}
