/* proxy/http/body.c · SPDX-License-Identifier: Apache-2.0 */
#include "proxy/http/body.h"

enum {
    RECORD_BYTES = 16 * 1024, /* plaintext of a full TLS record */
    WISH_FIRST = RECORD_BYTES,
    /* A read of bulk costs an acknowledgement and the waking of its sender, however much it
     * brings: half as many of them were worth more than what falls out of the cache. */
    WISH_MOST = BUFFER_HUGE_BYTES,
    WISH_FACTOR = 4,
    ROOM_LEAST = 1024, /* less is not worth a system call: wait until the consumer took some */
};

void body_init(struct body *body, struct buffer_pool *pool)
{
    *body = (struct body){.pool = pool, .wish = WISH_FIRST};
}

static void count(struct body *body, int64_t change)
{
    if (body->budget != NULL) {
        body->budget->held += (uint64_t)change;
    }
}

void body_join_budget(struct body *body, struct body_budget *budget)
{
    body->budget = budget;
    count(body, (int64_t)buffer_len(&body->bytes));
}

void body_leave_budget(struct body *body)
{
    count(body, -(int64_t)buffer_len(&body->bytes));
    body->budget = NULL;
}

void body_fini(struct body *body)
{
    body_leave_budget(body);
    body_forget(body);
    buffer_clear(&body->bytes, body->pool);
}

void body_attach_consumer(struct body *body, void (*on_readable)(void *consumer), void *consumer)
{
    body->on_readable = on_readable;
    body->consumer = consumer;
}

void body_attach_producer(struct body *body, void (*on_room)(void *producer), void *producer)
{
    body->on_room = on_room;
    body->producer = producer;
}

void body_detach_consumer(struct body *body)
{
    body_attach_consumer(body, NULL, NULL);
}

void body_detach_producer(struct body *body)
{
    body_attach_producer(body, NULL, NULL);
}

/* Whole records only: the rest of the block would become a small record behind each full body. */
static size_t room_of(const struct body *body)
{
    size_t size = body->bytes.size;
    size_t most = size < RECORD_BYTES ? size : size - size % RECORD_BYTES;
    return most > body->bytes.end ? most - body->bytes.end : 0;
}

void body_expect(struct body *body, uint64_t bytes)
{
    if (bytes <= BUFFER_SMALL_BYTES) {
        body->wish = BUFFER_SMALL_BYTES;
    }
}

char *body_room(struct body *body, size_t *room)
{
    *room = 0;
    body->is_refused = buffer_is_empty(&body->bytes) && body->budget != NULL &&
                       body->budget->held >= body->budget->limit;
    if (body->is_refused) {
        body->budget->has_refused = true;
        return NULL;
    }
    if (buffer_is_empty(&body->bytes) && !buffer_reserve(&body->bytes, body->pool, body->wish)) {
        *room = SIZE_MAX;
        return NULL;
    }
    if (room_of(body) < ROOM_LEAST) {
        return NULL;
    }
    *room = room_of(body);
    return buffer_room_at(&body->bytes);
}

void body_filled(struct body *body, size_t bytes)
{
    bool was_full = bytes == room_of(body);
    bool was_little = bytes < body->wish / (WISH_FACTOR * WISH_FACTOR);
    buffer_commit(&body->bytes, bytes);
    count(body, (int64_t)bytes);
    body->moved_in += bytes;
    if (was_full && body->wish < WISH_MOST) {
        uint32_t more = body->wish * WISH_FACTOR;
        body->wish = more < WISH_MOST ? more : WISH_MOST;
    } else if (was_little && body->wish > WISH_FIRST) {
        uint32_t less = body->wish / WISH_FACTOR;
        body->wish = less > WISH_FIRST ? less : WISH_FIRST;
    }
    if (buffer_is_empty(&body->bytes)) {
        buffer_clear(&body->bytes, body->pool);
    }
}

size_t body_put(struct body *body, slice bytes)
{
    size_t held = buffer_len(&body->bytes);
    size_t room = held < BUFFER_LARGE_BYTES ? BUFFER_LARGE_BYTES - held : 0;
    size_t len = bytes.len < room ? bytes.len : room;
    if (len == 0 || !buffer_append(&body->bytes, body->pool, slice_first(bytes, len))) {
        return 0;
    }
    body->moved_in += len;
    count(body, (int64_t)len);
    return len;
}

void body_end(struct body *body)
{
    if (body->state == BODY_OPEN) {
        body->state = BODY_ENDED;
    }
}

void body_cut(struct body *body, enum fault_code fault)
{
    if (body->state == BODY_OPEN) {
        body->state = BODY_CUT;
        body->fault = fault;
    }
}

void body_offer(struct body *body)
{
    if (body->on_readable != NULL && !body->is_offering) {
        body->is_offering = true;
        body->on_readable(body->consumer);
        body->is_offering = false;
    }
}

/* A part of them would be of no use. */
static void keep(struct body *body, size_t bytes)
{
    bool fits = buffer_len(&body->kept) + bytes <= body->keep_bytes;
    if (!fits || !buffer_append(&body->kept, body->pool, slice_first(body_bytes(body), bytes))) {
        body_forget(body);
    }
}

void body_take(struct body *body, size_t bytes)
{
    if (body->keep_bytes > 0) {
        keep(body, bytes);
    }
    body->moved_out += bytes;
    count(body, -(int64_t)bytes);
    buffer_consume(&body->bytes, body->pool, bytes);
}

void body_made_room(struct body *body)
{
    if (body->on_room != NULL && !body->is_offering && body->state == BODY_OPEN) {
        body->on_room(body->producer);
    }
}

void body_keep(struct body *body, uint32_t bytes)
{
    if (body->moved_out == 0) {
        body->keep_bytes = bytes;
    }
}

void body_forget(struct body *body)
{
    body->keep_bytes = 0;
    buffer_clear(&body->kept, body->pool);
}

bool body_rewind(struct body *body)
{
    if (body->moved_out == 0) {
        return true;
    }
    if (body->keep_bytes == 0 || !buffer_append(&body->kept, body->pool, body_bytes(body))) {
        return false;
    }
    buffer_clear(&body->bytes, body->pool);
    body->bytes = body->kept;
    body->kept = (struct buffer){0};
    count(body, (int64_t)body->moved_out);
    body->moved_out = 0;
    return true;
}
