/* crypto/wiped_memory.c · SPDX-License-Identifier: Apache-2.0 */
#include "crypto/wiped_memory.h"

#include <malloc.h>
#include <openssl/crypto.h>
#include <stdlib.h>
#include <string.h>

/* OpenSSL tells which of its lines asks; nobody here wants to know. */

static void *give(size_t size, const char *file, int line)
{
    (void)file;
    (void)line;
    return malloc(size);
}

static void take_back(void *memory, const char *file, int line)
{
    (void)file;
    (void)line;
    if (memory != NULL) {
        explicit_bzero(memory, malloc_usable_size(memory));
        free(memory);
    }
}

/* Never in place: realloc itself would leave a copy where it moved from. To nothing is free, as
 * OpenSSL has it. */
static void *resize(void *memory, size_t size, const char *file, int line)
{
    if (size == 0) {
        take_back(memory, file, line);
        return NULL;
    }
    void *grown = give(size, file, line);
    if (grown != NULL && memory != NULL) {
        size_t held = malloc_usable_size(memory);
        memcpy(grown, memory, held < size ? held : size);
        take_back(memory, file, line);
    }
    return grown;
}

bool wiped_memory_install(void)
{
    return CRYPTO_set_mem_functions(give, resize, take_back) == 1;
}
