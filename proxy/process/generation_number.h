/* proxy/process/generation_number.h
 *
 * The numbers of configurations: the first is 1, each reload takes the next. They also tell the
 * keys of one generation from those of another, since both are in use for a while.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#pragma once

#include <stdint.h>

#include "crypto/keyholder.h"

enum { GENERATION_FIRST = 1, GENERATIONS_APART = 1 << 20 };

/* What the ids of a generation's keys begin with; each is this and its certificate's index. */
static inline uint32_t generation_key_base(uint32_t number)
{
    return number % GENERATIONS_APART * KEYHOLDER_KEYS_MAX;
}
