/* tests/unit/proxy/commands/program_test.c · SPDX-License-Identifier: Apache-2.0 */
#include "proxy/commands/program.h"

#include <errno.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "proxy/base/clock.h"

enum { PATIENT_MS = 20000 };

static enum status run_shell(const char *script, struct bytes input, long timeout_ms,
                             struct program_result *result)
{
    char text[256];
    char sh[] = "sh";
    char c[] = "-c";
    assert_true(strlen(script) < sizeof(text));
    memcpy(text, script, strlen(script) + 1);
    char *const argv[] = {sh, c, text, NULL};
    return program_run(argv, input, timeout_ms, result);
}

static void keeps_the_output_and_the_status(void **state)
{
    (void)state;
    static struct program_result result;
    struct bytes input = {(const uint8_t *)"a key", 5};
    assert_int_equal(run_shell("tr a-z A-Z; exit 7", input, PATIENT_MS, &result), STATUS_OK);
    assert_string_equal(result.output, "A KEY");
    assert_int_equal(result.exit_status, 7);
    assert_int_equal(run_shell("kill -TERM $$", input, PATIENT_MS, &result), STATUS_OK);
    assert_int_equal(result.exit_status, 128 + SIGTERM);
    assert_string_equal(result.output, "");
}

static void a_program_that_reads_nothing_does_not_end_us(void **state)
{
    (void)state;
    static struct program_result result;
    static const uint8_t input[PROGRAM_INPUT_BYTES_MAX + 1];
    for (int i = 0; i < 20; i++) {
        assert_int_equal(run_shell("exec <&-; exit 3", (struct bytes){input, sizeof(input) - 1},
                                   PATIENT_MS, &result),
                         STATUS_OK);
        assert_int_equal(result.exit_status, 3);
    }
    assert_int_equal(run_shell("true", (struct bytes){input, sizeof(input)}, PATIENT_MS, &result),
                     STATUS_SYS);
}

/* Ours is ignored only while we write; a program that closes its pipe must still be ended by it. */
static void the_program_has_its_own_sigpipe(void **state)
{
    (void)state;
    static struct program_result result;
    assert_int_equal(run_shell("(yes; echo survived >&2) 2>&1 | head -n 1", (struct bytes){0},
                               PATIENT_MS, &result),
                     STATUS_OK);
    assert_string_equal(result.output, "y\n");
}

static void more_output_than_there_is_room_for_is_dropped(void **state)
{
    (void)state;
    static struct program_result result;
    assert_int_equal(
        run_shell("head -c 300000 /dev/zero | tr '\\0' x", (struct bytes){0}, PATIENT_MS, &result),
        STATUS_OK);
    assert_int_equal(strlen(result.output), PROGRAM_OUTPUT_BYTES_MAX);
    assert_int_equal(result.exit_status, 0);
}

static void a_program_that_does_not_end_is_killed(void **state)
{
    (void)state;
    static struct program_result result;
    static const char *const SCRIPTS[] = {"exec sleep 100", "exec >&-; exec sleep 100"};
    for (size_t i = 0; i < 2; i++) {
        uint64_t begin_us = clock_monotonic_us();
        assert_int_equal(run_shell(SCRIPTS[i], (struct bytes){0}, 100, &result), STATUS_BROKEN);
        assert_true(clock_monotonic_us() - begin_us >= 100 * 1000);
        assert_true(clock_monotonic_us() - begin_us < 50 * 1000 * 1000);
    }
}

static void a_program_that_is_not_there_is_told(void **state)
{
    (void)state;
    static struct program_result result;
    char name[] = "no-such-program-anywhere";
    char *const argv[] = {name, NULL};
    assert_int_equal(program_run(argv, (struct bytes){0}, PATIENT_MS, &result), STATUS_SYS);
    assert_int_equal(errno, ENOENT);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(keeps_the_output_and_the_status),
        cmocka_unit_test(a_program_that_reads_nothing_does_not_end_us),
        cmocka_unit_test(the_program_has_its_own_sigpipe),
        cmocka_unit_test(more_output_than_there_is_room_for_is_dropped),
        cmocka_unit_test(a_program_that_does_not_end_is_killed),
        cmocka_unit_test(a_program_that_is_not_there_is_told),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
