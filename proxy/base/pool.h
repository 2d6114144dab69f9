/* proxy/base/pool.h
 *
 * Small blocks of memory that come and go with every exchange, kept for the next one. The
 * allocator keeps a handful of each size at hand; a conn with a hundred streams has a hundred of
 * each at once, and pays for the rest of its bookkeeping.
 *
 * Owner: the loop. A build with sanitizers keeps none, so that they see every use after free.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#pragma once

#include <stddef.h>

enum {
    POOL_STEP_BYTES = 64,
    POOL_CLASSES = 16,                           /* blocks of up to 1 KiB */
    POOL_KEPT_BYTES = SALLYPORT_POOL_KEPT_BYTES, /* of all classes */
};

struct pool_block;

/* Zero is a valid empty pool. */
struct pool {
    struct pool_block *free[POOL_CLASSES];
    size_t kept_bytes;
};

void pool_fini(struct pool *pool);

/* Uninitialised. NULL: no memory. Larger blocks than the pool keeps are the allocator's. */
void *pool_take(struct pool *pool, size_t bytes);

/* Gives back what pool_take gave; NULL is fine. */
void pool_give(struct pool *pool, void *block);

/* How much may be written to the block. */
size_t pool_block_bytes(void *block);
