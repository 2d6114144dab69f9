/* proxy/base/assert.h
 *
 * Assertions about our own code, never about what a peer, a file or the clock can influence, and
 * never with a side effect.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#pragma once

#include <stdio.h>
#include <stdlib.h>

/* On in release too: cheap invariants. Aborts with file and line. */
#define assert_always(condition)                                                                   \
    do {                                                                                           \
        if (__builtin_expect(!(condition), 0)) {                                                   \
            (void)fprintf(stderr, "%s:%d: assertion failed: %s\n", __FILE__, __LINE__,             \
                          #condition);                                                             \
            abort();                                                                               \
        }                                                                                          \
    } while (0)

#ifdef NDEBUG
#define assert_debug(condition) ((void)0)
#else
#define assert_debug(condition) assert_always(condition)
#endif
