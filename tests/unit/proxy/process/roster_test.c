/* tests/unit/proxy/process/roster_test.c
 *
 * A roster whose children are the other ends of their channels, in this process.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "proxy/process/roster.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

enum { WORKERS = 2, KEYHOLDER_END = WORKERS, PID_BASE = 1000000 };

struct rig {
    struct config config;
    struct loop *loop;
    struct roster roster;
    int ends[WORKERS + 1];
};

static struct child *child_at(struct rig *rig, size_t i)
{
    return i == KEYHOLDER_END ? &rig->roster.keyholders[0] : &rig->roster.workers[i];
}

static int open_rig(void **state)
{
    struct rig *rig = calloc(1, sizeof(*rig));
    rig->config.certificate_count = 3;
    rig->loop = loop_new();
    const struct roster_supplies supplies = {.loop = rig->loop, .config = &rig->config};
    const struct child_events events = {.self = rig};
    if (roster_init(&rig->roster, &supplies, &(struct snapshot){-1, -1}, WORKERS, &events) !=
        STATUS_OK) {
        return -1;
    }
    for (size_t i = 0; i <= WORKERS; i++) {
        if (channel_pair(&child_at(rig, i)->channel, &rig->ends[i]) != STATUS_OK) {
            return -1;
        }
    }
    *state = rig;
    return 0;
}

static int close_rig(void **state)
{
    struct rig *rig = *state;
    for (size_t i = 0; i <= WORKERS; i++) {
        struct child *child = child_at(rig, i);
        child->pid = -1; /* none of these may be signalled */
        if (child->channel >= 0) {
            (void)close(child->channel);
        }
        (void)close(rig->ends[i]);
    }
    roster_fini(&rig->roster);
    loop_free(rig->loop);
    free(rig);
    return 0;
}

/* The next message to a child; its descriptors are closed. */
static enum status next(struct rig *rig, size_t i, struct channel_message *message,
                        uint8_t packet[CHANNEL_PACKET_MAX])
{
    enum status status = channel_receive(rig->ends[i], CHANNEL_MASTER, packet, message);
    for (size_t j = 0; status == STATUS_OK && j < message->descriptor_count; j++) {
        (void)close(message->descriptors[j]);
    }
    return status;
}

static void children_are_found_by_their_process(void **state)
{
    struct rig *rig = *state;
    for (size_t i = 0; i <= WORKERS; i++) {
        child_at(rig, i)->pid = PID_BASE + (pid_t)i;
    }
    for (size_t i = 0; i <= WORKERS; i++) {
        assert_ptr_equal(roster_find(&rig->roster, PID_BASE + (pid_t)i), child_at(rig, i));
    }
    assert_null(roster_find(&rig->roster, PID_BASE - 1));
}

static void the_roster_is_ready_when_every_child_is(void **state)
{
    struct rig *rig = *state;
    for (size_t i = 0; i <= WORKERS; i++) {
        assert_false(roster_is_ready(&rig->roster));
        child_at(rig, i)->state = CHILD_READY;
    }
    assert_true(roster_is_ready(&rig->roster));
    child_at(rig, 0)->state = CHILD_ENDING;
    assert_false(roster_is_ready(&rig->roster));
}

static void workers_are_down_without_the_keyholder(void **state)
{
    struct rig *rig = *state;
    child_at(rig, KEYHOLDER_END)->pid = PID_BASE;
    assert_true(roster_workers_are_down(&rig->roster));
    child_at(rig, 1)->pid = PID_BASE + 1;
    assert_false(roster_workers_are_down(&rig->roster));
}

static void workers_alone_are_told(void **state)
{
    struct rig *rig = *state;
    struct channel_message message;
    uint8_t packet[CHANNEL_PACKET_MAX];
    roster_tell_workers(&rig->roster, &(struct channel_message){.kind = CHANNEL_DRAIN});
    for (size_t i = 0; i < WORKERS; i++) {
        assert_int_equal(next(rig, i, &message, packet), STATUS_OK);
        assert_int_equal(message.kind, CHANNEL_DRAIN);
    }
    assert_int_equal(next(rig, KEYHOLDER_END, &message, packet), STATUS_AGAIN);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, open_rig, close_rig)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(children_are_found_by_their_process),
        TEST(the_roster_is_ready_when_every_child_is),
        TEST(workers_are_down_without_the_keyholder),
        TEST(workers_alone_are_told),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
