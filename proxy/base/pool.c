/* proxy/base/pool.c · SPDX-License-Identifier: Apache-2.0 */
#include "proxy/base/pool.h"

#include <malloc.h>
#include <stdlib.h>

/* Stands in the block itself while nobody else has it. */
struct pool_block {
    struct pool_block *next;
};

void pool_fini(struct pool *pool)
{
    for (size_t class = 0; class < POOL_CLASSES; class ++) {
        while (pool->free[class] != NULL) {
            struct pool_block *block = pool->free[class];
            pool->free[class] = block->next;
            free(block);
        }
    }
    pool->kept_bytes = 0;
}

/* Class i holds blocks of (i + 1) steps. */
static size_t class_for(size_t bytes)
{
    return bytes > 0 ? (bytes - 1) / POOL_STEP_BYTES : 0;
}

void *pool_take(struct pool *pool, size_t bytes)
{
    size_t class = class_for(bytes);
    if (class >= POOL_CLASSES) {
        return malloc(bytes);
    }
    struct pool_block *block = pool->free[class];
    if (block == NULL) {
        return malloc((class + 1) * POOL_STEP_BYTES);
    }
    pool->free[class] = block->next;
    pool->kept_bytes -= (class + 1) * POOL_STEP_BYTES;
    return block;
}

size_t pool_block_bytes(void *block)
{
    return malloc_usable_size(block);
}

/* The allocator knows how large a block is, and may have made it a little larger. */
void pool_give(struct pool *pool, void *block)
{
    if (block == NULL) {
        return;
    }
    size_t steps = malloc_usable_size(block) / POOL_STEP_BYTES;
    size_t bytes = steps * POOL_STEP_BYTES;
    if (steps == 0 || steps > POOL_CLASSES || pool->kept_bytes + bytes > POOL_KEPT_BYTES) {
        free(block);
        return;
    }
    struct pool_block *kept = block;
    kept->next = pool->free[steps - 1];
    pool->free[steps - 1] = kept;
    pool->kept_bytes += bytes;
}
