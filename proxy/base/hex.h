/* proxy/base/hex.h
 *
 * Hexadecimal digits: chunk sizes, percent escapes, ids, escapes in logs.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

/* The value of a digit of either case; -1: not a digit. */
static inline int hex_digit(char c)
{
    if (c >= '0' && c <= '9') {
        return c - '0';
    }
    char lower = (char)(c | 0x20);
    return lower >= 'a' && lower <= 'f' ? lower - 'a' + 10 : -1;
}

/* Writes the lowest `digits` (at most 16) digits of `number`, in lower case, without a NUL. */
void hex_put_number(char *out, uint64_t number, size_t digits);

/* Writes two digits for each byte, in lower case, without a NUL. */
void hex_put_bytes(char *out, const uint8_t *bytes, size_t count);
