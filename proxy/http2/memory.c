/* proxy/http2/memory.c · SPDX-License-Identifier: Apache-2.0 */
#include "proxy/http2/memory.h"

#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "proxy/base/pool.h"
#include "proxy/http2/limits.h"

enum { FRAME_BYTES = 16 * 1024 }; /* RFC 9113 §4.2: of payload, at least and at first */

static size_t page_bytes(void)
{
    return (size_t)sysconf(_SC_PAGESIZE);
}

/* Whole pages, all of which can be given back. */
static void *take_pages(size_t size)
{
    size_t page = page_bytes();
    return aligned_alloc(page, (size + page - 1) / page * page);
}

/* Blocks are counted as large as they are, so that no size has to be kept. */
static void *take(size_t size, void *self)
{
    struct memory *memory = self;
    if (size > H2_LIBRARY_BYTES_MAX || memory->bytes + size > H2_LIBRARY_BYTES_MAX) {
        return NULL;
    }
    /* The first block that large comes with the session, for one frame of 16 KiB. */
    bool is_frame = memory->frame_block == NULL && size > FRAME_BYTES;
    void *block = is_frame ? take_pages(size) : pool_take(memory->pool, size);
    memory->bytes += block != NULL ? pool_block_bytes(block) : 0;
    memory->frame_block = is_frame ? block : memory->frame_block;
    return block;
}

static void *take_zeroed(size_t count, size_t size, void *self)
{
    bool fits = size == 0 || count <= H2_LIBRARY_BYTES_MAX / size;
    void *block = fits ? take(count * size, self) : NULL;
    if (block != NULL) {
        memset(block, 0, count * size);
    }
    return block;
}

static void give(void *block, void *self)
{
    struct memory *memory = self;
    if (block != NULL) {
        memory->bytes -= pool_block_bytes(block);
        memory->frame_block = memory->frame_block == block ? NULL : memory->frame_block;
        pool_give(memory->pool, block);
    }
}

static void *resize(void *block, size_t size, void *self)
{
    size_t before = block != NULL ? pool_block_bytes(block) : 0;
    if (block != NULL && size <= before) {
        return block;
    }
    void *larger = take(size, self);
    if (larger != NULL && block != NULL) {
        memcpy(larger, block, before);
        give(block, self);
    }
    return larger;
}

void memory_rest(struct memory *memory)
{
    if (memory->frame_block == NULL) {
        return;
    }
    uintptr_t page = page_bytes();
    uintptr_t begin = (uintptr_t)memory->frame_block;
    uintptr_t end = begin + pool_block_bytes(memory->frame_block);
    uintptr_t first = (begin + page - 1) / page * page;
    uintptr_t last = end / page * page;
    if (first < last) {
        (void)madvise((void *)first, last - first, MADV_DONTNEED);
    }
}

nghttp2_mem memory_calls(struct memory *memory)
{
    return (nghttp2_mem){
        .mem_user_data = memory,
        .malloc = take,
        .free = give,
        .calloc = take_zeroed,
        .realloc = resize,
    };
}
