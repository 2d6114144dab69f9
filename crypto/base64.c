/* crypto/base64.c · SPDX-License-Identifier: Apache-2.0 */
#include "crypto/base64.h"

#include <openssl/crypto.h>

enum { SEXTET_NONE = 0x40 };

/* All ones when low <= c <= high, else zero: both differences are negative only outside. */
static uint32_t mask_of_range(uint32_t c, uint32_t low, uint32_t high)
{
    return ((c - low) >> 31 | (high - c) >> 31) - 1U;
}

/* 0 to 63, or SEXTET_NONE. */
static uint32_t sextet_of(uint8_t c)
{
    uint32_t upper = mask_of_range(c, 'A', 'Z');
    uint32_t lower = mask_of_range(c, 'a', 'z');
    uint32_t digit = mask_of_range(c, '0', '9');
    uint32_t plus = mask_of_range(c, '+', '+');
    uint32_t slash = mask_of_range(c, '/', '/');
    uint32_t any = upper | lower | digit | plus | slash;
    return (upper & (c - 'A')) | (lower & (c - 'a' + 26U)) | (digit & (c - '0' + 52U)) |
           (plus & 62U) | (slash & 63U) | (~any & SEXTET_NONE);
}

static char char_of(uint32_t sextet)
{
    uint32_t c = (mask_of_range(sextet, 0, 25) & (sextet + 'A')) |
                 (mask_of_range(sextet, 26, 51) & (sextet - 26U + 'a')) |
                 (mask_of_range(sextet, 52, 61) & (sextet - 52U + '0')) |
                 (mask_of_range(sextet, 62, 62) & '+') | (mask_of_range(sextet, 63, 63) & '/');
    return (char)c;
}

/* The number of '=' at the end: 0 to 2. */
static size_t padding_of(const uint8_t *text, size_t text_len)
{
    if (text[text_len - 1] != '=') {
        return 0;
    }
    return text[text_len - 2] != '=' ? 1 : 2;
}

bool base64_read(uint8_t *out, size_t room, const uint8_t *text, size_t text_len, size_t *len)
{
    if (text_len == 0 || text_len % 4 != 0) {
        return false;
    }
    size_t padding = padding_of(text, text_len);
    size_t bytes = text_len / 4 * 3 - padding;
    if (bytes > room) {
        return false;
    }
    uint32_t wrong = 0;
    for (size_t i = 0; i < text_len; i += 4) {
        uint32_t group = 0;
        for (size_t j = 0; j < 4; j++) {
            uint32_t sextet = i + j < text_len - padding ? sextet_of(text[i + j]) : 0;
            wrong |= sextet & SEXTET_NONE;
            group = group << 6 | (sextet & 63U);
        }
        for (size_t j = 0; j < 3; j++) {
            uint8_t byte = (uint8_t)(group >> (16 - 8 * j));
            if (i / 4 * 3 + j < bytes) {
                out[i / 4 * 3 + j] = byte;
            } else {
                wrong |= byte; /* bits behind the last byte */
            }
        }
    }
    if (wrong != 0) {
        OPENSSL_cleanse(out, bytes);
        return false;
    }
    *len = bytes;
    return true;
}

void base64_write(char *out, const uint8_t *bytes, size_t len)
{
    for (size_t i = 0; i < len; i += 3) {
        size_t here = len - i < 3 ? len - i : 3;
        uint32_t group = 0;
        for (size_t j = 0; j < 3; j++) {
            group = group << 8 | (j < here ? bytes[i + j] : 0U);
        }
        for (size_t j = 0; j < 4; j++) {
            *out++ = j <= here ? char_of(group >> (18 - 6 * j) & 63U) : '=';
        }
    }
}
