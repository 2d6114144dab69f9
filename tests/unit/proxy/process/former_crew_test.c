/* tests/unit/proxy/process/former_crew_test.c · SPDX-License-Identifier: Apache-2.0 */
#include "proxy/process/former_crew.h"

#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

enum { CHILDREN = 4, DRAIN_MS = 20000, TURN_US = 2000 };

/* Two workers and a keyholder of one crew, and a gossip process: each a process that ends when its
 * channel does, or never. */
struct rig {
    struct loop *loop;
    struct log *log;
    int null;
    struct handover handover;
    struct former_crew *crew;
    int ends[CHILDREN]; /* the children's ends, for reading what they are told */
};

static const char *const ROLES[CHILDREN] = {"worker 1", "worker 2", "keyholder", "gossip 1"};

static int open_rig_with(void **state, bool is_stubborn)
{
    struct rig *rig = calloc(1, sizeof(*rig));
    rig->loop = loop_new();
    rig->null = open("/dev/null", O_WRONLY | O_CLOEXEC);
    rig->log = log_new(LOG_INFO, LOG_JSON, rig->null, "master");
    handover_init(&rig->handover);
    int ours[CHILDREN];
    for (int i = 0; i < CHILDREN; i++) {
        assert_int_equal(channel_pair(&ours[i], &rig->ends[i]), STATUS_OK);
    }
    for (int i = 0; i < CHILDREN; i++) {
        struct handover_child child = {.channel = ours[i], .crew = 1};
        pid_t pid = fork();
        if (pid == 0) { /* with no end but its own */
            for (int j = 0; j < CHILDREN; j++) {
                (void)close(ours[j]);
            }
            char byte[CHANNEL_HEAD_BYTES];
            while (is_stubborn || recv(rig->ends[i], byte, sizeof(byte), MSG_PEEK) != 0) {
                (void)usleep(TURN_US);
            }
            _exit(0);
        }
        child.pid = pid;
        (void)snprintf(child.role, sizeof(child.role), "%s", ROLES[i]);
        assert_int_equal(handover_add_child(&rig->handover, &child), STATUS_OK);
    }
    const struct former_crew_place place = {
        .loop = rig->loop, .log = rig->log, .handover = &rig->handover};
    assert_int_equal(former_crew_open(&rig->crew, &place), STATUS_OK);
    *state = rig;
    return 0;
}

static int open_rig(void **state)
{
    return open_rig_with(state, false);
}

static int open_stubborn_rig(void **state)
{
    return open_rig_with(state, true);
}

static int close_rig(void **state)
{
    struct rig *rig = *state;
    former_crew_close(rig->crew);
    for (size_t i = 0; i < rig->handover.child_count; i++) {
        (void)kill(rig->handover.children[i].pid, SIGKILL);
        (void)waitpid(rig->handover.children[i].pid, NULL, 0);
        (void)close(rig->handover.children[i].channel);
    }
    for (int i = 0; i < CHILDREN; i++) {
        (void)close(rig->ends[i]);
    }
    handover_fini(&rig->handover);
    loop_free(rig->loop);
    log_free(rig->log);
    (void)close(rig->null);
    free(rig);
    return 0;
}

static void reap(struct rig *rig)
{
    int status = 0;
    loop_turn(rig->loop);
    for (pid_t pid = waitpid(-1, &status, WNOHANG); pid > 0; pid = waitpid(-1, &status, WNOHANG)) {
        assert_true(former_crew_on_exit(rig->crew, pid, status));
    }
    (void)usleep(TURN_US);
}

static bool has(const struct rig *rig, const char *role)
{
    for (size_t i = 0; i < rig->handover.child_count; i++) {
        if (strcmp(rig->handover.children[i].role, role) == 0) {
            return true;
        }
    }
    return false;
}

static pid_t pid_of(const struct rig *rig, const char *role)
{
    for (size_t i = 0; i < rig->handover.child_count; i++) {
        if (strcmp(rig->handover.children[i].role, role) == 0) {
            return rig->handover.children[i].pid;
        }
    }
    return 0;
}

/* Kills it, and waits until the crew knows. */
static void lose(struct rig *rig, const char *role)
{
    assert_int_equal(kill(pid_of(rig, role), SIGKILL), 0);
    while (has(rig, role)) {
        reap(rig);
    }
}

