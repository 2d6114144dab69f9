/* tests/unit/proxy/process/program_test.c · SPDX-License-Identifier: Apache-2.0 */
#include "proxy/process/program.h"

#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "proxy/base/clock.h"

enum { PATIENCE_MS = 10000 };

/* Runs a line of sh. */
static enum status run_line(const char *line, const char *input, int timeout_ms, char *said)
{
    const struct program_run run = {.words = {"sh", "-c", line},
                                    .input = input,
                                    .input_len = input != NULL ? strlen(input) : 0,
                                    .timeout_ms = timeout_ms};
    return program_run(&run, said);
}

static void check_said(const char *line, const char *input, const char *expected)
{
    char said[PROGRAM_SAID_BYTES];
    assert_int_equal(run_line(line, input, PATIENCE_MS, said), STATUS_REFUSED);
    assert_string_equal(said, expected);
}

static void a_program_is_found_by_name_in_fixed_places(void **state)
{
    char path[PROGRAM_PATH_BYTES];
    (void)state;
    assert_true(program_find("sh", path));
    assert_int_equal(path[0], '/');
    assert_false(program_find("no-such-program-of-ours", path));
    char said[PROGRAM_SAID_BYTES];
    const struct program_run run = {.words = {"no-such-program-of-ours"},
                                    .timeout_ms = PATIENCE_MS};
    assert_int_equal(program_run(&run, said), STATUS_REFUSED);
    assert_string_equal(said, "it is not installed");
}

static void its_end_is_told(void **state)
{
    char said[PROGRAM_SAID_BYTES];
    (void)state;
    assert_int_equal(run_line("true", NULL, PATIENCE_MS, said), STATUS_OK);
    assert_int_equal(run_line("echo warning >&2", NULL, PATIENCE_MS, said), STATUS_OK);
    check_said("exit 3", NULL, "it ended with status 3");
    check_said("kill -9 $$", NULL, "it ended with status 137");
    check_said("echo first >&2; echo second >&2; exit 1", NULL, "first");
    check_said("printf 'tab\\tbell\\a' >&2; exit 1", NULL, "tab?bell?");
    check_said("echo out; exit 1", NULL, "it ended with status 1");
}

static void what_it_says_is_bounded(void **state)
{
    char said[PROGRAM_SAID_BYTES];
    (void)state;
    assert_int_equal(run_line("i=0; while [ $i -lt 20000 ]; do printf xxxxxxxxxx >&2; "
                              "i=$((i + 1)); done; exit 1",
                              NULL, PATIENCE_MS, said),
                     STATUS_REFUSED);
    assert_int_equal(strlen(said), PROGRAM_SAID_BYTES - 1);
}

static void it_reads_its_input(void **state)
{
    (void)state;
    check_said("cat >&2; exit 1", "a line\n", "a line");
    check_said("cat /dev/stdin >&2; exit 1", "once more", "once more");
    check_said("cat >&2; exit 1", NULL, "it ended with status 1");
}

static void it_inherits_nothing(void **state)
{
    (void)state;
    assert_int_equal(setenv("SECRET_OF_OURS", "x", 1), 0);
    /* The shell sets some of its own. */
    check_said("env | grep -v -e ^PWD= -e ^SHLVL= -e ^_= -e ^OLDPWD= >&2; echo end >&2; exit 1",
               NULL, "end");
    int opened = open("/dev/null", O_RDONLY | O_CLOEXEC);
    assert_true(opened >= 0);
    /* ls itself opens 3. */
    check_said("echo $(ls /proc/self/fd) >&2; exit 1", NULL, "0 1 2 3");
    (void)close(opened);
    (void)signal(SIGTERM, SIG_IGN);
    sigset_t blocked;
    sigset_t before;
    (void)sigemptyset(&blocked);
    (void)sigaddset(&blocked, SIGUSR1);
    (void)sigprocmask(SIG_BLOCK, &blocked, &before);
    check_said("grep SigBlk /proc/self/status | tr '\\t' ' ' >&2; exit 1", NULL,
               "SigBlk: 0000000000000000");
    check_said("kill -TERM $$", NULL, "it ended with status 143");
    (void)sigprocmask(SIG_SETMASK, &before, NULL);
    (void)signal(SIGTERM, SIG_DFL);
}

static void it_is_not_waited_for_without_end(void **state)
{
    char said[PROGRAM_SAID_BYTES];
    (void)state;
    uint64_t begun = clock_monotonic_us();
    assert_int_equal(run_line("exec sleep 60", NULL, 100, said), STATUS_REFUSED);
    assert_string_equal(said, "it took too long and was killed");
    /* One that leaves somebody behind with its descriptors has ended all the same. */
    assert_int_equal(run_line("sleep 60 & exit 0", NULL, PATIENCE_MS, said), STATUS_OK);
    assert_true(clock_monotonic_us() - begun < (uint64_t)PATIENCE_MS * 1000);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_program_is_found_by_name_in_fixed_places),
        cmocka_unit_test(its_end_is_told),
        cmocka_unit_test(what_it_says_is_bounded),
        cmocka_unit_test(it_reads_its_input),
        cmocka_unit_test(it_inherits_nothing),
        cmocka_unit_test(it_is_not_waited_for_without_end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
