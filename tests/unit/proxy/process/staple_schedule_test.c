/* tests/unit/proxy/process/staple_schedule_test.c · SPDX-License-Identifier: Apache-2.0 */
#include "proxy/process/staple_schedule.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

enum { NOW = 1800000000, HOUR = 3600, DAY = 24 * HOUR };

static void asks_at_once_at_first(void **state)
{
    (void)state;
    const struct staple_schedule fresh = {0};
    assert_true(staple_schedule_is_due(&fresh, NOW));
    struct staple_schedule schedule = {0};
    staple_schedule_note_answer(&schedule, NOW + 9 * DAY, NOW + 18 * DAY, NOW, 0);
    assert_false(staple_schedule_is_due(&schedule, NOW));
    assert_true(staple_schedule_is_due(&schedule, NOW - 100 * DAY)); /* the clock was set back */
}

static void asks_again_in_the_middle_and_at_least_once_a_day(void **state)
{
    (void)state;
    static const struct {
        int64_t refresh_in, ends_in, most;
    } ROWS[] = {
        {HOUR, 2 * HOUR, HOUR},
        {5 * DAY, 10 * DAY, DAY},
        {-DAY, 3 * DAY, STAPLE_AGAIN_SECONDS}, /* from a cache, past its middle */
        {-HOUR, 100, 50},
        {-HOUR, 2, 1},
        {-HOUR, 1, 1},
        {0, 2 * HOUR, STAPLE_AGAIN_SECONDS},
        {1, 2, 1},
    };
    static const uint32_t CHANCES[] = {0, 1, 17, 40000, UINT32_MAX};
    for (size_t i = 0; i < sizeof(ROWS) / sizeof(ROWS[0]); i++) {
        for (size_t k = 0; k < sizeof(CHANCES) / sizeof(CHANCES[0]); k++) {
            struct staple_schedule schedule = {.failures = 3};
            staple_schedule_note_answer(&schedule, NOW + ROWS[i].refresh_in, NOW + ROWS[i].ends_in,
                                        NOW, CHANCES[k]);
            int64_t wait = schedule.ask_at - NOW;
            if (wait < 1 || wait > ROWS[i].most || wait < ROWS[i].most * 3 / 4) {
                fail_msg("row %zu: %lld s", i, (long long)wait);
            }
            assert_int_equal(schedule.failures, 0);
            assert_false(staple_schedule_is_due(&schedule, NOW));
            assert_true(staple_schedule_is_due(&schedule, NOW + ROWS[i].most));
        }
    }
}

static void waits_longer_after_each_failure_and_never_more_than_an_hour(void **state)
{
    (void)state;
    struct staple_schedule schedule = {0};
    static const int64_t WAITS[] = {60, 120, 240, 480, 960, 1920, 3600, 3600, 3600};
    for (size_t i = 0; i < sizeof(WAITS) / sizeof(WAITS[0]); i++) {
        assert_int_equal(staple_schedule_note_failure(&schedule, NOW, 0), WAITS[i]);
        assert_int_equal(schedule.ask_at, NOW + WAITS[i]);
    }
    for (size_t i = 0; i < 1000; i++) {
        int64_t wait = staple_schedule_note_failure(&schedule, NOW, (uint32_t)(i * 7919));
        assert_in_range(wait, STAPLE_RETRY_SECONDS_MAX * 3 / 4, STAPLE_RETRY_SECONDS_MAX);
    }
    staple_schedule_note_answer(&schedule, NOW + HOUR, NOW + 2 * HOUR, NOW, 0);
    assert_int_equal(staple_schedule_note_failure(&schedule, NOW, 0), STAPLE_RETRY_SECONDS);
}

static void chance_spreads_those_who_ask(void **state)
{
    (void)state;
    size_t differ = 0;
    int64_t before = 0;
    for (uint32_t chance = 0; chance < 100; chance++) {
        struct staple_schedule schedule = {.failures = 5};
        int64_t wait = staple_schedule_note_failure(&schedule, NOW, chance * 2654435761U);
        differ += wait != before;
        before = wait;
    }
    assert_true(differ > 90);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(asks_at_once_at_first),
        cmocka_unit_test(asks_again_in_the_middle_and_at_least_once_a_day),
        cmocka_unit_test(waits_longer_after_each_failure_and_never_more_than_an_hour),
        cmocka_unit_test(chance_spreads_those_who_ask),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
