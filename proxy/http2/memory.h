/* proxy/http2/memory.h
 *
 * The library's memory of one conn, counted and bounded: whatever a peer makes it keep, it is told
 * that there is no more, and the conn ends. Small blocks come from the loop's pool.
 *
 * Owner: the framer; it outlives the library's session.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#pragma once

#include <nghttp2/nghttp2.h>
#include <stddef.h>

struct pool;

struct memory {
    struct pool *pool;
    size_t bytes;      /* that the library has */
    void *frame_block; /* of them, where it makes its frames; NULL: not known */
};

/* The allocator that the library calls. */
nghttp2_mem memory_calls(struct memory *memory);

/* Gives the system back what is written only while frames are made: most of what an idle conn has.
 * Only when the library has nothing to send; its pages come back, as zeros, when they are used. */
void memory_rest(struct memory *memory);
