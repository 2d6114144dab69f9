/* config/memory.c · SPDX-License-Identifier: Apache-2.0 */
#include "config/memory.h"

#include <stdalign.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { BLOCK_BYTES = 16 * 1024 };

struct block {
    struct block *next;
    size_t size;
    size_t used;
    alignas(max_align_t) unsigned char bytes[];
};

struct memory {
    struct block *blocks; /* the first one is being filled */
    bool failed;
};

struct memory *memory_new(void)
{
    return calloc(1, sizeof(struct memory));
}

void memory_free(struct memory *memory)
{
    if (memory == NULL) {
        return;
    }
    for (struct block *block = memory->blocks; block != NULL;) {
        struct block *next = block->next;
        free(block);
        block = next;
    }
    free(memory);
}

static struct block *block_for(struct memory *memory, size_t size)
{
    struct block *first = memory->blocks;
    if (first != NULL && first->size - first->used >= size) {
        return first;
    }
    size_t block_size = size > BLOCK_BYTES ? size : BLOCK_BYTES;
    struct block *block = calloc(1, sizeof(struct block) + block_size);
    if (block == NULL) {
        return NULL;
    }
    block->size = block_size;
    block->next = first;
    memory->blocks = block;
    return block;
}

void *memory_take(struct memory *memory, size_t size)
{
    if (size > SIZE_MAX / 2) {
        memory->failed = true;
        return NULL;
    }
    size_t rounded = (size + alignof(max_align_t) - 1) & ~(alignof(max_align_t) - 1);
    struct block *block = block_for(memory, rounded);
    if (block == NULL) {
        memory->failed = true;
        return NULL;
    }
    void *piece = block->bytes + block->used;
    block->used += rounded;
    return piece;
}

void *memory_take_array(struct memory *memory, size_t count, size_t size)
{
    size_t total;
    if (__builtin_mul_overflow(count, size, &total)) {
        memory->failed = true;
        return NULL;
    }
    return memory_take(memory, total);
}

char *memory_copy(struct memory *memory, const char *text, size_t len)
{
    char *copy = memory_take(memory, len + 1);
    if (copy != NULL && len > 0) {
        memcpy(copy, text, len);
    }
    return copy;
}

char *memory_copy_text(struct memory *memory, const char *text)
{
    return memory_copy(memory, text, strlen(text));
}

char *memory_format_list(struct memory *memory, const char *format, va_list arguments)
{
    va_list again;
    va_copy(again, arguments);
    int len = vsnprintf(NULL, 0, format, arguments);
    char *text = len < 0 ? NULL : memory_take(memory, (size_t)len + 1);
    if (text != NULL) {
        (void)vsnprintf(text, (size_t)len + 1, format, again);
    }
    va_end(again);
    return text;
}

char *memory_format(struct memory *memory, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    char *text = memory_format_list(memory, format, arguments);
    va_end(arguments);
    return text;
}

bool memory_failed(const struct memory *memory)
{
    return memory->failed;
}
