/* tests/unit/proxy/gossip/replay_window_test.c · SPDX-License-Identifier: Apache-2.0 */
#include "proxy/gossip/replay_window.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

enum { NONCE_BYTES = 12 };

/* Different for each number, and spread as random ones are. */
static void put_nonce(uint8_t nonce[NONCE_BYTES], uint64_t number)
{
    uint64_t mixed = (number + 1) * 0xd1342543de82ef95U;
    memset(nonce, 0, NONCE_BYTES);
    memcpy(nonce + 4, &mixed, sizeof(mixed));
}

static bool add(struct replay_window *window, uint64_t number)
{
    uint8_t nonce[NONCE_BYTES];
    put_nonce(nonce, number);
    return replay_window_add(window, nonce);
}

static void the_last_n_are_refused_at_every_moment(void **state)
{
    (void)state;
    static const uint64_t SIZES[] = {1, 2, 3, 5, 48, 100, 1000};
    for (size_t i = 0; i < sizeof(SIZES) / sizeof(SIZES[0]); i++) {
        struct replay_window window;
        assert_int_equal(replay_window_init(&window, SIZES[i]), STATUS_OK);
        for (uint64_t number = 0; number < 5 * SIZES[i]; number++) {
            assert_true(add(&window, number));
            uint64_t first = number >= SIZES[i] ? number - SIZES[i] + 1 : 0;
            for (uint64_t seen = first; seen <= number; seen += 1 + SIZES[i] / 50) {
                assert_false(add(&window, seen));
            }
        }
        replay_window_fini(&window);
    }
}

static void what_we_have_drawn_is_refused_at_once_and_counts(void **state)
{
    (void)state;
    enum { N = 64 };
    struct replay_window window;
    uint8_t nonce[NONCE_BYTES];
    assert_int_equal(replay_window_init(&window, N), STATUS_OK);
    for (uint64_t number = 0; number < 2 * N; number++) {
        put_nonce(nonce, number);
        replay_window_expect(&window, nonce);
        replay_window_remember(&window, nonce);
        if (number % 3 == 0) {
            assert_false(add(&window, number));
        }
    }
    assert_false(add(&window, 2 * N - 1)); /* the last one, for which no other has followed */
    assert_false(add(&window, N));
    assert_true(add(&window, 0)); /* two generations ago */
    replay_window_fini(&window);
}

static void what_is_older_than_twice_n_is_forgotten(void **state)
{
    (void)state;
    struct replay_window window;
    assert_int_equal(replay_window_init(&window, 64), STATUS_OK);
    for (uint64_t number = 0; number < 128; number++) {
        assert_true(add(&window, number));
    }
    assert_true(add(&window, 0));
    replay_window_fini(&window);
}

static void a_nonce_of_zeros_is_one_like_others(void **state)
{
    (void)state;
    static const uint8_t zero[NONCE_BYTES];
    struct replay_window window;
    assert_int_equal(replay_window_init(&window, 8), STATUS_OK);
    assert_true(replay_window_add(&window, zero));
    assert_false(replay_window_add(&window, zero));
    replay_window_fini(&window);
}

/* Takes minutes when they stand in one row. */
static void nonces_that_count_do_not_slow_it_down(void **state)
{
    (void)state;
    struct replay_window window;
    assert_int_equal(replay_window_init(&window, 300000), STATUS_OK);
    for (uint32_t number = 0; number < 600000; number++) {
        uint8_t nonce[NONCE_BYTES] = {0};
        nonce[9] = (uint8_t)(number >> 16);
        nonce[10] = (uint8_t)(number >> 8);
        nonce[11] = (uint8_t)number;
        assert_true(replay_window_add(&window, nonce));
        assert_false(replay_window_add(&window, nonce));
    }
    replay_window_fini(&window);
}

static void none_are_remembered_when_it_is_off(void **state)
{
    (void)state;
    struct replay_window window;
    assert_int_equal(replay_window_init(&window, 0), STATUS_OK);
    uint8_t nonce[NONCE_BYTES];
    put_nonce(nonce, 1);
    replay_window_expect(&window, nonce);
    replay_window_remember(&window, nonce);
    assert_true(add(&window, 1));
    assert_true(add(&window, 1));
    replay_window_fini(&window);
    replay_window_fini(&window);
}

static void refuses_more_than_the_most(void **state)
{
    (void)state;
    struct replay_window window;
    assert_int_equal(replay_window_init(&window, REPLAY_WINDOW_NONCES_MAX + 1ULL), STATUS_REFUSED);
    assert_int_equal(replay_window_init(&window, UINT64_MAX), STATUS_REFUSED);
    replay_window_fini(&window);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_last_n_are_refused_at_every_moment),
        cmocka_unit_test(what_we_have_drawn_is_refused_at_once_and_counts),
        cmocka_unit_test(what_is_older_than_twice_n_is_forgotten),
        cmocka_unit_test(a_nonce_of_zeros_is_one_like_others),
        cmocka_unit_test(nonces_that_count_do_not_slow_it_down),
        cmocka_unit_test(none_are_remembered_when_it_is_off),
        cmocka_unit_test(refuses_more_than_the_most),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
