/* tests/unit/proxy/http1/field_line_test.c
 *
 * What lines may hold is tested with heads (request_test.c) and trailers (chunked_test.c); here
 * are the writer's edges.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "proxy/http1/field_line.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

static void numbers_are_decimal(void **state)
{
    (void)state;
    static const struct {
        uint64_t number;
        const char *text;
    } rows[] = {{0, "0"}, {9, "9"}, {10, "10"}, {UINT64_MAX, "18446744073709551615"}};
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        char out[32];
        struct line_writer writer = {.out = out, .room = sizeof(out)};
        line_writer_put_number(&writer, rows[i].number);
        assert_true(slice_equal((slice){out, writer.len}, slice_of(rows[i].text)));
    }
}

static void a_full_writer_counts_on_and_touches_nothing(void **state)
{
    (void)state;
    for (size_t room = 0; room <= 8; room++) {
        char out[9] = "........";
        struct line_writer writer = {.out = out, .room = room};
        line_writer_put_field(&writer, SLICE("a"), SLICE("b"));
        line_writer_put(&writer, SLICE("cd"));
        assert_int_equal(writer.len, 8);
        for (size_t i = room; i < 8; i++) {
            assert_int_equal(out[i], '.');
        }
        if (room == 8) {
            assert_string_equal(out, "a: b\r\ncd");
        }
    }
}

static void lines_up_to_the_empty_one_are_read(void **state)
{
    (void)state;
    struct arena_pool pool = {0};
    struct arena arena;
    arena_init(&arena, &pool, 1 << 16);
    struct fields fields = {0};
    char lines[] = "A:1\r\nHost: \t b c\t \r\n\r\nx: y\r\n";
    assert_int_equal(field_lines_parse(lines, sizeof(lines) - 1, 2, &arena, &fields), FAULT_NONE);
    assert_int_equal(fields.count, 2);
    assert_true(slice_equal(fields.at[0].name, SLICE("a")));
    assert_true(slice_equal(fields.at[1].value, SLICE("b c")));
    assert_int_equal(fields.at[1].token, FIELD_HOST);
    arena_reset(&arena);
    arena_pool_fini(&pool);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(numbers_are_decimal),
        cmocka_unit_test(a_full_writer_counts_on_and_touches_nothing),
        cmocka_unit_test(lines_up_to_the_empty_one_are_read),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
