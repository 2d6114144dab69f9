/* proxy/http2/memory.c · SPDX-License-Identifier: Apache-2.0 */
#include "proxy/http2/memory.h"

#include <malloc.h>
#include <stdbool.h>
#include <stdlib.h>

#include "proxy/http2/limits.h"

/* Blocks are counted as large as the allocator made them, so that no size has to be kept. */
static void *count(size_t *bytes, void *block)
{
    *bytes += block != NULL ? malloc_usable_size(block) : 0;
    return block;
}

static void *take(size_t size, void *self)
{
    size_t *bytes = self;
    return *bytes + size <= H2_LIBRARY_BYTES_MAX ? count(bytes, malloc(size)) : NULL;
}

static void *take_zeroed(size_t count_of, size_t size, void *self)
{
    size_t *bytes = self;
    bool fits = size == 0 || count_of <= H2_LIBRARY_BYTES_MAX / size;
    return fits && *bytes + count_of * size <= H2_LIBRARY_BYTES_MAX
               ? count(bytes, calloc(count_of, size))
               : NULL;
}

static void give(void *block, void *self)
{
    size_t *bytes = self;
    if (block != NULL) {
        *bytes -= malloc_usable_size(block);
        free(block);
    }
}

static void *resize(void *block, size_t size, void *self)
{
    size_t *bytes = self;
    size_t before = block != NULL ? malloc_usable_size(block) : 0;
    if (*bytes - before + size > H2_LIBRARY_BYTES_MAX) {
        return NULL;
    }
    void *resized = realloc(block, size);
    if (resized != NULL) {
        *bytes = *bytes - before + malloc_usable_size(resized);
    }
    return resized;
}

nghttp2_mem memory_of(size_t *bytes)
{
    return (nghttp2_mem){
        .mem_user_data = bytes,
        .malloc = take,
        .free = give,
        .calloc = take_zeroed,
        .realloc = resize,
    };
}
