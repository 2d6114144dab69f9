/* proxy/base/arena.h
 *
 * Memory that dies together: the fields, paths and names of one exchange. Allocation is a pointer
 * bump; there is no free of a part. Blocks come from a pool that the loop owns, so a busy worker
 * does not call malloc for a request.
 *
 * Owner: whoever embeds the arena. Nothing outside its exchange may keep a pointer into it.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#pragma once

#include <stddef.h>

#include "proxy/base/slice.h"

enum { ARENA_BLOCK_BYTES = 4096 };

struct arena_block;

/* Blocks kept for reuse. Zero is a valid empty pool. */
struct arena_pool {
    struct arena_block *free;
    size_t free_count;
};

void arena_pool_fini(struct arena_pool *pool);

/* Fields private to arena.c. */
struct arena {
    struct arena_pool *pool;
    struct arena_block *block; /* newest first */
    size_t taken_bytes;
    size_t limit_bytes;
};

/* Holds no memory until the first allocation; never more than about limit_bytes. */
void arena_init(struct arena *arena, struct arena_pool *pool, size_t limit_bytes);

/* Gives everything back to the pool; the arena can be used again. */
void arena_reset(struct arena *arena);

/* Uninitialised bytes aligned for any type. NULL: the limit is reached or memory is out. */
void *arena_take(struct arena *arena, size_t bytes);

/* A copy of the slice's bytes. at == NULL: as arena_take. */
slice arena_copy(struct arena *arena, slice bytes);

/* The slices one after the other. at == NULL: as arena_take. */
slice arena_join(struct arena *arena, const slice *parts, size_t count);
