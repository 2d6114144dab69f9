/* tests/unit/crypto/secret_test.c · SPDX-License-Identifier: Apache-2.0 */
#include "crypto/secret.c"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

static void holds_what_fits_and_refuses_more(void **state)
{
    (void)state;
    struct secret secret;
    assert_true(secret_init(&secret, 8));
    assert_null(secret_bytes(&secret));
    assert_true(secret_set(&secret, "12345678", 8));
    assert_false(secret_set(&secret, "123456789", 9));
    assert_int_equal(secret_len(&secret), 8);
    assert_memory_equal(secret_bytes(&secret), "12345678", 8);
    secret_fini(&secret);
    assert_null(secret_bytes(&secret));
    secret_fini(&secret);
}

static void a_shorter_secret_leaves_nothing_of_the_longer_one(void **state)
{
    (void)state;
    struct secret secret;
    assert_true(secret_init(&secret, 5000));
    memset(secret_room(&secret), 'x', 5000);
    assert_true(secret_set(&secret, "ab", 2));
    for (size_t i = 2; i < secret.mapped; i++) {
        assert_int_equal(secret.pages[i], 0);
    }
    secret_fini(&secret);
}

static void compares_by_length_and_bytes(void **state)
{
    (void)state;
    struct secret secret;
    assert_true(secret_init(&secret, 8));
    assert_true(secret_equals(&secret, "", 0));
    assert_true(secret_set(&secret, "abc", 3));
    assert_true(secret_equals(&secret, "abc", 3));
    assert_false(secret_equals(&secret, "abd", 3));
    assert_false(secret_equals(&secret, "ab", 2));
    assert_false(secret_equals(&secret, "abcd", 4));
    secret_fini(&secret);
}

static void randomness_differs_each_time(void **state)
{
    (void)state;
    struct secret first;
    struct secret second;
    assert_true(secret_init(&first, 32) && secret_init(&second, 32));
    assert_true(secret_set_random(&first, 32) && secret_set_random(&second, 32));
    assert_false(secret_equals(&first, secret_bytes(&second), 32));
    assert_false(secret_set_random(&first, 33));
    assert_false(secret_set_random(&first, 0));
    secret_fini(&first);
    secret_fini(&second);
}

static void an_empty_secret_is_harmless(void **state)
{
    (void)state;
    struct secret secret = {0};
    assert_int_equal(secret_len(&secret), 0);
    assert_false(secret_set(&secret, "x", 1));
    assert_true(secret_set(&secret, NULL, 0));
    assert_false(secret_init(&secret, 0));
    assert_false(secret_init(&secret, SIZE_MAX));
    secret_fini(&secret);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(holds_what_fits_and_refuses_more),
        cmocka_unit_test(a_shorter_secret_leaves_nothing_of_the_longer_one),
        cmocka_unit_test(compares_by_length_and_bytes),
        cmocka_unit_test(randomness_differs_each_time),
        cmocka_unit_test(an_empty_secret_is_harmless),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
