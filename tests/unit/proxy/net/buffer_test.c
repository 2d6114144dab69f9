/* tests/unit/proxy/net/buffer_test.c · SPDX-License-Identifier: Apache-2.0 */
#include "proxy/net/buffer.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static void holds_no_block_without_bytes(void **state)
{
    (void)state;
    struct buffer_pool *pool = buffer_pool_new();
    struct buffer buffer = {0};
    assert_true(buffer_append(&buffer, pool, SLICE("")));
    assert_null(buffer.base);
    assert_true(buffer_append(&buffer, pool, SLICE("abc")));
    buffer_consume(&buffer, pool, 1);
    assert_true(slice_equal(buffer_bytes(&buffer), SLICE("bc")));
    buffer_consume(&buffer, pool, 2);
    assert_null(buffer.base);
    assert_true(buffer_is_empty(&buffer));
    buffer_consume(&buffer, pool, 0);
    buffer_clear(&buffer, pool);
    buffer_pool_free(pool);
    buffer_pool_free(NULL);
}

static void takes_the_smallest_class_that_fits(void **state)
{
    (void)state;
    static const struct {
        size_t wanted;
        uint32_t size; /* 0: refused */
    } cases[] = {
        {1, BUFFER_SMALL_BYTES},     {BUFFER_SMALL_BYTES, BUFFER_SMALL_BYTES},
        {4097, BUFFER_RECORD_BYTES}, {BUFFER_RECORD_BYTES + 1, BUFFER_BULK_BYTES},
        {69633, BUFFER_LARGE_BYTES}, {BUFFER_LARGE_BYTES + 1, BUFFER_HUGE_BYTES},
        {BUFFER_HUGE_BYTES + 1, 0},  {SIZE_MAX, 0},
    };
    struct buffer_pool *pool = buffer_pool_new();
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct buffer buffer = {0};
        assert_int_equal(buffer_reserve(&buffer, pool, cases[i].wanted), cases[i].size > 0);
        assert_int_equal(buffer.size, cases[i].size);
        buffer_clear(&buffer, pool);
    }
    buffer_pool_free(pool);
}

static void grows_and_compacts_without_losing_a_byte(void **state)
{
    (void)state;
    struct buffer_pool *pool = buffer_pool_new();
    struct buffer buffer = {0};
    uint32_t written = 0;
    uint32_t read = 0;
    for (size_t step = 0; step < 2000; step++) {
        size_t add = step * 37 % 5000;
        if (buffer_reserve(&buffer, pool, add)) {
            for (size_t i = 0; i < add; i++) {
                buffer_room_at(&buffer)[i] = (char)(written++ * 31 >> 3);
            }
            buffer_commit(&buffer, add);
        } else {
            assert_true(buffer_len(&buffer) + add > BUFFER_HUGE_BYTES);
        }
        size_t drop = step * 53 % 4500;
        drop = drop < buffer_len(&buffer) ? drop : buffer_len(&buffer);
        for (size_t i = 0; i < drop; i++) {
            assert_int_equal(buffer_bytes(&buffer).at[i], (char)(read++ * 31 >> 3));
        }
        buffer_consume(&buffer, pool, drop);
        assert_int_equal(buffer_len(&buffer), written - read);
    }
    buffer_clear(&buffer, pool);
    buffer_pool_free(pool);
}

static void moves_to_the_start_before_it_grows(void **state)
{
    (void)state;
    struct buffer_pool *pool = buffer_pool_new();
    struct buffer buffer = {0};
    assert_true(buffer_reserve(&buffer, pool, BUFFER_SMALL_BYTES));
    memset(buffer_room_at(&buffer), 'x', BUFFER_SMALL_BYTES);
    buffer_commit(&buffer, BUFFER_SMALL_BYTES);
    assert_int_equal(buffer_room(&buffer), 0);
    buffer_consume(&buffer, pool, 1000);
    assert_true(buffer_reserve(&buffer, pool, 1000));
    assert_int_equal(buffer.size, BUFFER_SMALL_BYTES);
    assert_int_equal(buffer.start, 0);
    assert_true(buffer_reserve(&buffer, pool, 1001));
    assert_int_equal(buffer.size, BUFFER_RECORD_BYTES);
    assert_int_equal(buffer_len(&buffer), 3096);
    buffer_clear(&buffer, pool);
    buffer_pool_free(pool);
}

static void gives_blocks_to_the_next_that_asks(void **state)
{
    (void)state;
    struct buffer_pool *pool = buffer_pool_new();
    struct buffer many[300] = {{0}};
    assert_true(buffer_append(&many[0], pool, SLICE("a")));
    char *base = many[0].base;
    buffer_clear(&many[0], pool);
    assert_true(buffer_append(&many[1], pool, SLICE("b")));
    assert_ptr_equal(many[1].base, base);
    buffer_clear(&many[1], pool);
    for (size_t i = 0; i < 300; i++) { /* more than the pool keeps */
        assert_true(buffer_reserve(&many[i], pool, i % 2 == 0 ? 1 : BUFFER_BULK_BYTES));
    }
    for (size_t i = 0; i < 300; i++) {
        buffer_clear(&many[i], pool);
    }
    buffer_pool_free(pool);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(holds_no_block_without_bytes),
        cmocka_unit_test(takes_the_smallest_class_that_fits),
        cmocka_unit_test(grows_and_compacts_without_losing_a_byte),
        cmocka_unit_test(moves_to_the_start_before_it_grows),
        cmocka_unit_test(gives_blocks_to_the_next_that_asks),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
