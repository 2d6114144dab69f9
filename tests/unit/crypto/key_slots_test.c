/* tests/unit/crypto/key_slots_test.c · SPDX-License-Identifier: Apache-2.0 */
#include "crypto/key_slots.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

enum { COUNT = 4 };

static int on_wake(void *argument)
{
    (void)argument;
    return 1;
}

static struct key_answer answer_to(const struct key_slot *slot)
{
    return (struct key_answer){.slot = slot->request.slot, .generation = slot->request.generation};
}

static int set_up(void **state)
{
    static struct key_slots slots;
    assert_true(key_slots_init(&slots, COUNT));
    *state = &slots;
    return 0;
}

static int tear_down(void **state)
{
    key_slots_fini(*state);
    return 0;
}

static void slots_run_out_and_come_back(void **state)
{
    struct key_slots *slots = *state;
    struct key_slot *taken[COUNT];
    for (size_t i = 0; i < COUNT; i++) {
        taken[i] = key_slots_take(slots, i);
        assert_non_null(taken[i]);
    }
    assert_null(key_slots_take(slots, 9));
    assert_int_equal(key_slots_used(slots), COUNT);
    key_slots_sent(slots, COUNT);
    assert_int_equal(key_slots_queued(slots), 0);
    key_slots_fail_sent(slots);
    for (size_t i = 0; i < COUNT; i++) {
        assert_false(key_slot_is_pending(taken[i]));
        key_slots_give_back(slots, taken[i]);
    }
    assert_int_equal(key_slots_used(slots), 0);
}

static void an_answer_finds_its_slot_only_while_it_is_awaited(void **state)
{
    struct key_slots *slots = *state;
    struct key_slot *slot = key_slots_take(slots, 0);
    struct key_answer answer = answer_to(slot);
    assert_null(key_slots_find(slots, &answer)); /* not sent yet */
    key_slots_sent(slots, 1);
    assert_ptr_equal(key_slots_find(slots, &answer), slot);
    answer.generation--;
    assert_null(key_slots_find(slots, &answer));
    answer.generation++;
    key_slots_end(slots, slot, KEY_SLOT_DONE);
    assert_null(key_slots_find(slots, &answer));
    key_slots_give_back(slots, slot);
    struct key_slot *again = key_slots_take(slots, 0);
    assert_ptr_equal(again, slot);
    key_slots_sent(slots, 1);
    assert_null(key_slots_find(slots, &answer)); /* late, for the one before */
    key_slots_fail_sent(slots);
    key_slots_give_back(slots, again);
    answer.slot = COUNT;
    assert_null(key_slots_find(slots, &answer));
}

static void only_the_old_ones_in_the_queue_fail(void **state)
{
    struct key_slots *slots = *state;
    struct key_slot *taken[3];
    for (size_t i = 0; i < 3; i++) {
        taken[i] = key_slots_take(slots, 10 * (i + 1));
        taken[i]->job.wake = on_wake;
    }
    key_slots_fail_queued(slots, 20);
    assert_int_equal(taken[0]->state, KEY_SLOT_FAILED);
    assert_int_equal(taken[1]->state, KEY_SLOT_FAILED);
    assert_int_equal(taken[2]->state, KEY_SLOT_QUEUED);
    assert_int_equal(key_slots_queued(slots), 1);
    assert_ptr_equal(key_slots_queued_at(slots, 0), taken[2]);
    assert_ptr_equal(key_slots_next_ready(slots), taken[0]);
    assert_ptr_equal(key_slots_next_ready(slots), taken[1]);
    assert_null(key_slots_next_ready(slots));
    assert_false(key_slots_has_sent_before(slots, 1000));
    key_slots_sent(slots, 1);
    assert_true(key_slots_has_sent_before(slots, 31));
    assert_false(key_slots_has_sent_before(slots, 30));
}

static void a_slot_used_again_before_its_wake_is_ready_once(void **state)
{
    struct key_slots *slots = *state;
    for (int i = 0; i < 10; i++) {
        struct key_slot *slot = key_slots_take(slots, 0);
        slot->job.wake = on_wake;
        key_slots_sent(slots, 1);
        key_slots_end(slots, slot, KEY_SLOT_DONE);
        key_slots_give_back(slots, slot);
    }
    struct key_slot *ready = key_slots_next_ready(slots);
    assert_non_null(ready);
    assert_null(ready->job.wake);
    assert_false(key_slots_has_ready(slots));
}

static void the_youngest_may_be_given_back_unsent(void **state)
{
    struct key_slots *slots = *state;
    struct key_slot *first = key_slots_take(slots, 0);
    struct key_slot *second = key_slots_take(slots, 0);
    key_slots_give_back(slots, second);
    assert_int_equal(key_slots_queued(slots), 1);
    assert_ptr_equal(key_slots_queued_at(slots, 0), first);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(slots_run_out_and_come_back, set_up, tear_down),
        cmocka_unit_test_setup_teardown(an_answer_finds_its_slot_only_while_it_is_awaited, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(only_the_old_ones_in_the_queue_fail, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_slot_used_again_before_its_wake_is_ready_once, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(the_youngest_may_be_given_back_unsent, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
