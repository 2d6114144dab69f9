/* proxy/net/buffer.h
 *
 * Bytes in hand: one contiguous block that is filled at its end and emptied at its start. The
 * block comes from a pool only while there are bytes, so an idle conn holds none.
 *
 * Blocks have a few sizes. The larger ones hold a whole number of full TLS records together with
 * their overhead, so that several records leave in one system call.
 *
 * Owner: whoever embeds the buffer; the pool belongs to the loop.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "proxy/base/slice.h"

enum {
    BUFFER_SMALL_BYTES = 4096,
    BUFFER_RECORD_BYTES = 17 * 1024, /* one full TLS record */
    BUFFER_BULK_BYTES = 68 * 1024,   /* four */
    BUFFER_LARGE_BYTES = 260 * 1024, /* sixteen hold 256 KiB of plaintext with 4 KiB to spare */
    BUFFER_HUGE_BYTES = 512 * 1024,  /* plaintext alone */
};

struct buffer_pool;

struct buffer_pool *buffer_pool_new(void);
void buffer_pool_free(struct buffer_pool *pool);

/* Zero is a valid empty buffer. Fields private to buffer.c; read them through the functions. */
struct buffer {
    char *base; /* NULL: no block */
    uint32_t size;
    uint32_t start;
    uint32_t end;
};

static inline size_t buffer_len(const struct buffer *buffer)
{
    return buffer->end - buffer->start;
}

static inline bool buffer_is_empty(const struct buffer *buffer)
{
    return buffer->end == buffer->start;
}

/* The bytes in hand; valid until the next non-const call. */
static inline slice buffer_bytes(const struct buffer *buffer)
{
    const char *base = buffer->base != NULL ? buffer->base : ""; /* NULL + 0 is not defined */
    return (slice){base + buffer->start, buffer->end - buffer->start};
}

/* Makes room for at least `bytes` more at the end, moving what is in hand to the start of its
 * block or into a larger block. False: more than the largest block, or no memory. */
bool buffer_reserve(struct buffer *buffer, struct buffer_pool *pool, size_t bytes);

/* The room at the end, writable; commit what was written. */
static inline char *buffer_room_at(const struct buffer *buffer)
{
    return buffer->base + buffer->end;
}
static inline size_t buffer_room(const struct buffer *buffer)
{
    return buffer->size - buffer->end;
}
static inline void buffer_commit(struct buffer *buffer, size_t bytes)
{
    buffer->end += (uint32_t)bytes;
}

/* Drops bytes from the start; gives the block back when the last one goes. */
void buffer_consume(struct buffer *buffer, struct buffer_pool *pool, size_t bytes);

/* Reserves and copies. False: as buffer_reserve. */
bool buffer_append(struct buffer *buffer, struct buffer_pool *pool, slice bytes);

/* Drops everything. */
void buffer_clear(struct buffer *buffer, struct buffer_pool *pool);
