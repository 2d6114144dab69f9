/* proxy/net/buffer.c · SPDX-License-Identifier: Apache-2.0 */
#include "proxy/net/buffer.h"

#include <stdlib.h>

enum { CLASSES = 5 };

static const uint32_t class_bytes[CLASSES] = {BUFFER_SMALL_BYTES, BUFFER_RECORD_BYTES,
                                              BUFFER_BULK_BYTES, BUFFER_LARGE_BYTES,
                                              BUFFER_HUGE_BYTES};

/* What the pool keeps at most of each class: less than 3 MiB in all. */
static const size_t class_kept[CLASSES] = {128, 16, 4, 4, 2};

struct block {
    struct block *next;
};

struct buffer_pool {
    struct block *free[CLASSES];
    size_t count[CLASSES];
};

struct buffer_pool *buffer_pool_new(void)
{
    return calloc(1, sizeof(struct buffer_pool));
}

void buffer_pool_free(struct buffer_pool *pool)
{
    if (pool == NULL) {
        return;
    }
    for (size_t class = 0; class < CLASSES; class ++) {
        while (pool->free[class] != NULL) {
            struct block *block = pool->free[class];
            pool->free[class] = block->next;
            free(block);
        }
    }
    free(pool);
}

static size_t class_for(size_t bytes)
{
    size_t class = 0;
    while (class < CLASSES && class_bytes[class] < bytes) {
        class ++;
    }
    return class;
}

static char *block_take(struct buffer_pool *pool, size_t class)
{
    struct block *block = pool->free[class];
    if (block != NULL) {
        pool->free[class] = block->next;
        pool->count[class]--;
        return (char *)block;
    }
    return malloc(class_bytes[class]);
}

static void block_give(struct buffer_pool *pool, char *base, uint32_t size)
{
    size_t class = class_for(size);
    if (pool->count[class] >= class_kept[class]) {
        free(base);
        return;
    }
    struct block *block = (struct block *)(void *)base;
    block->next = pool->free[class];
    pool->free[class] = block;
    pool->count[class]++;
}

bool buffer_reserve(struct buffer *buffer, struct buffer_pool *pool, size_t bytes)
{
    if (buffer->base != NULL && buffer_room(buffer) >= bytes) {
        return true;
    }
    size_t len = buffer_len(buffer);
    if (buffer->base != NULL && buffer->size - len >= bytes) {
        memmove(buffer->base, buffer->base + buffer->start, len);
        buffer->start = 0;
        buffer->end = (uint32_t)len;
        return true;
    }
    if (bytes > BUFFER_HUGE_BYTES - len) {
        return false;
    }
    size_t class = class_for(len + bytes);
    char *base = block_take(pool, class);
    if (base == NULL) {
        return false;
    }
    if (buffer->base != NULL) {
        memcpy(base, buffer->base + buffer->start, len);
        block_give(pool, buffer->base, buffer->size);
    }
    *buffer =
        (struct buffer){.base = base, .size = class_bytes[class], .start = 0, .end = (uint32_t)len};
    return true;
}

void buffer_consume(struct buffer *buffer, struct buffer_pool *pool, size_t bytes)
{
    buffer->start += (uint32_t)bytes;
    if (buffer->start == buffer->end) {
        buffer_clear(buffer, pool);
    }
}

bool buffer_append(struct buffer *buffer, struct buffer_pool *pool, slice bytes)
{
    if (bytes.len == 0) {
        return true;
    }
    if (!buffer_reserve(buffer, pool, bytes.len)) {
        return false;
    }
    memcpy(buffer_room_at(buffer), bytes.at, bytes.len);
    buffer_commit(buffer, bytes.len);
    return true;
}

void buffer_clear(struct buffer *buffer, struct buffer_pool *pool)
{
    if (buffer->base != NULL) {
        block_give(pool, buffer->base, buffer->size);
        *buffer = (struct buffer){0};
    }
}
