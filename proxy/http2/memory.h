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
    size_t bytes; /* that the library has */
};

/* The allocator that the library calls. */
nghttp2_mem memory_calls(struct memory *memory);
