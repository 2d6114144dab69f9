/* tests/unit/proxy/net/timer_test.c · SPDX-License-Identifier: Apache-2.0 */
#include "proxy/net/timer_lists.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { DEADLINES = 200 };

struct rig {
    struct timer_lists lists;
    uint64_t now_ms;
    struct deadline deadlines[DEADLINES];
    int fired[DEADLINES];
    int count;
    struct deadline *to_disarm;
    int rearms;
};

static struct rig *rig_of(void **state)
{
    return *state;
}

static int set_up(void **state)
{
    struct rig *rig = calloc(1, sizeof(*rig));
    timer_lists_init(&rig->lists);
    *state = rig;
    return 0;
}

static int tear_down(void **state)
{
    free(*state);
    return 0;
}

static void on_deadline(void *self);

/* As deadline_arm, with a clock of the test's own. */
static void arm(struct rig *rig, int which, uint64_t after_ms)
{
    struct deadline *deadline = &rig->deadlines[which];
    deadline_disarm(deadline);
    deadline->at_ms = rig->now_ms + after_ms;
    deadline->on_deadline = on_deadline;
    deadline->self = rig;
    timer_lists_add(&rig->lists, deadline, after_ms);
}

static void on_deadline(void *self)
{
    struct rig *rig = self;
    for (int i = 0; i < DEADLINES; i++) { /* the one that is due and no longer armed */
        struct deadline *deadline = &rig->deadlines[i];
        if (deadline->at_ms != 0 && !deadline_is_armed(deadline) && deadline != rig->to_disarm) {
            assert_true(deadline->at_ms <= rig->now_ms);
            deadline->at_ms = 0;
            rig->fired[rig->count++ % DEADLINES] = i;
            if (rig->rearms > 0) {
                rig->rearms--;
                arm(rig, i, 10);
            }
            break;
        }
    }
    if (rig->to_disarm != NULL) {
        deadline_disarm(rig->to_disarm);
    }
}

static void fire_at(struct rig *rig, uint64_t now_ms)
{
    rig->now_ms = now_ms;
    timer_lists_fire(&rig->lists, now_ms);
}

static void fires_when_due_and_never_before(void **state)
{
    struct rig *rig = rig_of(state);
    assert_true(timer_lists_are_empty(&rig->lists));
    arm(rig, 0, 50);
    arm(rig, 1, 20);
    assert_false(timer_lists_are_empty(&rig->lists));
    fire_at(rig, 19);
    assert_int_equal(rig->count, 0);
    fire_at(rig, 20);
    assert_int_equal(rig->count, 1);
    assert_int_equal(rig->fired[0], 1);
    fire_at(rig, 1000);
    assert_int_equal(rig->count, 2);
    assert_true(timer_lists_are_empty(&rig->lists));
}

static void arming_again_puts_off(void **state)
{
    struct rig *rig = rig_of(state);
    arm(rig, 0, 50);
    arm(rig, 1, 50);
    rig->now_ms = 30;
    arm(rig, 0, 50);
    fire_at(rig, 50);
    assert_int_equal(rig->count, 1);
    assert_int_equal(rig->fired[0], 1);
    fire_at(rig, 80);
    assert_int_equal(rig->count, 2);
}

static void a_callback_may_arm_itself_again(void **state)
{
    struct rig *rig = rig_of(state);
    rig->rearms = 2;
    arm(rig, 0, 10);
    fire_at(rig, 10);
    assert_int_equal(rig->count, 1); /* not in the same breath */
    fire_at(rig, 20);
    fire_at(rig, 30);
    assert_int_equal(rig->count, 3);
    assert_true(timer_lists_are_empty(&rig->lists));
}

static void a_callback_may_disarm_another(void **state)
{
    struct rig *rig = rig_of(state);
    arm(rig, 0, 10);
    arm(rig, 1, 10); /* same list, next in turn */
    rig->to_disarm = &rig->deadlines[1];
    fire_at(rig, 10);
    assert_int_equal(rig->count, 1);
    assert_true(timer_lists_are_empty(&rig->lists));
}

static void more_durations_than_places_are_no_trouble(void **state)
{
    struct rig *rig = rig_of(state);
    for (int i = 0; i < DEADLINES; i++) {
        arm(rig, i, (uint64_t)(DEADLINES - i) * 10); /* latest first */
    }
    for (uint64_t now_ms = 10; now_ms <= DEADLINES * 10; now_ms += 10) {
        fire_at(rig, now_ms);
        assert_int_equal(rig->count, now_ms / 10);
    }
    assert_true(timer_lists_are_empty(&rig->lists));
    for (int i = 0; i < DEADLINES; i++) { /* places are free again */
        arm(rig, i, (uint64_t)i + 1);
        fire_at(rig, rig->now_ms + (uint64_t)i + 1);
    }
    assert_true(timer_lists_are_empty(&rig->lists));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(fires_when_due_and_never_before, set_up, tear_down),
        cmocka_unit_test_setup_teardown(arming_again_puts_off, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_callback_may_arm_itself_again, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_callback_may_disarm_another, set_up, tear_down),
        cmocka_unit_test_setup_teardown(more_durations_than_places_are_no_trouble, set_up,
                                        tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
