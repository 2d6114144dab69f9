/* tests/unit/proxy/process/roster_reload_test.c
 *
 * A reload as the children hear it; they are the other ends of their channels, in this process.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "proxy/process/roster_reload.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cmocka.h>

enum { WORKERS = 2, KEYHOLDERS = 2, KEYHOLDER_END = WORKERS, ENDS = WORKERS + KEYHOLDERS };

struct rig {
    struct config config;
    struct loop *loop;
    struct listen_sockets *sockets;
    struct roster roster;
    struct live_generation *next;
    int ends[ENDS];
};

static struct child *child_at(struct rig *rig, size_t i)
{
    return i < WORKERS ? &rig->roster.workers[i] : &rig->roster.keyholders[i - KEYHOLDER_END];
}

static struct snapshot new_snapshot(void)
{
    return (struct snapshot){memfd_create("w", MFD_CLOEXEC), memfd_create("k", MFD_CLOEXEC)};
}

static int open_rig(void **state)
{
    struct rig *rig = calloc(1, sizeof(*rig));
    struct process_error error;
    struct snapshot snapshot = new_snapshot();
    rig->config =
        (struct config){.file = "f.yaml", .certificate_count = 1, .keyholders = KEYHOLDERS};
    rig->loop = loop_new();
    const struct roster_supplies supplies = {.loop = rig->loop, .config = &rig->config};
    const struct child_events events = {.self = rig};
    if (roster_init(&rig->roster, &supplies, &snapshot, WORKERS, &events) != STATUS_OK ||
        listen_sockets_open(&rig->sockets, &rig->config, WORKERS, &(struct listen_sources){0},
                            &error) != STATUS_OK) {
        return -1;
    }
    for (size_t i = 0; i < ENDS; i++) {
        struct child *child = child_at(rig, i);
        child->state = CHILD_READY;
        if (channel_pair(&child->channel, &rig->ends[i]) != STATUS_OK) {
            return -1;
        }
    }
    for (size_t i = 0; i < WORKERS; i++) {
        live_generation_use(rig->roster.present, i);
    }
    snapshot = new_snapshot();
    rig->next = live_generation_new(2, &snapshot, &rig->config, WORKERS);
    *state = rig;
    return rig->next == NULL ? -1 : 0;
}

static int close_rig(void **state)
{
    struct rig *rig = *state;
    for (size_t i = 0; i < ENDS; i++) {
        (void)close(child_at(rig, i)->channel);
        (void)close(rig->ends[i]);
    }
    if (rig->roster.present != rig->next) {
        live_generation_free(rig->next);
    }
    listen_sockets_close(rig->sockets);
    roster_fini(&rig->roster);
    loop_free(rig->loop);
    free(rig);
    return 0;
}

/* The next message to a child must be this one. */
static void hears(struct rig *rig, size_t i, enum channel_kind kind, uint32_t number)
{
    uint8_t packet[CHANNEL_PACKET_MAX];
    struct channel_message message;
    assert_int_equal(channel_receive(rig->ends[i], CHANNEL_MASTER, packet, &message), STATUS_OK);
    for (size_t j = 0; j < message.descriptor_count; j++) {
        (void)close(message.descriptors[j]);
    }
    assert_int_equal(message.kind, kind);
    assert_int_equal(message.number, number);
}

static void hears_nothing(struct rig *rig, size_t i)
{
    uint8_t packet[CHANNEL_PACKET_MAX];
    struct channel_message message;
    assert_int_equal(channel_receive(rig->ends[i], CHANNEL_MASTER, packet, &message), STATUS_AGAIN);
}

static void keyholders_hear(struct rig *rig, enum channel_kind kind, uint32_t number)
{
    for (size_t i = KEYHOLDER_END; i < ENDS; i++) {
        hears(rig, i, kind, number);
    }
}

static void keyholders_hear_nothing(struct rig *rig)
{
    for (size_t i = KEYHOLDER_END; i < ENDS; i++) {
        hears_nothing(rig, i);
    }
}

static void prepare_all(struct rig *rig)
{
    struct roster *roster = &rig->roster;
    assert_true(roster_prepare_keys(roster, rig->next));
    keyholders_hear(rig, CHANNEL_BUNDLE, 2);
    keyholders_hear(rig, CHANNEL_PREPARE, 2);
    assert_false(roster_is_prepared(roster));
    roster_note_prepared(roster, &roster->keyholders[0], 2);
    roster_note_prepared(roster, &roster->keyholders[1], 1); /* of another time */
    assert_false(roster_is_prepared(roster));
    roster_note_prepared(roster, &roster->keyholders[1], 2);
    assert_true(roster_is_prepared(roster));
    roster_prepare_workers(roster, rig->next, &rig->config, rig->sockets, NULL);
    for (size_t i = 0; i < WORKERS; i++) {
        hears(rig, i, CHANNEL_BUNDLE, 2);
        hears(rig, i, CHANNEL_PREPARE, 2);
        assert_false(roster_is_prepared(roster));
        roster_note_prepared(roster, &roster->workers[i], 2);
    }
    assert_true(roster_is_prepared(roster));
}

