/* tests/unit/proxy/process/roster_keyholders_test.c
 *
 * How many keyholders there are and who is connected to which; all are the other ends of their
 * channels, in this process.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "proxy/process/roster_keyholders.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "crypto/keyholder.h"

enum { WORKERS = 3, KEYHOLDERS = 2, ENDS = WORKERS + KEYHOLDERS, PID_BASE = 1000000 };

struct rig {
    struct config config;
    struct loop *loop;
    struct log *log;
    struct roster roster;
    int ends[ENDS];
};

static struct child *child_at(struct rig *rig, size_t i)
{
    return i < WORKERS ? &rig->roster.workers[i] : &rig->roster.keyholders[i - WORKERS];
}

static int open_rig(void **state)
{
    struct rig *rig = calloc(1, sizeof(*rig));
    rig->config = (struct config){.certificate_count = 3, .keyholders = KEYHOLDERS};
    rig->loop = loop_new();
    rig->log = log_new(LOG_ERROR, LOG_JSON, STDERR_FILENO, "master");
    const struct roster_supplies supplies = {
        .loop = rig->loop, .config = &rig->config, .log = rig->log};
    const struct child_events events = {.self = rig};
    if (roster_init(&rig->roster, &supplies, &(struct snapshot){-1, -1}, WORKERS, &events) !=
        STATUS_OK) {
        return -1;
    }
    for (size_t i = 0; i < ENDS; i++) {
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
    for (size_t i = 0; i < ENDS; i++) {
        (void)close(child_at(rig, i)->channel);
        (void)close(rig->ends[i]);
    }
    roster_fini(&rig->roster);
    loop_free(rig->loop);
    log_free(rig->log);
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

static void hears_nothing(struct rig *rig, size_t i)
{
    struct channel_message message;
    uint8_t packet[CHANNEL_PACKET_MAX];
    assert_int_equal(next(rig, i, &message, packet), STATUS_AGAIN);
}

/* ---- how many ---- */

static void there_is_one_for_every_two_workers_unless_told(void **state)
{
    (void)state;
    static const struct {
        uint64_t keyholders;
        size_t certificates;
        size_t workers;
        size_t wanted;
    } rows[] = {
        {0, 0, 8, 0}, {5, 0, 8, 0}, {0, 1, 1, 1}, {0, 1, 2, 1}, {0, 1, 3, 1},   {0, 1, 4, 2},
        {0, 1, 9, 4}, {3, 1, 8, 3}, {9, 1, 8, 8}, {1, 1, 8, 1}, {1, 1, 512, 1}, {1, 1, 513, 2},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        const struct config config = {.keyholders = rows[i].keyholders,
                                      .certificate_count = rows[i].certificates};
        assert_int_equal(roster_keyholders_wanted(&config, rows[i].workers), rows[i].wanted);
    }
}

static void each_has_a_name(void **state)
{
    struct rig *rig = *state;
    assert_int_equal(rig->roster.keyholder_count, KEYHOLDERS);
    assert_string_equal(rig->roster.keyholders[0].role, "keyholder 1");
    assert_string_equal(rig->roster.keyholders[1].role, "keyholder 2");
    for (size_t i = 0; i < ENDS; i++) {
        assert_int_equal(roster_is_keyholder(&rig->roster, child_at(rig, i)), i >= WORKERS);
    }
}

static void all_are_found_and_have_to_be_ready(void **state)
{
    struct rig *rig = *state;
    for (size_t i = 0; i < ENDS; i++) {
        assert_false(roster_is_ready(&rig->roster));
        child_at(rig, i)->state = CHILD_READY;
        child_at(rig, i)->pid = PID_BASE + (pid_t)i;
    }
    assert_true(roster_is_ready(&rig->roster));
    for (size_t i = 0; i < ENDS; i++) {
        assert_ptr_equal(roster_find(&rig->roster, PID_BASE + (pid_t)i), child_at(rig, i));
    }
}

/* ---- channels ---- */

static void both_ends_of_a_key_channel_are_handed_out(void **state)
{
    struct rig *rig = *state;
    struct channel_message message;
    uint8_t packet[CHANNEL_PACKET_MAX];
    roster_connect_keys(&rig->roster, child_at(rig, 1));
    assert_int_equal(next(rig, WORKERS + 1, &message, packet), STATUS_OK);
    assert_int_equal(message.kind, CHANNEL_WORKER);
    assert_int_equal(message.number, 1);
    static const uint8_t IDS[] = {0, 0, 16, 0, 0, 0, 0, 3}; /* of generation 1, from 4096 on */
    assert_int_equal(message.payload.len, sizeof(IDS));
    assert_memory_equal(message.payload.at, IDS, sizeof(IDS));
    assert_int_equal(next(rig, 1, &message, packet), STATUS_OK);
    assert_int_equal(message.kind, CHANNEL_KEYS);
    hears_nothing(rig, 0);
    hears_nothing(rig, WORKERS);
}

