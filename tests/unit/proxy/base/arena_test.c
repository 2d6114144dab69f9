/* tests/unit/proxy/base/arena_test.c · SPDX-License-Identifier: Apache-2.0 */
#include "proxy/base/arena.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static void takes_aligned_memory_that_does_not_overlap(void **state)
{
    (void)state;
    struct arena_pool pool = {0};
    struct arena arena;
    arena_init(&arena, &pool, 1 << 20);
    unsigned char *taken[200];
    for (size_t i = 0; i < 200; i++) {
        taken[i] = arena_take(&arena, i * 7);
        assert_non_null(taken[i]);
        assert_int_equal((uintptr_t)taken[i] % _Alignof(max_align_t), 0);
        memset(taken[i], (int)i, i * 7);
    }
    for (size_t i = 0; i < 200; i++) {
        for (size_t at = 0; at < i * 7; at++) {
            assert_int_equal(taken[i][at], i);
        }
    }
    arena_reset(&arena);
    assert_true(pool.free_count > 0);
    arena_pool_fini(&pool);
}

static void stops_at_its_limit_and_begins_anew_after_reset(void **state)
{
    (void)state;
    struct arena_pool pool = {0};
    struct arena arena;
    arena_init(&arena, &pool, 10000);
    assert_null(arena_take(&arena, 10001));
    assert_null(arena_take(&arena, SIZE_MAX));
    assert_non_null(arena_take(&arena, 6000)); /* larger than a block */
    assert_non_null(arena_take(&arena, 4000));
    assert_null(arena_take(&arena, 1));
    assert_null(arena_copy(&arena, SLICE("x")).at);
    arena_reset(&arena);
    assert_int_equal(pool.free_count, 1); /* the large block went back to the system */
    assert_non_null(arena_take(&arena, 10000));
    arena_reset(&arena);
    arena_pool_fini(&pool);
    assert_int_equal(pool.free_count, 0);
}

static void reuses_blocks_of_the_pool(void **state)
{
    (void)state;
    struct arena_pool pool = {0};
    struct arena first;
    struct arena second;
    arena_init(&first, &pool, 100000);
    arena_init(&second, &pool, 100000);
    void *taken = arena_take(&first, 10);
    arena_reset(&first);
    assert_ptr_equal(arena_take(&second, 3000), taken);
    assert_int_equal(pool.free_count, 0);
    arena_reset(&second);
    arena_pool_fini(&pool);
}

static void copies_and_joins(void **state)
{
    (void)state;
    struct arena_pool pool = {0};
    struct arena arena;
    arena_init(&arena, &pool, 100000);
    char text[] = "abc";
    slice copy = arena_copy(&arena, slice_of(text));
    text[0] = 'x';
    assert_true(slice_equal(copy, SLICE("abc")));
    const slice parts[] = {SLICE("a"), {NULL, 0}, SLICE("bc"), SLICE("")};
    assert_true(slice_equal(arena_join(&arena, parts, 4), SLICE("abc")));
    slice empty = arena_join(&arena, parts, 0);
    assert_non_null(empty.at); /* not to be taken for a failure */
    assert_int_equal(empty.len, 0);
    arena_reset(&arena);
    arena_pool_fini(&pool);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(takes_aligned_memory_that_does_not_overlap),
        cmocka_unit_test(stops_at_its_limit_and_begins_anew_after_reset),
        cmocka_unit_test(reuses_blocks_of_the_pool),
        cmocka_unit_test(copies_and_joins),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