static void the_former_keys_go_when_the_last_worker_has_let_go(void **state)
{
    struct rig *rig = *state;
    struct roster *roster = &rig->roster;
    prepare_all(rig);
    roster_commit(roster, rig->next, &rig->config, rig->sockets);
    for (size_t i = 0; i < WORKERS; i++) {
        hears(rig, i, CHANNEL_COMMIT, 2);
    }
    roster_note_released(roster, &roster->workers[0], 2); /* not a former one: no effect */
    roster_note_released(roster, &roster->workers[0], 1);
    roster_note_released(roster, &roster->workers[0], 1);
    keyholders_hear_nothing(rig);
    roster_note_lost(roster, &roster->workers[1]); /* as good as released */
    keyholders_hear(rig, CHANNEL_RELEASE, 1);
    keyholders_hear_nothing(rig);
    assert_ptr_equal(list_first(&roster->generations), &rig->next->link);
}

static void a_rollback_is_told_to_those_who_were_asked(void **state)
{
    struct rig *rig = *state;
    struct roster *roster = &rig->roster;
    assert_true(roster_prepare_keys(roster, rig->next));
    keyholders_hear(rig, CHANNEL_BUNDLE, 2);
    keyholders_hear(rig, CHANNEL_PREPARE, 2);
    roster_rollback(roster, rig->next);
    keyholders_hear(rig, CHANNEL_ROLLBACK, 2);
    hears_nothing(rig, 0);
    assert_true(roster_is_prepared(roster)); /* nobody is asked any more */
    assert_int_equal(roster->present->number, 1);
}

static void what_is_said_of_one_that_was_given_up_is_no_answer_about_the_next(void **state)
{
    struct rig *rig = *state;
    struct roster *roster = &rig->roster;
    struct snapshot snapshot = new_snapshot();
    struct live_generation *third = live_generation_new(3, &snapshot, &rig->config, WORKERS);
    roster_prepare_workers(roster, rig->next, &rig->config, rig->sockets, NULL);
    roster_rollback(roster, rig->next);
    roster_prepare_workers(roster, third, &rig->config, rig->sockets, NULL);
    for (size_t i = 0; i < WORKERS; i++) {
        roster_note_prepared(roster, &roster->workers[i], 2);
        assert_false(roster_is_prepared(roster));
    }
    for (size_t i = 0; i < WORKERS; i++) {
        roster_note_prepared(roster, &roster->workers[i], 3);
        roster_note_prepared(roster, &roster->workers[i], 2);
    }
    assert_true(roster_is_prepared(roster));
    roster_rollback(roster, third);
    live_generation_free(third);
}

static void a_worker_that_is_down_is_not_waited_for(void **state)
{
    struct rig *rig = *state;
    struct roster *roster = &rig->roster;
    roster->workers[1].state = CHILD_DOWN;
    roster_prepare_workers(roster, rig->next, &rig->config, rig->sockets, NULL);
    hears_nothing(rig, 1);
    hears(rig, 0, CHANNEL_BUNDLE, 2);
    roster_note_prepared(roster, &roster->workers[0], 2);
    assert_true(roster_is_prepared(roster));
}

static void without_one_of_its_keyholders_there_is_no_reload(void **state)
{
    struct rig *rig = *state;
    rig->roster.keyholders[1].state = CHILD_DOWN;
    assert_false(roster_prepare_keys(&rig->roster, rig->next));
    hears_nothing(rig, KEYHOLDER_END); /* the other one is not asked for nothing */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(the_former_keys_go_when_the_last_worker_has_let_go,
                                        open_rig, close_rig),
        cmocka_unit_test_setup_teardown(a_rollback_is_told_to_those_who_were_asked, open_rig,
                                        close_rig),
        cmocka_unit_test_setup_teardown(
            what_is_said_of_one_that_was_given_up_is_no_answer_about_the_next, open_rig, close_rig),
        cmocka_unit_test_setup_teardown(a_worker_that_is_down_is_not_waited_for, open_rig,
                                        close_rig),
        cmocka_unit_test_setup_teardown(without_one_of_its_keyholders_there_is_no_reload, open_rig,
                                        close_rig),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
