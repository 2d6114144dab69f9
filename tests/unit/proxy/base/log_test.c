/* tests/unit/proxy/base/log_test.c · SPDX-License-Identifier: Apache-2.0 */
#include "proxy/base/log.h"

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

struct pipe_end {
    int read;
    int write;
};

static struct pipe_end open_pipe(void)
{
    int ends[2];
    assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
    assert_int_equal(fcntl(ends[0], F_SETFL, O_NONBLOCK), 0);
    return (struct pipe_end){ends[0], ends[1]};
}

/* What one call logs, without the time stamp. */
static char *one_line(enum log_format format, slice text, char *room, size_t size)
{
    struct pipe_end ends = open_pipe();
    struct log *log = log_new(LOG_INFO, format, ends.write, "worker 1");
    assert_non_null(log);
    LOG_EVENT(log, LOG_INFO, "thing_done", log_slice("what", text), log_number("n", -7),
              log_flag("ok", true));
    log_free(log);
    ssize_t len = read(ends.read, room, size - 1);
    assert_true(len > 24);
    room[len] = '\0';
    (void)close(ends.read);
    (void)close(ends.write);
    return room + (format == LOG_JSON ? strlen("{\"time\":\"") + 24 : 24);
}

struct text_row {
    const char *name;
    slice text;
    const char *json;
    const char *plain;
};

static const struct text_row TEXT_ROWS[] = {
    {"plain text", {"abc", 3}, "\"abc\"", "abc"},
    {"empty text", {"", 0}, "\"\"", "\"\""},
    {"a space", {"a b", 3}, "\"a b\"", "\"a b\""},
    {"quote and backslash", {"a\"\\", 3}, "\"a\\\"\\\\\"", "\"a\\\"\\\\\""},
    {"line feed", {"a\nb", 3}, "\"a\\u000ab\"", "\"a\\x0ab\""},
    {"NUL", {"a\0b", 3}, "\"a\\u0000b\"", "\"a\\x00b\""},
    {"escape character", {"\033[31m", 5}, "\"\\u001b[31m\"", "\"\\x1b[31m\""},
    {"delete", {"\177", 1}, "\"\\u007f\"", "\"\\x7f\""},
    {"C1 control", {"\xc2\x9b", 2}, "\"\\u009b\"", "\"\\u009b\""},
    {"two bytes", {"\xc3\xa9", 2}, "\"\xc3\xa9\"", "\"\xc3\xa9\""},
    {"four bytes", {"\xf0\x9f\x94\x92", 4}, "\"\xf0\x9f\x94\x92\"", "\"\xf0\x9f\x94\x92\""},
    {"overlong", {"\xc0\xaf", 2}, "\"\\\\xc0\\\\xaf\"", "\"\\xc0\\xaf\""},
    {"surrogate", {"\xed\xa0\x80", 3}, "\"\\\\xed\\\\xa0\\\\x80\"", "\"\\xed\\xa0\\x80\""},
    {"cut sequence", {"\xe2\x82", 2}, "\"\\\\xe2\\\\x82\"", "\"\\xe2\\x82\""},
    {"right to left", {"\xe2\x80\xae", 3}, "\"\\u202e\"", "\"\\u202e\""},
    {"an isolate", {"\xe2\x81\xa6", 3}, "\"\\u2066\"", "\"\\u2066\""},
    {"a line separator", {"\xe2\x80\xa8", 3}, "\"\\u2028\"", "\"\\u2028\""},
};

static void escapes_text(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(TEXT_ROWS) / sizeof(TEXT_ROWS[0]); i++) {
        char room[8192];
        char expected[8192];
        char *line = one_line(LOG_JSON, TEXT_ROWS[i].text, room, sizeof(room));
        (void)snprintf(expected, sizeof(expected),
                       "\",\"level\":\"info\",\"role\":\"worker 1\",\"event\":\"thing_done\","
                       "\"what\":%s,\"n\":-7,\"ok\":true}\n",
                       TEXT_ROWS[i].json);
        assert_string_equal(line, expected);
        line = one_line(LOG_TEXT, TEXT_ROWS[i].text, room, sizeof(room));
        (void)snprintf(expected, sizeof(expected),
                       " INFO  worker 1 thing_done what=%s n=-7 ok=true\n", TEXT_ROWS[i].plain);
        assert_string_equal(line, expected);
    }
}

static void stamps_in_utc_with_milliseconds(void **state)
{
    (void)state;
    struct pipe_end ends = open_pipe();
    struct log *log = log_new(LOG_INFO, LOG_TEXT, ends.write, "master");
    LOG_EVENT(log, LOG_INFO, "x", log_number("n", 1));
    log_free(log);
    char room[200];
    assert_true(read(ends.read, room, sizeof(room)) > 24);
    const char *form = "dddd-dd-ddTdd:dd:dd.dddZ ";
    for (size_t i = 0; form[i] != '\0'; i++) {
        if (form[i] == 'd') {
            assert_true(room[i] >= '0' && room[i] <= '9');
        } else {
            assert_int_equal(room[i], form[i]);
        }
    }
    (void)close(ends.read);
    (void)close(ends.write);
}

