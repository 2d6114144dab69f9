/* tests/unit/support/arena_rig.h
 *
 * One arena for all of a test program: set_up and tear_down are for its group.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#pragma once

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "proxy/base/arena.h"

enum { ARENA_RIG_BYTES = 1 << 20 };

static struct arena_pool pool;
static struct arena arena;

static int set_up(void **state)
{
    (void)state;
    arena_init(&arena, &pool, ARENA_RIG_BYTES);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    arena_reset(&arena);
    arena_pool_fini(&pool);
    return 0;
}
