/* tests/unit/proxy/process/slots_test.c · SPDX-License-Identifier: Apache-2.0 */
#include "proxy/process/slots.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

static void shows_the_master_what_a_worker_counts(void **state)
{
    (void)state;
    struct slots *slots = slots_new(3);
    assert_non_null(slots);
    struct counters *second = slots_attach(slots_descriptor(slots), 1);
    assert_non_null(second);
    counter_add(second, COUNTER_EXCHANGES, 7);
    assert_int_equal(counter_get(slots_at(slots, 1), COUNTER_EXCHANGES), 7);
    assert_int_equal(counter_get(slots_at(slots, 0), COUNTER_EXCHANGES), 0);
    assert_int_equal(counter_get(slots_at(slots, 2), COUNTER_EXCHANGES), 0);
    slots_free(slots);
}

static void keeps_totals_and_clears_what_was_open_when_a_worker_is_lost(void **state)
{
    (void)state;
    struct slots *slots = slots_new(1);
    struct counters *counters = slots_at(slots, 0);
    counter_add(counters, COUNTER_EXCHANGES, 7);
    counter_add(counters, COUNTER_CONNS_OPEN, 5);
    counter_add(counters, COUNTER_TUNNELS_OPEN, 2);
    slots_clear_open(slots, 0);
    assert_int_equal(counter_get(counters, COUNTER_EXCHANGES), 7);
    assert_int_equal(counter_get(counters, COUNTER_CONNS_OPEN), 0);
    assert_int_equal(counter_get(counters, COUNTER_TUNNELS_OPEN), 0);
    slots_free(slots);
}

static void refuses_a_slot_that_is_not_there(void **state)
{
    (void)state;
    struct slots *slots = slots_new(2);
    assert_null(slots_attach(slots_descriptor(slots), 2));
    assert_null(slots_attach(-1, 0));
    slots_free(slots);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(shows_the_master_what_a_worker_counts),
        cmocka_unit_test(keeps_totals_and_clears_what_was_open_when_a_worker_is_lost),
        cmocka_unit_test(refuses_a_slot_that_is_not_there),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