static void cuts_lines_of_any_length_and_stays_well_formed(void **state)
{
    (void)state;
    static char text[9000];
    char room[16384];
    for (size_t len = 3900; len < 4200; len++) {
        memset(text, len % 2 == 0 ? 'a' : '\n', len);
        for (int format = LOG_JSON; format <= LOG_TEXT; format++) {
            char *line = one_line((enum log_format)format, (slice){text, len}, room, sizeof(room));
            size_t total = (size_t)(line - room) + strlen(line);
            assert_true(total <= LOG_LINE_BYTES_MAX);
            assert_int_equal(room[total - 1], '\n');
            if (format == LOG_JSON) {
                assert_int_equal(room[total - 2], '}');
            }
        }
    }
}

static void leaves_out_what_is_below_its_level(void **state)
{
    (void)state;
    struct pipe_end ends = open_pipe();
    struct log *log = log_new(LOG_WARN, LOG_JSON, ends.write, "master");
    LOG_EVENT(log, LOG_INFO, "quiet", log_number("n", 1));
    assert_false(log_has(log, LOG_INFO));
    assert_true(log_has(log, LOG_ERROR));
    log_free(log);
    char byte;
    assert_int_equal(read(ends.read, &byte, 1), -1);
    (void)close(ends.read);
    (void)close(ends.write);
}

static size_t drain(int descriptor, char *last, size_t size)
{
    char room[4096];
    size_t lines = 0;
    for (ssize_t len = read(descriptor, room, sizeof(room)); len > 0;
         len = read(descriptor, room, sizeof(room))) {
        for (ssize_t i = 0; i < len; i++) {
            lines += room[i] == '\n';
        }
        size_t kept = (size_t)len < size - 1 ? (size_t)len : size - 1;
        memcpy(last, room + (size_t)len - kept, kept);
        last[kept] = '\0';
    }
    return lines;
}

static void never_blocks_and_counts_what_it_drops(void **state)
{
    (void)state;
    struct pipe_end ends = open_pipe();
    struct log *log = log_new(LOG_INFO, LOG_JSON, ends.write, "master");
    enum { LINES = 10000 };
    for (int i = 0; i < LINES; i++) {
        LOG_EVENT(log, LOG_INFO, "line", log_text("text", "some text to fill the pipe with"));
        log_flush(log);
    }
    assert_true(log_dropped(log) > 0);
    char last[400];
    size_t lines = 0;
    for (size_t more = 1; more > 0; lines += more) {
        more = drain(ends.read, last, sizeof(last));
        log_flush(log);
    }
    /* All that was kept came out, and one line tells of the rest. */
    assert_int_equal(lines + log_dropped(log), LINES + 1);
    assert_non_null(strstr(last, "log_lines_dropped"));
    log_free(log);
    (void)close(ends.read);
    (void)close(ends.write);
}

/* A terminal's two ends. */
static struct pipe_end open_terminal(void)
{
    struct pipe_end ends = {.read = posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC)};
    assert_true(ends.read >= 0);
    assert_int_equal(grantpt(ends.read), 0);
    assert_int_equal(unlockpt(ends.read), 0);
    ends.write = open(ptsname(ends.read), O_RDWR | O_NOCTTY | O_CLOEXEC);
    assert_true(ends.write >= 0);
    return ends;
}

static void looks_at_where_it_leads_once(void **state)
{
    (void)state;
    struct pipe_end terminal = open_terminal();
    struct pipe_end ends = open_pipe();
    struct log *log = log_new(LOG_INFO, LOG_AUTO, terminal.write, "worker 1");
    assert_non_null(log);
    assert_int_equal(dup2(ends.write, terminal.write), terminal.write);
    struct log *beside = log_new_beside(log, LOG_INFO, LOG_AUTO);
    assert_non_null(beside);
    assert_int_equal(log_resolve(beside, LOG_AUTO), LOG_TEXT);
    log_retune(log, LOG_INFO, LOG_JSON);
    log_retune(log, LOG_INFO, LOG_AUTO);
    LOG_EVENT(log, LOG_INFO, "one", log_number("n", 1));
    log_free(log);
    LOG_EVENT(beside, LOG_INFO, "two", log_number("n", 2));
    log_free(beside);
    char room[400] = {0};
    assert_int_equal(drain(ends.read, room, sizeof(room)), 2);
    assert_non_null(strstr(room, "\033["));
    assert_null(strchr(room, '{'));
    (void)close(ends.read);
    (void)close(ends.write);
    (void)close(terminal.read);
    (void)close(terminal.write);
}

static void a_pipe_gets_json(void **state)
{
    (void)state;
    struct pipe_end ends = open_pipe();
    struct log *log = log_new(LOG_INFO, LOG_AUTO, ends.write, "master");
    assert_int_equal(log_resolve(log, LOG_AUTO), LOG_JSON);
    assert_int_equal(log_resolve(log, LOG_TEXT), LOG_TEXT);
    LOG_EVENT(log, LOG_INFO, "one", log_number("n", 1));
    log_free(log);
    char room[400] = {0};
    assert_int_equal(drain(ends.read, room, sizeof(room)), 1);
    assert_int_equal(room[0], '{');
    (void)close(ends.read);
    (void)close(ends.write);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(escapes_text),
        cmocka_unit_test(stamps_in_utc_with_milliseconds),
        cmocka_unit_test(cuts_lines_of_any_length_and_stays_well_formed),
        cmocka_unit_test(leaves_out_what_is_below_its_level),
        cmocka_unit_test(never_blocks_and_counts_what_it_drops),
        cmocka_unit_test(looks_at_where_it_leads_once),
        cmocka_unit_test(a_pipe_gets_json),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
