/* proxy/base/arena.c · SPDX-License-Identifier: Apache-2.0 */
#include "proxy/base/arena.h"

#include <stdalign.h>
#include <stdlib.h>

enum { POOL_BLOCKS_MAX = 256 };

struct arena_block {
    struct arena_block *next;
    size_t size; /* bytes in `bytes` */
    size_t used;
    alignas(max_align_t) char bytes[];
};

enum { BLOCK_ROOM = ARENA_BLOCK_BYTES - sizeof(struct arena_block) };

void arena_pool_fini(struct arena_pool *pool)
{
    while (pool->free != NULL) {
        struct arena_block *block = pool->free;
        pool->free = block->next;
        free(block);
    }
    pool->free_count = 0;
}

void arena_init(struct arena *arena, struct arena_pool *pool, size_t limit_bytes)
{
    *arena = (struct arena){.pool = pool, .limit_bytes = limit_bytes};
}

static void give_back(struct arena_pool *pool, struct arena_block *block)
{
    if (block->size != BLOCK_ROOM || pool->free_count >= POOL_BLOCKS_MAX) {
        free(block);
        return;
    }
    block->next = pool->free;
    pool->free = block;
    pool->free_count++;
}

void arena_reset(struct arena *arena)
{
    while (arena->block != NULL) {
        struct arena_block *block = arena->block;
        arena->block = block->next;
        give_back(arena->pool, block);
    }
    arena->taken_bytes = 0;
}

static struct arena_block *block_new(struct arena_pool *pool, size_t room)
{
    if (room <= BLOCK_ROOM && pool->free != NULL) {
        struct arena_block *block = pool->free;
        pool->free = block->next;
        pool->free_count--;
        block->used = 0;
        return block;
    }
    size_t size = room <= BLOCK_ROOM ? (size_t)BLOCK_ROOM : room;
    struct arena_block *block = malloc(sizeof(*block) + size);
    if (block != NULL) {
        *block = (struct arena_block){.size = size};
    }
    return block;
}

void *arena_take(struct arena *arena, size_t bytes)
{
    size_t rounded = (bytes + alignof(max_align_t) - 1) & ~(alignof(max_align_t) - 1);
    if (rounded < bytes || rounded > arena->limit_bytes - arena->taken_bytes) {
        return NULL;
    }
    if (arena->block == NULL || arena->block->size - arena->block->used < rounded) {
        struct arena_block *block = block_new(arena->pool, rounded);
        if (block == NULL) {
            return NULL;
        }
        block->next = arena->block;
        arena->block = block;
    }
    void *taken = arena->block->bytes + arena->block->used;
    arena->block->used += rounded;
    arena->taken_bytes += rounded;
    return taken;
}

slice arena_copy(struct arena *arena, slice bytes)
{
    return arena_join(arena, &bytes, 1);
}

slice arena_join(struct arena *arena, const slice *parts, size_t count)
{
    size_t len = 0;
    for (size_t i = 0; i < count; i++) {
        len += parts[i].len;
    }
    char *joined = arena_take(arena, len > 0 ? len : 1);
    if (joined == NULL) {
        return (slice){NULL, 0};
    }
    size_t at = 0;
    for (size_t i = 0; i < count; i++) {
        if (parts[i].len > 0) {
            memcpy(joined + at, parts[i].at, parts[i].len);
        }
        at += parts[i].len;
    }
    return (slice){joined, len};
}
