/* proxy/route/random_source.h
 *
 * Where random bytes come from. The worker lends a fast one; tests lend one that counts.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#pragma once

#include <stddef.h>

struct random_source {
    /* Fills `len` bytes; cannot fail: whoever lends it has gathered its bytes before. */
    void (*fill)(void *self, void *out, size_t len);
    void *self;
};
