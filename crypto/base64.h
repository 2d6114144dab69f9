/* crypto/base64.h
 *
 * Base64 (RFC 4648 §4) of keys: read strictly, and without a table that is looked into by a key's
 * bits, so that a key leaves no trace in the cache.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Characters of `len` bytes, padding included. */
static inline size_t base64_chars(size_t len)
{
    return (len + 2) / 3 * 4;
}

/* Writes the bytes to `out`, which has `room`. False: not the one spelling that these bytes have
 * (padding left out, bits that mean nothing, space), nothing, or more than `room`; what was written
 * to `out` is then wiped. */
bool base64_read(uint8_t *out, size_t room, const uint8_t *text, size_t text_len, size_t *len)
    __attribute__((warn_unused_result));

/* Writes base64_chars(len) characters, without a NUL. */
void base64_write(char *out, const uint8_t *bytes, size_t len);
