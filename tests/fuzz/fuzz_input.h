/* tests/fuzz/fuzz_input.h
 *
 * An input as a row of decisions, for targets that play a conversation.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

struct fuzz_input {
    const uint8_t *at;
    size_t left;
};

/* The next byte; 0 when there is none. */
static inline uint8_t fuzz_input_take(struct fuzz_input *input)
{
    if (input->left == 0) {
        return 0;
    }
    input->left--;
    return *input->at++;
}
