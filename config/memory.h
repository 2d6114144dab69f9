/* config/memory.h
 *
 * Many small pieces that are freed at once: the strings and arrays of a config, of a tree, of a
 * list of problems.
 *
 * Why it exists: a model is built from hundreds of pieces of one lifetime. config/ stands below the
 * proxy's rooms, so it has its own.
 *
 * Owner: the object whose pieces it holds.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#pragma once

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>

struct memory;

/* NULL when out of memory. */
struct memory *memory_new(void);
void memory_free(struct memory *memory);

/* `size` zeroed bytes, aligned for any type. NULL when out of memory. */
void *memory_take(struct memory *memory, size_t size);

/* `count` zeroed items; NULL when out of memory or when the product overflows. */
void *memory_take_array(struct memory *memory, size_t count, size_t size);

/* Copies with a NUL at the end. NULL when out of memory. */
char *memory_copy(struct memory *memory, const char *text, size_t len);
char *memory_copy_text(struct memory *memory, const char *text);
char *memory_format(struct memory *memory, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
char *memory_format_list(struct memory *memory, const char *format, va_list arguments)
    __attribute__((format(printf, 2, 0)));

/* True once any of the above has returned NULL: lets a long construction check once at its end. */
bool memory_failed(const struct memory *memory);
