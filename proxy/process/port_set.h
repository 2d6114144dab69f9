/* proxy/process/port_set.h
 *
 * A set of TCP ports. Embedded; zero is the empty set.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

enum { PORT_SET_WORDS = 65536 / 64 };

struct port_set {
    uint64_t words[PORT_SET_WORDS];
};

static inline void port_set_add(struct port_set *set, uint16_t port)
{
    set->words[port / 64] |= UINT64_C(1) << (port % 64);
}

/* Whether all of `others` are in it. */
static inline bool port_set_has_all(const struct port_set *set, const struct port_set *others)
{
    for (unsigned i = 0; i < PORT_SET_WORDS; i++) {
        if ((others->words[i] & ~set->words[i]) != 0) {
            return false;
        }
    }
    return true;
}

static inline bool port_set_has(const struct port_set *set, uint16_t port)
{
    return (set->words[port / 64] >> (port % 64) & 1) != 0;
}
