/* tests/unit/crypto/x25519_test.c · SPDX-License-Identifier: Apache-2.0 */
#include "crypto/x25519.h"

#include <openssl/err.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

static int set_up(void **state)
{
    *state = x25519_new();
    assert_non_null(*state);
    return 0;
}

static int tear_down(void **state)
{
    x25519_free(*state);
    return 0;
}

/* RFC 7748 §5.2, the repeated one: a step multiplies the last point by the last scalar. */
static void repeats_as_the_standard_says(void **state)
{
    static const uint8_t after_1000[X25519_BYTES] = {
        0x68, 0x4c, 0xf5, 0x9b, 0xa8, 0x33, 0x09, 0x55, 0x28, 0x00, 0xef,
        0x56, 0x6f, 0x2f, 0x4d, 0x3c, 0x1c, 0x38, 0x87, 0xc4, 0x93, 0x60,
        0xe3, 0x87, 0x5f, 0x2e, 0xb9, 0x4d, 0x99, 0x53, 0x2c, 0x51};
    struct x25519_share share = {.scalar = {9}};
    uint8_t point[X25519_BYTES] = {9};
    for (int i = 0; i < 1000; i++) {
        uint8_t next[X25519_BYTES];
        assert_true(x25519_complete_share(*state, &share));
        assert_true(x25519_agree(*state, &share, point, next));
        memcpy(point, share.scalar, X25519_BYTES);
        memcpy(share.scalar, next, X25519_BYTES);
    }
    assert_memory_equal(share.scalar, after_1000, X25519_BYTES);
}

static void two_sides_agree(void **state)
{
    struct x25519_share left;
    struct x25519_share right;
    uint8_t of_left[X25519_BYTES];
    uint8_t of_right[X25519_BYTES];
    assert_true(x25519_make_share(*state, &left));
    assert_true(x25519_make_share(*state, &right));
    assert_memory_not_equal(left.scalar, right.scalar, X25519_BYTES);
    assert_true(x25519_agree(*state, &left, right.point, of_left));
    assert_true(x25519_agree(*state, &right, left.point, of_right));
    assert_memory_equal(of_left, of_right, X25519_BYTES);
}

/* RFC 8446 §7.4.2. The error of an earlier call, for which somebody is still to look, stays. */
static void an_all_zero_secret_is_none(void **state)
{
    struct x25519_share share;
    uint8_t secret[X25519_BYTES];
    assert_true(x25519_make_share(*state, &share));
    ERR_clear_error();
    ERR_raise(ERR_LIB_USER, 77);
    for (uint8_t i = 0; i < 2; i++) {
        const uint8_t low_order[X25519_BYTES] = {i};
        assert_false(x25519_agree(*state, &share, low_order, secret));
    }
    assert_int_equal(ERR_GET_REASON(ERR_get_error()), 77);
    assert_int_equal(ERR_get_error(), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(repeats_as_the_standard_says, set_up, tear_down),
        cmocka_unit_test_setup_teardown(two_sides_agree, set_up, tear_down),
        cmocka_unit_test_setup_teardown(an_all_zero_secret_is_none, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
