/* tests/unit/crypto/parked_job_test.c: jobs without TLS · SPDX-License-Identifier: Apache-2.0 */
#include "crypto/parked_job.c"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>

#include <cmocka.h>

/* One job that waits for `is_ready`, and the loop that it runs on. */
struct waiting {
    ASYNC_JOB *job;
    ASYNC_WAIT_CTX *wait;
    struct parked_job parked;
    uint64_t turns;
    bool is_blocked; /* somebody holds ASYNC_block_pause */
    bool is_found;
    bool is_ready;
    bool is_waited;
    bool is_over;
    int wakes;
};

static int on_wake(void *argument)
{
    struct waiting *waiting = argument;
    waiting->wakes++;
    return 1;
}

static bool is_ready(const void *self)
{
    return ((const struct waiting *)self)->is_ready;
}

static int run(void *argument)
{
    struct waiting *waiting = *(struct waiting **)argument;
    if (waiting->is_blocked) {
        ASYNC_block_pause();
    }
    waiting->is_found = parked_job_find(&waiting->parked);
    waiting->is_waited = parked_job_wait(&waiting->turns, is_ready, waiting);
    if (waiting->is_blocked) {
        ASYNC_unblock_pause();
    }
    return 1;
}

static void resume(struct waiting *waiting)
{
    int result = 0;
    int how = ASYNC_start_job(&waiting->job, waiting->wait, &result, run, &waiting,
                              sizeof(struct waiting *));
    assert_true(how == ASYNC_PAUSE || how == ASYNC_FINISH);
    waiting->is_over = how == ASYNC_FINISH;
}

static int set_up(void **state)
{
    static struct waiting waiting;
    waiting = (struct waiting){.wait = ASYNC_WAIT_CTX_new()};
    assert_int_equal(ASYNC_WAIT_CTX_set_callback(waiting.wait, on_wake, &waiting), 1);
    *state = &waiting;
    return 0;
}

static int tear_down(void **state)
{
    struct waiting *waiting = *state;
    assert_true(waiting->is_over);
    ASYNC_WAIT_CTX_free(waiting->wait);
    ASYNC_cleanup_thread();
    return 0;
}

static void waits_until_it_is_over_whoever_resumes_it(void **state)
{
    struct waiting *waiting = *state;
    resume(waiting);
    assert_true(waiting->is_found);
    assert_true(parked_job_is_set(&waiting->parked));
    resume(waiting);
    assert_false(waiting->is_over);
    waiting->is_ready = true;
    parked_job_wake(&waiting->parked);
    assert_int_equal(waiting->wakes, 1);
    assert_false(parked_job_is_set(&waiting->parked));
    resume(waiting);
    assert_true(waiting->is_over && waiting->is_waited);
}

static void is_woken_once(void **state)
{
    struct waiting *waiting = *state;
    resume(waiting);
    parked_job_wake(&waiting->parked);
    parked_job_wake(&waiting->parked);
    assert_int_equal(waiting->wakes, 1);
    waiting->is_ready = true;
    resume(waiting);
}

static void many_resumes_over_many_turns_are_no_spin(void **state)
{
    struct waiting *waiting = *state;
    for (int i = 0; i < 10 * STRAY_RESUMES_MAX; i++) {
        waiting->turns++;
        resume(waiting);
        assert_false(waiting->is_over);
    }
    waiting->is_ready = true;
    resume(waiting);
    assert_true(waiting->is_waited);
}

static void gives_up_where_pausing_does_not_work(void **state)
{
    struct waiting *waiting = *state;
    waiting->is_blocked = true;
    resume(waiting);
    assert_true(waiting->is_over);
    assert_false(waiting->is_waited);
}

static void finds_nobody_without_a_wake(void **state)
{
    struct waiting *waiting = *state;
    assert_int_equal(ASYNC_WAIT_CTX_set_callback(waiting->wait, NULL, NULL), 1);
    waiting->is_ready = true;
    resume(waiting);
    assert_false(waiting->is_found);
    assert_false(parked_job_is_set(&waiting->parked));
}

static void finds_nobody_without_a_job(void **state)
{
    (void)state;
    struct parked_job job = {.wake = on_wake};
    assert_false(parked_job_find(&job));
    assert_false(parked_job_is_set(&job));
    parked_job_wake(&job);
    struct waiting never = {0};
    assert_false(parked_job_wait(&never.turns, is_ready, &never));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(waits_until_it_is_over_whoever_resumes_it, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(is_woken_once, set_up, tear_down),
        cmocka_unit_test_setup_teardown(many_resumes_over_many_turns_are_no_spin, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(gives_up_where_pausing_does_not_work, set_up, tear_down),
        cmocka_unit_test_setup_teardown(finds_nobody_without_a_wake, set_up, tear_down),
        cmocka_unit_test(finds_nobody_without_a_job),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
