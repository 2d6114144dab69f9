/* tests/unit/proxy/process/child_test.c · SPDX-License-Identifier: Apache-2.0 */
#include "proxy/process/child.h"

#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

struct rig {
    struct loop *loop;
    struct log *log;
    int null;
    struct child child;
    int respawns;
    int messages;
};

static void on_message(void *self, struct child *child, const struct channel_message *message)
{
    (void)child;
    (void)message;
    ((struct rig *)self)->messages++;
}

static enum status on_respawn(void *self, struct child *child)
{
    (void)child;
    ((struct rig *)self)->respawns++;
    return STATUS_OK;
}

static int open_rig(void **state)
{
    struct rig *rig = calloc(1, sizeof(*rig));
    rig->null = open("/dev/null", O_WRONLY | O_CLOEXEC);
    rig->log = log_new(LOG_INFO, LOG_JSON, rig->null, "master");
    const struct child_events events = {.on_message = on_message,
                                        .self = rig,
                                        .on_respawn = on_respawn,
                                        .respawn_self = rig,
                                        .log = rig->log};
    rig->loop = loop_new();
    child_init(&rig->child, rig->loop, "worker 1", 0, &events);
    *state = rig;
    return 0;
}

static int close_rig(void **state)
{
    struct rig *rig = *state;
    child_end(&rig->child);
    loop_free(rig->loop);
    log_free(rig->log);
    (void)close(rig->null);
    free(rig);
    return 0;
}

static void a_new_child_is_down_and_knows_its_title(void **state)
{
    struct rig *rig = *state;
    assert_true(child_is_down(&rig->child));
    assert_string_equal(rig->child.role, "worker 1");
    assert_string_equal(rig->child.title, "sallyport: worker 1");
    assert_false(child_send(&rig->child, &(struct channel_message){.kind = CHANNEL_DRAIN}));
}

static void a_child_that_keeps_failing_waits_longer_each_time(void **state)
{
    struct rig *rig = *state;
    static const uint64_t DELAYS_MS[] = {0, 100, 200, 400, 800, 1600, 3200, 5000, 5000, 5000};
    for (size_t i = 0; i < sizeof(DELAYS_MS) / sizeof(DELAYS_MS[0]); i++) {
        rig->child.state = CHILD_STARTING;
        child_on_exit(&rig->child);
        assert_int_equal(child_respawn_later(&rig->child), DELAYS_MS[i]);
    }
    assert_int_equal(rig->respawns, 1); /* the others wait */
}

static void a_child_that_had_run_for_a_while_is_started_at_once(void **state)
{
    struct rig *rig = *state;
    rig->child.failures = 7;
    rig->child.state = CHILD_READY;
    rig->child.started_ms = loop_now_ms(rig->loop) - 1000;
    child_on_exit(&rig->child);
    assert_int_equal(child_respawn_later(&rig->child), 0);
    assert_int_equal(rig->respawns, 1);
    assert_int_equal(rig->child.restarts, 1);
}

static void a_child_that_died_just_after_ready_failed(void **state)
{
    struct rig *rig = *state;
    for (int i = 0; i < 2; i++) {
        rig->child.state = CHILD_READY;
        rig->child.started_ms = loop_now_ms(rig->loop);
        child_on_exit(&rig->child);
    }
    assert_int_equal(rig->child.failures, 2);
}

static void a_child_keeps_failing_until_it_has_run_for_a_while(void **state)
{
    struct rig *rig = *state;
    struct child *child = &rig->child;
    for (int i = 0; i < CHILD_SHORT_LIVES; i++) {
        assert_false(child_keeps_failing(child));
        child->state = CHILD_READY; /* long enough to be started again at once */
        child->started_ms = loop_now_ms(rig->loop) - CHILD_SETTLED_MS / 2;
        child_on_exit(child);
        assert_int_equal(child_respawn_later(child), 0);
    }
    assert_true(child_keeps_failing(child));
    child->state = CHILD_READY;
    child->started_ms = loop_now_ms(rig->loop) - CHILD_SETTLED_MS + 1000;
    assert_true(child_keeps_failing(child));
    child->started_ms = loop_now_ms(rig->loop) - CHILD_SETTLED_MS;
    assert_false(child_keeps_failing(child));
    child_on_exit(child);
    assert_false(child_keeps_failing(child));
}

static void its_last_words_are_heard(void **state)
{
    struct rig *rig = *state;
    int other = -1;
    assert_int_equal(channel_pair(&rig->child.channel, &other), STATUS_OK);
    assert_int_equal(channel_send(other, &(struct channel_message){.kind = CHANNEL_FAILED,
                                                                   .payload = slice_of("why")}),
                     STATUS_OK);
    (void)close(other);
    child_on_exit(&rig->child);
    assert_int_equal(rig->messages, 1);
    assert_int_equal(rig->child.channel, -1);
}

/* In a process of its own: reads `count` messages, a moment after the channel is full. */
static pid_t read_later(int channel, int count)
{
    pid_t pid = fork();
    if (pid == 0) {
        struct channel_message message;
        uint8_t room[CHANNEL_PACKET_MAX];
        (void)usleep(50 * 1000);
        for (int got = 0; got < count;) {
            enum status status = channel_receive(channel, CHANNEL_MASTER, room, &message);
            got += status == STATUS_OK ? 1 : 0;
            if (status == STATUS_AGAIN) {
                (void)usleep(1000);
            } else if (status != STATUS_OK) {
                _exit(1);
            }
        }
        _exit(0);
    }
    return pid;
}

static void a_child_that_reads_is_told_more_than_its_channel_holds(void **state)
{
    enum { MANY = 5000 };
    struct rig *rig = *state;
    int other = -1;
    int status = -1;
    assert_int_equal(channel_pair(&rig->child.channel, &other), STATUS_OK);
    pid_t reader = read_later(other, MANY);
    for (int i = 0; i < MANY; i++) {
        assert_true(child_send(&rig->child, &(struct channel_message){.kind = CHANNEL_DRAIN}));
    }
    assert_int_equal(waitpid(reader, &status, 0), reader);
    assert_int_equal(status, 0);
    (void)close(other);
    child_on_exit(&rig->child);
}

static void a_child_that_does_not_read_is_killed(void **state)
{
    struct rig *rig = *state;
    int other = -1;
    int status = 0;
    assert_int_equal(channel_pair(&rig->child.channel, &other), STATUS_OK);
    rig->child.pid = fork();
    if (rig->child.pid == 0) {
        (void)pause();
        _exit(0);
    }
    while (child_send(&rig->child, &(struct channel_message){.kind = CHANNEL_DRAIN})) {
    }
    assert_int_equal(waitpid(rig->child.pid, &status, 0), rig->child.pid);
    assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
    (void)close(other);
    child_on_exit(&rig->child);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, open_rig, close_rig)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_new_child_is_down_and_knows_its_title),
        TEST(a_child_that_keeps_failing_waits_longer_each_time),
        TEST(a_child_that_had_run_for_a_while_is_started_at_once),
        TEST(a_child_that_died_just_after_ready_failed),
        TEST(a_child_keeps_failing_until_it_has_run_for_a_while),
        TEST(its_last_words_are_heard),
        TEST(a_child_that_reads_is_told_more_than_its_channel_holds),
        TEST(a_child_that_does_not_read_is_killed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
