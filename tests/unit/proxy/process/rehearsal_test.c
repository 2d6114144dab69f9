/* tests/unit/proxy/process/rehearsal_test.c · SPDX-License-Identifier: Apache-2.0 */
#include "proxy/process/rehearsal.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

enum { ALLOWED_MS = 20000, TURN_US = 2000 };

struct rig {
    struct loop *loop;
    struct rehearsal rehearsal;
    char path[64];
    int told;
    char fault[4096];
};

static void on_done(void *self, const char *fault)
{
    struct rig *rig = self;
    rig->told++;
    (void)snprintf(rig->fault, sizeof(rig->fault), "%s", fault == NULL ? "" : fault);
}

static int open_rig(void **state)
{
    struct rig *rig = calloc(1, sizeof(*rig));
    rig->loop = loop_new();
    (void)snprintf(rig->path, sizeof(rig->path), "/tmp/rehearsal-XXXXXX");
    assert_int_equal(close(mkstemp(rig->path)), 0);
    *state = rig;
    return rig->loop == NULL ? -1 : 0;
}

static int close_rig(void **state)
{
    struct rig *rig = *state;
    rehearsal_close(&rig->rehearsal);
    loop_free(rig->loop);
    (void)unlink(rig->path);
    free(rig);
    return 0;
}

/* A new program that is this script. */
static void begin(struct rig *rig, const char *script, uint64_t allowed_ms)
{
    FILE *file = fopen(rig->path, "w");
    assert_non_null(file);
    (void)fprintf(file, "#!/bin/sh\n%s\n", script);
    assert_int_equal(fclose(file), 0);
    assert_int_equal(chmod(rig->path, 0755), 0);
    static char word_1[] = "run";
    static char word_2[] = "-c";
    static char word_3[] = "a file";
    char *words[] = {rig->path, word_1, word_2, word_3, NULL};
    struct invocation invocation = {.words = words};
    struct process_error error;
    (void)snprintf(invocation.path, sizeof(invocation.path), "%s", rig->path);
    assert_int_equal(
        rehearsal_begin(&rig->rehearsal, rig->loop, &invocation, allowed_ms, on_done, rig, &error),
        STATUS_OK);
}

static const char *outcome(struct rig *rig, const char *script, uint64_t allowed_ms)
{
    int status = 0;
    int before = rig->told;
    begin(rig, script, allowed_ms);
    while (rig->told == before) {
        loop_turn(rig->loop);
        pid_t pid = waitpid(-1, &status, WNOHANG);
        if (pid > 0) {
            assert_true(rehearsal_on_exit(&rig->rehearsal, pid, status));
        }
        (void)usleep(TURN_US);
    }
    assert_int_equal(rig->told, before + 1);
    return rig->fault;
}

static void answers_are_read_as_a_whole(void **state)
{
    (void)state;
    static const char *const GOOD[] = {"sallyport-handover 1\n", "sallyport-handover 1 2\n",
                                       "sallyport-handover 7 1\n"};
    static const char *const BAD[] = {"",
                                      "\n",
                                      "sallyport-handover 1",
                                      "sallyport-handover 2\n",
                                      "sallyport-handover \n",
                                      "sallyport-handover 11\n",
                                      "sallyport-handover 1 x\n",
                                      "sallyport-handover 1\n\n",
                                      "ready\nsallyport-handover 1\n"};
    for (size_t i = 0; i < sizeof(GOOD) / sizeof(GOOD[0]); i++) {
        assert_true(rehearsal_understands_us(slice_of(GOOD[i])));
    }
    for (size_t i = 0; i < sizeof(BAD) / sizeof(BAD[0]); i++) {
        assert_false(rehearsal_understands_us(slice_of(BAD[i])));
    }
}

static void one_that_answers_is_fine(void **state)
{
    assert_string_equal(outcome(*state, "echo sallyport-handover 1", ALLOWED_MS), "");
}

static void it_is_told_that_it_is_one(void **state)
{
    const char *script = "[ \"$1 $2 $3 $4\" = \"run --rehearse -c a file\" ] || exit 9\n"
                         "[ -z \"$(cat)\" ] && echo sallyport-handover 1";
    assert_string_equal(outcome(*state, script, ALLOWED_MS), "");
}

static void one_that_refuses_is_quoted(void **state)
{
    const char *fault = outcome(*state, "echo first >&2; echo second >&2; exit 2", ALLOWED_MS);
    assert_string_equal(fault, "the new program refuses (exit status 2): first\nsecond");
}

static void one_that_says_much_is_not_waited_for(void **state)
{
    const char *fault = outcome(
        *state,
        "i=0; while [ $i -lt 20000 ]; do echo some words more >&2; i=$((i+1)); done; exit 4",
        ALLOWED_MS);
    assert_non_null(strstr(fault, "exit status 4): some words more"));
    assert_true(strlen(fault) < REHEARSAL_SAID_BYTES + 128);
}

static void one_that_hangs_is_ended_with_all_that_it_has_started(void **state)
{
    const char *fault = outcome(*state, "echo one moment >&2; sleep 1000 & sleep 1000", 300);
    assert_string_equal(fault, "the new program has not answered within 300 ms: one moment");
}

static void one_that_is_no_program_is_told_of(void **state)
{
    struct rig *rig = *state;
    static char word_0[] = "sallyport";
    static char word_1[] = "run";
    char *words[] = {word_0, word_1, NULL};
    const struct invocation invocation = {.path = "/nowhere/sallyport", .words = words};
    struct process_error error;
    assert_int_equal(
        rehearsal_begin(&rig->rehearsal, rig->loop, &invocation, ALLOWED_MS, on_done, rig, &error),
        STATUS_OK);
    int status = 0;
    pid_t pid = waitpid(-1, &status, 0);
    assert_true(rehearsal_on_exit(&rig->rehearsal, pid, status));
    assert_non_null(strstr(rig->fault, "/nowhere/sallyport cannot be started: No such file"));
}

static void a_stranger_is_not_it(void **state)
{
    struct rig *rig = *state;
    assert_false(rehearsal_on_exit(&rig->rehearsal, 1, 0));
    begin(rig, "sleep 1000", ALLOWED_MS);
    assert_false(rehearsal_on_exit(&rig->rehearsal, 1, 0));
    rehearsal_close(&rig->rehearsal);
    assert_int_equal(rig->told, 0);
    assert_int_equal(waitpid(-1, NULL, WNOHANG), -1); /* it was waited for */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(answers_are_read_as_a_whole),
        cmocka_unit_test_setup_teardown(one_that_answers_is_fine, open_rig, close_rig),
        cmocka_unit_test_setup_teardown(it_is_told_that_it_is_one, open_rig, close_rig),
        cmocka_unit_test_setup_teardown(one_that_refuses_is_quoted, open_rig, close_rig),
        cmocka_unit_test_setup_teardown(one_that_says_much_is_not_waited_for, open_rig, close_rig),
        cmocka_unit_test_setup_teardown(one_that_hangs_is_ended_with_all_that_it_has_started,
                                        open_rig, close_rig),
        cmocka_unit_test_setup_teardown(one_that_is_no_program_is_told_of, open_rig, close_rig),
        cmocka_unit_test_setup_teardown(a_stranger_is_not_it, open_rig, close_rig),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
