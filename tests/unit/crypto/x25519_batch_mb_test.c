/* tests/unit/crypto/x25519_batch_mb_test.c
 *
 * Built where libcrypto-mb is; skipped by machines without the instructions that it needs. Through
 * agreements.c, which knows what must not be given to the library.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "crypto/x25519_batch_mb.c"

#include "crypto/agreements.c"

#include <openssl/rand.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

enum { RANDOM_CALLS = 1000 };

struct fixture {
    struct agreements *agreements;
    struct x25519 *openssl;
    struct x25519_share shares[X25519_BATCH_LANES];
    uint8_t points[X25519_BATCH_LANES][X25519_BYTES];
    size_t given; /* to the library */
};

static int set_up(void **state)
{
    static struct fixture fixture;
    fixture = (struct fixture){.agreements = agreements_new(NULL), .openssl = x25519_new()};
    *state = &fixture;
    return 0;
}

static int tear_down(void **state)
{
    struct fixture *fixture = *state;
    agreements_free(fixture->agreements);
    x25519_free(fixture->openssl);
    return 0;
}

/* Where the machine can, the library has to be sound as well. */
static void skip_if_the_machine_cannot(const struct fixture *fixture)
{
    if (!x25519_batch_is_there()) {
        skip();
    }
    assert_non_null(fixture->agreements);
}

/* The points with fresh shares, in one call as a flush makes it; each beside OpenSSL. */
static void compare(struct fixture *fixture, size_t count)
{
    uint8_t secrets[X25519_BATCH_LANES][X25519_BYTES];
    struct agreement agreements[X25519_BATCH_LANES];
    struct agreement *group[X25519_BATCH_LANES];
    size_t given = 0;
    for (size_t i = 0; i < count; i++) {
        assert_true(agreements_make_share(fixture->agreements, &fixture->shares[i]));
        agreements[i] = (struct agreement){
            .share = &fixture->shares[i], .peer = fixture->points[i], .secret = secrets[i]};
        if (is_for_batches(fixture->points[i])) {
            group[given++] = &agreements[i];
        } else {
            agree_alone(fixture->agreements, &agreements[i]);
        }
    }
    if (given > 0) {
        agree_together(fixture->agreements, group, given);
    }
    fixture->given += given;
    share_pool_refill(&fixture->agreements->pool);
    for (size_t i = 0; i < count; i++) {
        uint8_t expected[X25519_BYTES];
        bool may_agree =
            x25519_agree(fixture->openssl, &fixture->shares[i], fixture->points[i], expected);
        assert_int_equal(agreements[i].has_agreed, may_agree);
        if (may_agree) {
            assert_memory_equal(secrets[i], expected, X25519_BYTES);
        }
    }
}

static void random_points_give_what_openssl_gets(void **state)
{
    struct fixture *fixture = *state;
    skip_if_the_machine_cannot(fixture);
    for (size_t i = 0; i < RANDOM_CALLS; i++) {
        size_t count = i % X25519_BATCH_LANES + 1;
        assert_int_equal(RAND_bytes(fixture->points[0], sizeof(fixture->points)), 1);
        compare(fixture, count);
    }
    assert_true(fixture->given > RANDOM_CALLS * 4);
}

static void key_shares_are_those_of_their_scalars(void **state)
{
    struct fixture *fixture = *state;
    skip_if_the_machine_cannot(fixture);
    for (size_t i = 0; i < RANDOM_CALLS; i++) {
        struct x25519_share made;
        assert_true(share_pool_take(&fixture->agreements->pool, &made));
        struct x25519_share expected = made;
        assert_true(x25519_complete_share(fixture->openssl, &expected));
        assert_memory_equal(made.point, expected.point, X25519_BYTES);
        share_pool_refill(&fixture->agreements->pool);
    }
}

static void fill(struct fixture *fixture, const uint8_t *point)
{
    for (size_t i = 0; i < X25519_BATCH_LANES; i++) {
        memcpy(fixture->points[i], point, X25519_BYTES);
    }
}

