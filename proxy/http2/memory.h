/* proxy/http2/memory.h
 *
 * The library's memory of one conn, counted and bounded: whatever a peer makes it keep, it is told
 * that there is no more, and the conn ends.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#pragma once

#include <nghttp2/nghttp2.h>
#include <stddef.h>

/* An allocator that counts in *bytes, which must outlive it. */
nghttp2_mem memory_of(size_t *bytes);
