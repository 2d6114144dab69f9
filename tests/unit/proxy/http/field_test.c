/* tests/unit/proxy/http/field_test.c · SPDX-License-Identifier: Apache-2.0 */
#include "proxy/http/field.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

static void every_token_is_found_by_its_name(void **state)
{
    (void)state;
    for (unsigned token = FIELD_OTHER + 1; token < FIELD_TOKENS; token++) {
        slice name = field_name_of((enum field_token)token);
        assert_true(name.len > 0);
        assert_int_equal(field_token_of(name), token);
        for (size_t i = 0; i < name.len; i++) {
            assert_int_equal(field_name_bytes[(unsigned char)name.at[i]], name.at[i]);
        }
    }
    assert_int_equal(field_token_of(SLICE("hosu")), FIELD_OTHER);
    assert_int_equal(field_token_of(SLICE("")), FIELD_OTHER);
    assert_int_equal(field_token_of(SLICE("a-name-longer-than-all-of-them")), FIELD_OTHER);
}

static void names_are_tokens(void **state)
{
    (void)state;
    for (unsigned byte = 0; byte < 256; byte++) {
        char name[1] = {(char)byte};
        bool is_letter = (byte >= 'a' && byte <= 'z') || (byte >= 'A' && byte <= 'Z');
        bool is_digit = byte >= '0' && byte <= '9';
        bool is_mark = byte != 0 && strchr("!#$%&'*+-.^_`|~", (int)byte) != NULL;
        bool expected = is_letter || is_digit || is_mark;
        assert_int_equal(field_is_token((slice){name, 1}), expected);
        assert_int_equal(field_name_make_lower(name, 1), expected);
        if (expected) {
            assert_int_equal(name[0], slice_lower((char)byte));
        }
    }
    assert_false(field_name_make_lower(NULL, 0));
    assert_false(field_is_token((slice){NULL, 0}));
}

/* Each byte at each place of values of each length up to three words. */
static void control_characters_are_found_wherever_they_stand(void **state)
{
    (void)state;
    for (unsigned byte = 0; byte < 256; byte++) {
        bool is_control = (byte < ' ' && byte != '\t') || byte == 0x7f;
        for (size_t len = 1; len <= 24; len++) {
            char *value = malloc(len);
            assert_non_null(value);
            for (size_t at = 0; at < len; at++) {
                memset(value, at % 2 == 0 ? '\xff' : '\t', len);
                value[at] = (char)byte;
                slice text = {value, len};
                assert_int_equal(field_value_find_control(text), is_control ? at : len);
                assert_int_equal(field_value_is_valid(text), !is_control);
            }
            free(value);
        }
    }
    assert_true(field_value_is_valid((slice){NULL, 0}));
}

static void lists_grow_keep_order_and_forget(void **state)
{
    (void)state;
    struct arena_pool pool = {0};
    struct arena arena;
    arena_init(&arena, &pool, 1 << 20);
    struct fields fields = {0};
    for (size_t i = 0; i < 100; i++) {
        assert_int_equal(fields_add(&fields, &arena, FIELD_VIA, SLICE("1")), STATUS_OK);
        assert_int_equal(fields_add_named(&fields, &arena, SLICE("x"), SLICE("2")), STATUS_OK);
        assert_int_equal(fields_add_named(&fields, &arena, SLICE("host"), SLICE("3")), STATUS_OK);
    }
    assert_int_equal(fields.count, 300);
    assert_int_equal(fields_count(&fields, FIELD_HOST), 100);
    assert_true(slice_equal(fields_find(&fields, FIELD_HOST)->value, SLICE("3")));
    fields_remove(&fields, FIELD_VIA);
    assert_null(fields_find(&fields, FIELD_VIA));
    assert_int_equal(fields.count, 200);
    fields_remove_named(&fields, SLICE("host"));
    assert_int_equal(fields.count, 100);
    assert_null(fields_find_named(&fields, SLICE("host")));
    assert_non_null(fields_find_named(&fields, SLICE("x")));
    arena_reset(&arena);
    arena_pool_fini(&pool);
}

static void members_are_found_in_any_field_and_case(void **state)
{
    (void)state;
    struct arena_pool pool = {0};
    struct arena arena;
    arena_init(&arena, &pool, 1 << 20);
    struct fields fields = {0};
    assert_int_equal(fields_add(&fields, &arena, FIELD_CONNECTION, SLICE("a, b")), STATUS_OK);
    assert_int_equal(fields_add(&fields, &arena, FIELD_CONNECTION, SLICE("c ,\tClose")), STATUS_OK);
    assert_true(fields_has_member(&fields, FIELD_CONNECTION, SLICE("close")));
    assert_false(fields_has_member(&fields, FIELD_CONNECTION, SLICE("clos")));
    assert_false(fields_has_member(&fields, FIELD_UPGRADE, SLICE("close")));
    arena_reset(&arena);
    arena_pool_fini(&pool);
}

static void a_full_arena_refuses_fields(void **state)
{
    (void)state;
    struct arena_pool pool = {0};
    struct arena arena;
    arena_init(&arena, &pool, 16);
    struct fields fields = {0};
    assert_int_equal(fields_add(&fields, &arena, FIELD_VIA, SLICE("1")), STATUS_NOMEM);
    assert_int_equal(fields.count, 0);
    arena_pool_fini(&pool);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_token_is_found_by_its_name),
        cmocka_unit_test(names_are_tokens),
        cmocka_unit_test(control_characters_are_found_wherever_they_stand),
        cmocka_unit_test(lists_grow_keep_order_and_forget),
        cmocka_unit_test(members_are_found_in_any_field_and_case),
        cmocka_unit_test(a_full_arena_refuses_fields),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
