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
    return i == KEYHOLDER_END ? &rig->roster.keyholder : &rig->roster.workers[i];
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

static void both_ends_of_a_key_channel_are_handed_out(void **state)
{
    struct rig *rig = *state;
    struct channel_message message;
    uint8_t packet[CHANNEL_PACKET_MAX];
    roster_connect_keys(&rig->roster, child_at(rig, 1));
    assert_int_equal(next(rig, KEYHOLDER_END, &message, packet), STATUS_OK);
    assert_int_equal(message.kind, CHANNEL_WORKER);
    assert_int_equal(message.number, 1);
    static const uint8_t IDS[] = {0, 0, 16, 0, 0, 0, 16, 1, 0, 0, 16, 2}; /* of generation 1 */
    assert_int_equal(message.payload.len, sizeof(IDS));
    assert_memory_equal(message.payload.at, IDS, sizeof(IDS));
    assert_int_equal(next(rig, 1, &message, packet), STATUS_OK);
    assert_int_equal(message.kind, CHANNEL_KEYS);
    assert_int_equal(next(rig, 0, &message, packet), STATUS_AGAIN);
}

static void a_key_channel_is_renewed_only_for_the_last_one(void **state)
{
    struct rig *rig = *state;
    struct channel_message message;
    uint8_t packet[CHANNEL_PACKET_MAX];
    child_at(rig, 0)->keys_given = 2;
    roster_renew_keys(&rig->roster, child_at(rig, 0), 1);
    assert_int_equal(next(rig, 0, &message, packet), STATUS_AGAIN);
    roster_renew_keys(&rig->roster, child_at(rig, 0), 2);
    assert_int_equal(next(rig, 0, &message, packet), STATUS_OK);
    assert_int_equal(child_at(rig, 0)->keys_given, 3);
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
        TEST(both_ends_of_a_key_channel_are_handed_out),
        TEST(a_key_channel_is_renewed_only_for_the_last_one),
        TEST(workers_alone_are_told),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
