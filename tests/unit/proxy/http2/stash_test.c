/* tests/unit/proxy/http2/stash_test.c · SPDX-License-Identifier: Apache-2.0 */
#include "proxy/http2/stash.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

enum { BYTES = 3 * BUFFER_BULK_BYTES + 100 };

static struct buffer_pool *pool;
static char bytes[BYTES];

static int set_up(void **state)
{
    (void)state;
    pool = buffer_pool_new();
    for (size_t i = 0; i < BYTES; i++) {
        bytes[i] = (char)(i * 7 + i / 251);
    }
    return pool == NULL;
}

static int tear_down(void **state)
{
    (void)state;
    buffer_pool_free(pool);
    return 0;
}

/* Puts all bytes in pieces of one size and takes them in pieces of another. */
static void move(size_t put_step, size_t take_step)
{
    struct stash stash = {0};
    for (size_t put = 0; put < BYTES; put += put_step) {
        size_t len = BYTES - put < put_step ? BYTES - put : put_step;
        assert_true(stash_put(&stash, pool, (slice){bytes + put, len}));
    }
    size_t taken = 0;
    while (!stash_is_empty(&stash)) {
        slice held = stash_bytes(&stash);
        size_t len = held.len < take_step ? held.len : take_step;
        assert_true(held.len > 0);
        assert_memory_equal(held.at, bytes + taken, len);
        stash_take(&stash, pool, len);
        taken += len;
    }
    assert_int_equal(taken, BYTES);
    assert_int_equal(stash_bytes(&stash).len, 0);
}

static void bytes_come_out_as_they_went_in(void **state)
{
    (void)state;
    static const size_t steps[] = {100, 4096, BUFFER_BULK_BYTES, BUFFER_BULK_BYTES + 1, BYTES};
    for (size_t i = 0; i < sizeof(steps) / sizeof(steps[0]); i++) {
        for (size_t j = 0; j < sizeof(steps) / sizeof(steps[0]); j++) {
            move(steps[i], steps[j]);
        }
    }
}

static void bytes_may_be_put_while_others_are_taken(void **state)
{
    (void)state;
    struct stash stash = {0};
    size_t put = 0;
    size_t taken = 0;
    while (taken < BYTES) {
        size_t len = BYTES - put < 30000 ? BYTES - put : 30000;
        assert_true(stash_put(&stash, pool, (slice){bytes + put, len}));
        put += len;
        slice held = stash_bytes(&stash);
        size_t half = held.len / 2 + 1;
        assert_memory_equal(held.at, bytes + taken, half);
        stash_take(&stash, pool, half);
        taken += half;
    }
    assert_true(stash_is_empty(&stash));
}

static void nothing_put_is_nothing_held(void **state)
{
    (void)state;
    struct stash stash = {0};
    assert_true(stash_put(&stash, pool, (slice){"", 0}));
    assert_true(stash_is_empty(&stash));
    assert_int_equal(stash_bytes(&stash).len, 0);
}

static void a_cleared_stash_can_be_used_again(void **state)
{
    (void)state;
    struct stash stash = {0};
    for (int i = 0; i < 2; i++) {
        assert_true(stash_put(&stash, pool, (slice){bytes, BYTES}));
        stash_clear(&stash, pool);
        assert_true(stash_is_empty(&stash));
    }
    stash_clear(&stash, pool);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(bytes_come_out_as_they_went_in),
        cmocka_unit_test(bytes_may_be_put_while_others_are_taken),
        cmocka_unit_test(nothing_put_is_nothing_held),
        cmocka_unit_test(a_cleared_stash_can_be_used_again),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
