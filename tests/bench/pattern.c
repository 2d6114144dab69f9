/* tests/bench/pattern.c
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "tests/bench/pattern.h"

#include <string.h>

enum { PATTERN_PROBE = 32 };

static uint8_t block[PATTERN_PERIOD + PATTERN_RUN];

void pattern_fill(void)
{
    uint64_t state = 0x9e3779b97f4a7c15u;
    for (size_t i = 0; i < sizeof(block); i++) {
        if (i >= PATTERN_PERIOD) {
            block[i] = block[i - PATTERN_PERIOD];
            continue;
        }
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        block[i] = (uint8_t)(state >> 24);
    }
}

const uint8_t *pattern_at(uint64_t offset)
{
    return block + offset % PATTERN_PERIOD;
}

bool pattern_matches(uint64_t offset, const uint8_t *bytes, size_t len)
{
    size_t probe = len < PATTERN_PROBE ? len : PATTERN_PROBE;
    return memcmp(bytes, pattern_at(offset), probe) == 0 &&
           memcmp(bytes + len - probe, pattern_at(offset + len - probe), probe) == 0;
}
