/* tests/unit/proxy/net/loop_test.c · SPDX-License-Identifier: Apache-2.0 */
#include "proxy/net/loop.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <signal.h>
#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>

#include "proxy/base/clock.h"
#include "proxy/net/timer.h"

struct rig {
    struct loop *loop;
    char trace[64];
    struct loop_post post;
    struct loop_post again;
    struct loop_post flush;
    struct loop_post reap;
    struct deadline deadline;
    uint64_t armed_us;
    uint64_t fired_us;
    unsigned turns;
    unsigned turns_wanted;
    int pair[2];
};

static void note(struct rig *rig, const char *word)
{
    (void)strcat(rig->trace, word);
}

static void on_post(void *self)
{
    struct rig *rig = self;
    note(rig, "p");
    loop_post_flush(rig->loop, &rig->flush);
    loop_post_reap(rig->loop, &rig->reap);
}

static void on_again(void *self)
{
    note(self, "a");
}

static void on_flush(void *self)
{
    struct rig *rig = self;
    note(rig, "f");
    loop_post(rig->loop, &rig->again); /* a flush that made an end others wait for */
}

static void on_reap(void *self)
{
    note(self, "r");
}

static void on_turn_end(void *self)
{
    struct rig *rig = self;
    note(rig, "e");
    if (++rig->turns >= rig->turns_wanted) {
        loop_stop(rig->loop);
    }
}

static int set_up(void **state)
{
    struct rig *rig = calloc(1, sizeof(*rig));
    rig->loop = loop_new();
    rig->post = (struct loop_post){.run = on_post, .self = rig};
    rig->again = (struct loop_post){.run = on_again, .self = rig};
    rig->flush = (struct loop_post){.run = on_flush, .self = rig};
    rig->reap = (struct loop_post){.run = on_reap, .self = rig};
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, rig->pair), 0);
    *state = rig;
    return 0;
}

static int tear_down(void **state)
{
    struct rig *rig = *state;
    (void)close(rig->pair[0]);
    (void)close(rig->pair[1]);
    loop_free(rig->loop);
    free(rig);
    return 0;
}

static void runs_posts_then_flushes_then_turn_ends_then_reaps(void **state)
{
    struct rig *rig = *state;
    loop_at_turn_end(rig->loop, on_turn_end, rig);
    loop_post(rig->loop, &rig->post);
    loop_post(rig->loop, &rig->post); /* once */
    rig->turns_wanted = 1;
    loop_run(rig->loop);
    assert_string_equal(rig->trace, "pfaer");
}

static void takes_a_post_back(void **state)
{
    struct rig *rig = *state;
    loop_at_turn_end(rig->loop, on_turn_end, rig);
    loop_post(rig->loop, &rig->post);
    loop_unpost(&rig->post);
    loop_unpost(&rig->post);
    loop_post(rig->loop, &rig->again);
    rig->turns_wanted = 1;
    loop_run(rig->loop);
    assert_string_equal(rig->trace, "ae");
}

static void on_takes_back(void *self)
{
    struct rig *rig = self;
    note(rig, "t");
    loop_unpost(&rig->again); /* stands in the same batch */
}

static void a_post_may_take_back_the_next(void **state)
{
    struct rig *rig = *state;
    loop_at_turn_end(rig->loop, on_turn_end, rig);
    rig->post.run = on_takes_back;
    loop_post(rig->loop, &rig->post);
    loop_post(rig->loop, &rig->again);
    rig->turns_wanted = 1;
    loop_run(rig->loop);
    assert_string_equal(rig->trace, "te");
}

static void on_forever(void *self)
{
    struct rig *rig = self;
    loop_post(rig->loop, &rig->post);
}

static void posts_without_end_do_not_stop_the_turns(void **state)
{
    struct rig *rig = *state;
    loop_at_turn_end(rig->loop, on_turn_end, rig);
    rig->post.run = on_forever;
    loop_post(rig->loop, &rig->post);
    rig->turns_wanted = 3;
    loop_run(rig->loop);
    assert_string_equal(rig->trace, "eee");
    loop_unpost(&rig->post);
}

static void on_more_to_do(void *self)
{
    struct rig *rig = self;
    note(rig, "m");
    loop_post_next_turn(rig->loop, &rig->post);
}

static void what_is_put_off_runs_once_a_turn(void **state)
{
    struct rig *rig = *state;
    loop_at_turn_end(rig->loop, on_turn_end, rig);
    rig->post.run = on_more_to_do;
    loop_post(rig->loop, &rig->post);
    rig->turns_wanted = 3;
    loop_run(rig->loop);
    assert_string_equal(rig->trace, "mememe");
    loop_unpost(&rig->post);
}

