/* tests/bench/pattern.h
 *
 * The bytes that the bench sends: a block of pseudo-random bytes, repeated for ever, so that both
 * ends know what stands at each offset without sending it.
 *
 * Why it exists: an answer counts only when it is the right one. Looking at the ends of each piece
 * finds lost, doubled and reordered bytes at next to no cost.
 *
 * Owner: the program (one static block, written once at its start).
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
    PATTERN_PERIOD = 64 * 1024,
    PATTERN_RUN = 512 * 1024, /* bytes that pattern_at() can be read for */
    PATTERN_SMALL = 128,      /* length of the small answer: the first bytes of the pattern */
};

/* Fills the block; to be called before the others. */
void pattern_fill(void);

/* Borrowed; PATTERN_RUN bytes as they stand from `offset` on. */
const uint8_t *pattern_at(uint64_t offset);

/* Whether the first and the last bytes of a piece are those of `offset`. */
bool pattern_matches(uint64_t offset, const uint8_t *bytes, size_t len);