/* A keyholder that loads its keys does not read for a while. */
static void thousands_of_ids_for_many_workers_find_room_in_a_channel(void **state)
{
    enum { MANY = 100 };
    struct rig *rig = *state;
    struct channel_message message;
    uint8_t packet[CHANNEL_PACKET_MAX];
    rig->roster.present->certificate_count = KEYHOLDER_KEYS_MAX;
    for (int i = 0; i < MANY; i++) {
        roster_connect_keys(&rig->roster, child_at(rig, 0));
        assert_int_equal(next(rig, 0, &message, packet), STATUS_OK);
    }
    for (int i = 0; i < MANY; i++) {
        assert_int_equal(next(rig, WORKERS, &message, packet), STATUS_OK);
    }
}

static void workers_take_turns_at_the_keyholders(void **state)
{
    struct rig *rig = *state;
    for (size_t i = 0; i < WORKERS; i++) {
        struct channel_message message;
        uint8_t packet[CHANNEL_PACKET_MAX];
        roster_connect_keys(&rig->roster, child_at(rig, i));
        assert_int_equal(next(rig, WORKERS + i % KEYHOLDERS, &message, packet), STATUS_OK);
        assert_int_equal(message.number, i);
    }
    hears_nothing(rig, WORKERS);
    hears_nothing(rig, WORKERS + 1);
}

static void a_key_channel_is_renewed_only_for_the_last_one(void **state)
{
    struct rig *rig = *state;
    struct channel_message message;
    uint8_t packet[CHANNEL_PACKET_MAX];
    child_at(rig, 0)->keys_given = 2;
    roster_renew_keys(&rig->roster, child_at(rig, 0), 1);
    hears_nothing(rig, 0);
    roster_renew_keys(&rig->roster, child_at(rig, 0), 2);
    assert_int_equal(next(rig, 0, &message, packet), STATUS_OK);
    assert_int_equal(child_at(rig, 0)->keys_given, 3);
}

static void on_end(void *self)
{
    loop_stop(self);
}

static void who_asks_again_and_again_waits(void **state)
{
    struct rig *rig = *state;
    struct channel_message message;
    uint8_t packet[CHANNEL_PACKET_MAX];
    struct child *worker = child_at(rig, 0);
    worker->keys_given = 1;
    roster_renew_keys(&rig->roster, worker, 1);
    assert_int_equal(next(rig, 0, &message, packet), STATUS_OK);
    for (int i = 0; i < 50; i++) {
        roster_renew_keys(&rig->roster, worker, 2);
    }
    hears_nothing(rig, 0);
    assert_int_equal(worker->keys_given, 2);
    struct deadline end = {.at_ms = 0};
    deadline_arm(&end, rig->loop, 500, on_end, rig->loop); /* after that of the worker */
    loop_run(rig->loop);
    assert_int_equal(next(rig, 0, &message, packet), STATUS_OK);
    hears_nothing(rig, 0);
    assert_int_equal(worker->keys_given, 3);
}

static void whose_keyholder_is_away_is_not_given_to_another(void **state)
{
    struct rig *rig = *state;
    int channel = child_at(rig, WORKERS)->channel;
    child_at(rig, WORKERS)->channel = -1;
    roster_connect_keys(&rig->roster, child_at(rig, 0));
    child_at(rig, WORKERS)->channel = channel;
    hears_nothing(rig, 0);
    hears_nothing(rig, WORKERS);
    hears_nothing(rig, WORKERS + 1);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, open_rig, close_rig)

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(there_is_one_for_every_two_workers_unless_told),
        TEST(each_has_a_name),
        TEST(all_are_found_and_have_to_be_ready),
        TEST(both_ends_of_a_key_channel_are_handed_out),
        TEST(thousands_of_ids_for_many_workers_find_room_in_a_channel),
        TEST(workers_take_turns_at_the_keyholders),
        TEST(a_key_channel_is_renewed_only_for_the_last_one),
        TEST(who_asks_again_and_again_waits),
        TEST(whose_keyholder_is_away_is_not_given_to_another),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
