/* proxy/base/hex.c · SPDX-License-Identifier: Apache-2.0 */
#include "proxy/base/hex.h"

static const char digit_of[] = "0123456789abcdef";

void hex_put_number(char *out, uint64_t number, size_t digits)
{
    for (size_t i = digits; i > 0; i--) {
        out[i - 1] = digit_of[number & 0xf];
        number >>= 4;
    }
}

void hex_put_bytes(char *out, const uint8_t *bytes, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        out[2 * i] = digit_of[bytes[i] >> 4];
        out[2 * i + 1] = digit_of[bytes[i] & 0xf];
    }
}
