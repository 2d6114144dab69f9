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
    key_slots_sent(slots, COUNT, 30);
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
    key_slots_sent(slots, 1, 30);
    assert_ptr_equal(key_slots_find(slots, &answer), slot);
    answer.generation--;
    assert_null(key_slots_find(slots, &answer));
    answer.generation++;
    key_slots_end(slots, slot, KEY_SLOT_DONE);
    assert_null(key_slots_find(slots, &answer));
    key_slots_give_back(slots, slot);
    struct key_slot *again = key_slots_take(slots, 0);
    assert_ptr_equal(again, slot);
    key_slots_sent(slots, 1, 30);
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
    key_slots_sent(slots, 1, 30);
    assert_true(key_slots_has_sent_before(slots, 31));
    assert_false(key_slots_has_sent_before(slots, 30));
}

static void a_slot_used_again_before_its_wake_is_ready_once(void **state)
{
    struct key_slots *slots = *state;
    for (int i = 0; i < 10; i++) {
        struct key_slot *slot = key_slots_take(slots, 0);
        slot->job.wake = on_wake;
        key_slots_sent(slots, 1, 30);
        key_slots_end(slots, slot, KEY_SLOT_DONE);
        key_slots_give_back(slots, slot);
    }
    struct key_slot *ready = key_slots_next_ready(slots);
    assert_non_null(ready);
    assert_null(ready->job.wake);
    assert_false(key_slots_has_ready(slots));
}

static void any_may_be_given_back_unsent(void **state)
{
    struct key_slots *slots = *state;
    struct key_slot *taken[COUNT];
    for (size_t given = 0; given < COUNT; given++) {
        for (size_t i = 0; i < COUNT; i++) {
            taken[i] = key_slots_take(slots, 0);
        }
        key_slots_give_back(slots, taken[given]);
        assert_int_equal(key_slots_queued(slots), COUNT - 1);
        for (size_t i = 0; i < COUNT - 1; i++) {
            assert_ptr_equal(key_slots_queued_at(slots, i), taken[i < given ? i : i + 1]);
        }
        for (size_t i = 0; i < COUNT; i++) {
            if (i != given) {
                key_slots_give_back(slots, taken[i]);
            }
        }
        assert_int_equal(key_slots_used(slots), 0);
    }
}

static void what_is_asked_again_comes_before_what_was_never_sent(void **state)
{
    struct key_slots *slots = *state;
    struct key_slot *taken[COUNT];
    for (size_t i = 0; i < COUNT; i++) {
        taken[i] = key_slots_take(slots, 10 * (i + 1));
        taken[i]->job.wake = on_wake;
    }
    key_slots_sent(slots, 3, 50);
    key_slots_ask_again(slots, 60, 10, 2);
    assert_int_equal(taken[0]->state, KEY_SLOT_FAILED); /* it has waited for too long */
    assert_ptr_equal(key_slots_next_ready(slots), taken[0]);
    assert_null(key_slots_next_ready(slots));
    assert_int_equal(key_slots_queued(slots), 3);
    for (size_t i = 0; i < 3; i++) {
        assert_ptr_equal(key_slots_queued_at(slots, i), taken[i + 1]);
    }
    struct key_answer answer = answer_to(taken[1]);
    assert_null(key_slots_find(slots, &answer)); /* of the keyholder that is gone */
    key_slots_fail_queued(slots, 59);            /* how long it waits counts anew */
    assert_int_equal(taken[1]->state, KEY_SLOT_QUEUED);
    assert_int_equal(taken[3]->state, KEY_SLOT_FAILED);
    assert_int_equal(key_slots_queued(slots), 2);
}

static void nothing_is_asked_for_ever(void **state)
{
    struct key_slots *slots = *state;
    struct key_slot *slot = key_slots_take(slots, 10);
    for (unsigned i = 0; i < 3; i++) {
        assert_int_equal(slot->state, KEY_SLOT_QUEUED);
        key_slots_sent(slots, 1, 20);
        key_slots_ask_again(slots, 20, 0, 3);
    }
    assert_int_equal(slot->state, KEY_SLOT_FAILED);
    key_slots_give_back(slots, slot);
    slot = key_slots_take(slots, 10);
    assert_int_equal(slot->times_sent, 0);
}

static void keys_are_wanted_while_a_request_for_them_waits(void **state)
{
    struct key_slots *slots = *state;
    assert_false(key_slots_want(slots, 0, 100)); /* what is free asks for nothing */
    struct key_slot *slot = key_slots_take(slots, 0);
    slot->request.key_id = 41;
    assert_true(key_slots_want(slots, 40, 2));
    assert_false(key_slots_want(slots, 42, 10));
    assert_false(key_slots_want(slots, 40, 1));
    key_slots_sent(slots, 1, 0);
    assert_true(key_slots_want(slots, 41, 1));
    key_slots_end(slots, slot, KEY_SLOT_DONE);
    assert_false(key_slots_want(slots, 41, 1));
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
        cmocka_unit_test_setup_teardown(any_may_be_given_back_unsent, set_up, tear_down),
        cmocka_unit_test_setup_teardown(what_is_asked_again_comes_before_what_was_never_sent,
                                        set_up, tear_down),
        cmocka_unit_test_setup_teardown(nothing_is_asked_for_ever, set_up, tear_down),
        cmocka_unit_test_setup_teardown(keys_are_wanted_while_a_request_for_them_waits, set_up,
                                        tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
