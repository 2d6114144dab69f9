/* proxy/http2/stash.h
 *
 * Content that has arrived and for which the body has no room yet: the peer was given a window, so
 * it must be kept. How much can come is bounded by the windows that were given.
 *
 * Owner: the lane.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#pragma once

#include "proxy/net/buffer.h"

struct stash_block;

/* Zero is a valid empty stash. */
struct stash {
    struct stash_block *first;
    struct stash_block *last;
};

static inline bool stash_is_empty(const struct stash *stash)
{
    return stash->first == NULL;
}

/* A copy goes to the end. False: no memory. */
bool stash_put(struct stash *stash, struct buffer_pool *pool, slice bytes);

/* The bytes at the start, as many as stand together; not empty unless the stash is. */
slice stash_bytes(const struct stash *stash);

/* The first `bytes` of those are done with. */
void stash_take(struct stash *stash, struct buffer_pool *pool, size_t bytes);

void stash_clear(struct stash *stash, struct buffer_pool *pool);
