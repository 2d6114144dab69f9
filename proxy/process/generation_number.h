/* proxy/process/generation_number.h
 *
 * The numbers of configurations: the first is 1, each that children are asked to prepare takes the
 * next. None is used twice, whatever became of it: what a slow child says of one that was given up
 * must not pass for an answer about the one that follows. They also tell the keys of one generation
 * from those of another, since both are in use for a while.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "crypto/keyholder.h"

enum {
    GENERATION_FIRST = 1,
    GENERATIONS_APART = 1 << 20,
    GENERATION_NO_CERTIFICATE = KEYHOLDER_KEYS_MAX - 1,
};

/* What the ids of a generation's keys begin with; each is this and its certificate's index. */
static inline uint32_t generation_key_base(uint32_t number)
{
    return number % GENERATIONS_APART * KEYHOLDER_KEYS_MAX;
}

/* The number of a FAILED: which generation could not be prepared (0: something else failed), and
 * for which of its certificates. */
static inline uint32_t generation_failure(uint32_t number, uint32_t certificate)
{
    return generation_key_base(number) + certificate;
}

static inline bool generation_has_failed(uint32_t number, uint32_t failure)
{
    return failure / KEYHOLDER_KEYS_MAX == number % GENERATIONS_APART;
}

static inline uint32_t generation_failed_certificate(uint32_t failure)
{
    return failure % KEYHOLDER_KEYS_MAX;
}