static void reaps_what_is_left_when_freed(void **state)
{
    struct rig *rig = *state;
    loop_post_reap(rig->loop, &rig->reap);
    loop_free(rig->loop);
    assert_string_equal(rig->trace, "r");
    rig->loop = NULL;
}

static void on_ready(void *self, unsigned events)
{
    struct rig *rig = self;
    note(rig, (events & WATCH_READ) != 0 ? "R" : "");
    note(rig, (events & WATCH_CLOSED) != 0 ? "C" : "");
}

static void tells_a_change_once_or_while_it_lasts(void **state)
{
    for (int is_level = 0; is_level < 2; is_level++) {
        struct rig *rig = *state;
        struct watch watch;
        rig->trace[0] = '\0';
        rig->turns = 0;
        rig->turns_wanted = 3;
        if (is_level == 0) {
            loop_at_turn_end(rig->loop, on_turn_end, rig);
            assert_int_equal(write(rig->pair[1], "x", 1), 1);
        }
        assert_int_equal((is_level ? watch_open_level : watch_open)(&watch, rig->loop, rig->pair[0],
                                                                    WATCH_READ, on_ready, rig),
                         STATUS_OK);
        rig->post.run = on_forever; /* turns without waiting */
        loop_post(rig->loop, &rig->post);
        loop_run(rig->loop);
        loop_unpost(&rig->post);
        assert_string_equal(rig->trace, is_level ? "ReReRe" : "Reee");
        watch_close(&watch);
        watch_close(&watch);
    }
}

static void on_deadline(void *self)
{
    struct rig *rig = self;
    rig->fired_us = clock_monotonic_us();
    loop_stop(rig->loop);
}

static void on_late_byte(void *self, unsigned events)
{
    (void)events;
    struct rig *rig = self;
    rig->armed_us = clock_monotonic_us();
    deadline_arm(&rig->deadline, rig->loop, 150, on_deadline, rig);
}

static void a_deadline_counts_from_when_it_is_armed(void **state)
{
    struct rig *rig = *state;
    struct watch watch;
    assert_int_equal(watch_open(&watch, rig->loop, rig->pair[0], WATCH_READ, on_late_byte, rig),
                     STATUS_OK);
    pid_t child = fork(); /* writes after the loop has waited longer than the deadline is */
    if (child == 0) {
        (void)usleep(400000);
        _exit(write(rig->pair[1], "x", 1) == 1 ? 0 : 1);
    }
    loop_run(rig->loop);
    watch_close(&watch);
    assert_true(rig->fired_us - rig->armed_us >= 149000);
    assert_true(rig->fired_us - rig->armed_us < 2000000);
}

static void a_deadline_of_zero_is_none(void **state)
{
    struct rig *rig = *state;
    deadline_arm(&rig->deadline, rig->loop, 5, on_deadline, rig);
    deadline_arm(&rig->deadline, rig->loop, 0, on_deadline, rig);
    assert_false(deadline_is_armed(&rig->deadline));
    deadline_disarm(&rig->deadline);
}

static void on_signal(void *self, int number)
{
    struct rig *rig = self;
    note(rig, number == SIGUSR1 ? "1" : "?");
    loop_stop(rig->loop);
}

static void tells_signals_from_the_loop(void **state)
{
    struct rig *rig = *state;
    assert_int_equal(loop_on_signal(rig->loop, SIGUSR1, on_signal, rig), STATUS_OK);
    assert_int_equal(raise(SIGUSR1), 0);
    assert_string_equal(rig->trace, "");
    loop_run(rig->loop);
    assert_string_equal(rig->trace, "1");
}

#define LOOP_TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        LOOP_TEST(runs_posts_then_flushes_then_turn_ends_then_reaps),
        LOOP_TEST(takes_a_post_back),
        LOOP_TEST(a_post_may_take_back_the_next),
        LOOP_TEST(posts_without_end_do_not_stop_the_turns),
        LOOP_TEST(what_is_put_off_runs_once_a_turn),
        LOOP_TEST(reaps_what_is_left_when_freed),
        LOOP_TEST(tells_a_change_once_or_while_it_lasts),
        LOOP_TEST(a_deadline_counts_from_when_it_is_armed),
        LOOP_TEST(a_deadline_of_zero_is_none),
        LOOP_TEST(tells_signals_from_the_loop),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