/* What it was told last; -1: nothing. */
static int64_t told(const struct rig *rig, int child)
{
    uint8_t packet[CHANNEL_PACKET_MAX];
    struct channel_message message;
    if (channel_receive(rig->ends[child], CHANNEL_MASTER, packet, &message) != STATUS_OK) {
        return -1;
    }
    assert_int_equal(message.kind, CHANNEL_DRAIN);
    return message.number;
}

static void workers_alone_are_told_to_drain(void **state)
{
    struct rig *rig = *state;
    assert_true(former_crew_serves(rig->crew));
    former_crew_drain(rig->crew, DRAIN_MS, true);
    assert_false(former_crew_serves(rig->crew));
    assert_int_equal(told(rig, 0), 1);
    assert_int_equal(told(rig, 1), 1);
    assert_int_equal(told(rig, 2), -1);
    former_crew_drain(rig->crew, DRAIN_MS, true); /* they drain already */
    assert_int_equal(told(rig, 0), -1);
    former_crew_drain(rig->crew, DRAIN_MS, false); /* in a hurry */
    assert_int_equal(told(rig, 0), 0);
    assert_int_equal(former_crew_count(rig->crew), CHILDREN);
}

static void the_keyholder_ends_with_the_last_worker(void **state)
{
    struct rig *rig = *state;
    former_crew_drain(rig->crew, DRAIN_MS, true);
    lose(rig, "worker 1");
    assert_true(has(rig, "keyholder"));
    assert_true(rig->handover.children[1].channel >= 0);
    lose(rig, "worker 2");
    while (has(rig, "keyholder")) {
        reap(rig);
    }
    assert_true(has(rig, "gossip 1"));
}

static void one_that_is_lost_leaves_the_others_serving(void **state)
{
    struct rig *rig = *state;
    lose(rig, "worker 1");
    assert_true(former_crew_serves(rig->crew));
    lose(rig, "keyholder");
    assert_true(former_crew_serves(rig->crew));
    lose(rig, "worker 2");
    assert_false(former_crew_serves(rig->crew));
    assert_false(former_crew_on_exit(rig->crew, 1, 0));
}

static void gossip_ends_at_once(void **state)
{
    struct rig *rig = *state;
    former_crew_end_gossip(rig->crew);
    assert_false(has(rig, "gossip 1"));
    assert_int_equal(former_crew_count(rig->crew), CHILDREN - 1);
    former_crew_end_gossip(rig->crew);
}

static void all_end_without_their_channels(void **state)
{
    struct rig *rig = *state;
    former_crew_end(rig->crew);
    while (former_crew_count(rig->crew) > 0) {
        reap(rig);
    }
}

static void who_does_not_end_is_killed(void **state)
{
    struct rig *rig = *state;
    former_crew_end_gossip(rig->crew);
    assert_false(has(rig, "gossip 1"));
    former_crew_end(rig->crew);
    while (former_crew_count(rig->crew) > 0) {
        reap(rig);
    }
}

static void none_is_as_good_as_an_empty_one(void **state)
{
    (void)state;
    former_crew_drain(NULL, DRAIN_MS, true);
    former_crew_end(NULL);
    former_crew_end_gossip(NULL);
    former_crew_close(NULL);
    assert_int_equal(former_crew_count(NULL), 0);
    assert_false(former_crew_serves(NULL));
    assert_false(former_crew_on_exit(NULL, 1, 0));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(workers_alone_are_told_to_drain, open_stubborn_rig,
                                        close_rig),
        cmocka_unit_test_setup_teardown(the_keyholder_ends_with_the_last_worker, open_rig,
                                        close_rig),
        cmocka_unit_test_setup_teardown(one_that_is_lost_leaves_the_others_serving, open_rig,
                                        close_rig),
        cmocka_unit_test_setup_teardown(gossip_ends_at_once, open_rig, close_rig),
        cmocka_unit_test_setup_teardown(all_end_without_their_channels, open_rig, close_rig),
        cmocka_unit_test_setup_teardown(who_does_not_end_is_killed, open_stubborn_rig, close_rig),
        cmocka_unit_test(none_is_as_good_as_an_empty_one),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