/* Those of low order among them: 0, 1, p - 1, p, p + 1. */
static void points_at_the_ends_of_the_range(void **state)
{
    struct fixture *fixture = *state;
    skip_if_the_machine_cannot(fixture);
    for (int distance = 0; distance < 40; distance++) {
        for (int unused_bit = 0; unused_bit < 2; unused_bit++) {
            uint8_t low[X25519_BYTES] = {(uint8_t)distance};
            uint8_t high[X25519_BYTES];
            memset(high, 0xff, sizeof(high));
            high[0] = (uint8_t)(0xff - distance); /* from 2^255 - 1, past the prime, on down */
            low[31] = unused_bit == 0 ? 0 : 0x80;
            high[31] = unused_bit == 0 ? 0x7f : 0xff;
            fill(fixture, low);
            compare(fixture, X25519_BATCH_LANES);
            fill(fixture, high);
            compare(fixture, X25519_BATCH_LANES);
        }
    }
}

/* The points of order 8 (RFC 7748 §7 refers to the list), with and without the unused bit. */
static void points_of_low_order_are_refused(void **state)
{
    static const uint8_t order_8[2][X25519_BYTES] = {
        {0xe0, 0xeb, 0x7a, 0x7c, 0x3b, 0x41, 0xb8, 0xae, 0x16, 0x56, 0xe3,
         0xfa, 0xf1, 0x9f, 0xc4, 0x6a, 0xda, 0x09, 0x8d, 0xeb, 0x9c, 0x32,
         0xb1, 0xfd, 0x86, 0x62, 0x05, 0x16, 0x5f, 0x49, 0xb8, 0x00},
        {0x5f, 0x9c, 0x95, 0xbc, 0xa3, 0x50, 0x8c, 0x24, 0xb1, 0xd0, 0xb1,
         0x55, 0x9c, 0x83, 0xef, 0x5b, 0x04, 0x44, 0x5c, 0xc4, 0x58, 0x1c,
         0x8e, 0x86, 0xd8, 0x22, 0x4e, 0xdd, 0xd0, 0x9f, 0x11, 0x57}};
    struct fixture *fixture = *state;
    skip_if_the_machine_cannot(fixture);
    for (size_t i = 0; i < 4; i++) {
        uint8_t point[X25519_BYTES];
        uint8_t secret[X25519_BYTES];
        memcpy(point, order_8[i / 2], X25519_BYTES);
        point[31] |= i % 2 == 0 ? 0 : 0x80;
        fill(fixture, point);
        compare(fixture, X25519_BATCH_LANES);
        assert_false(x25519_agree(fixture->openssl, &fixture->shares[0], point, secret));
    }
}

/* One run of equal bits in a random point, or in one that is otherwise all of the other bit. */
static void points_with_one_long_run(void **state)
{
    struct fixture *fixture = *state;
    skip_if_the_machine_cannot(fixture);
    for (size_t len = 8; len < 255; len += 5) {
        for (size_t from = len % 4; from + len <= 255; from += 9) {
            assert_int_equal(RAND_bytes(fixture->points[0], sizeof(fixture->points)), 1);
            memset(fixture->points[4], 0, X25519_BYTES);
            memset(fixture->points[5], 0xff, X25519_BYTES);
            for (size_t bit = from; bit < from + len; bit++) {
                uint8_t mask = (uint8_t)(1U << (bit % 8));
                fixture->points[0][bit / 8] |= mask;
                fixture->points[1][bit / 8] &= (uint8_t)~mask;
                fixture->points[4][bit / 8] |= mask;
                fixture->points[5][bit / 8] &= (uint8_t)~mask;
            }
            compare(fixture, X25519_BATCH_LANES);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(random_points_give_what_openssl_gets, set_up, tear_down),
        cmocka_unit_test_setup_teardown(key_shares_are_those_of_their_scalars, set_up, tear_down),
        cmocka_unit_test_setup_teardown(points_at_the_ends_of_the_range, set_up, tear_down),
        cmocka_unit_test_setup_teardown(points_of_low_order_are_refused, set_up, tear_down),
        cmocka_unit_test_setup_teardown(points_with_one_long_run, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
