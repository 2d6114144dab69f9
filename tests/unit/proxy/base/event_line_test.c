/* tests/unit/proxy/base/event_line_test.c · SPDX-License-Identifier: Apache-2.0 */
#include "proxy/base/event_line.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static struct event_style style_of(enum log_format format)
{
    struct event_style style = {.format = format};
    strcpy(style.role, "master");
    return style;
}

/* Behind the time stamp and what stands before it. */
static slice without_stamp(const struct event_line *line)
{
    size_t skip = line->is_json ? strlen("{\"time\":\"") + 24 : 24;
    return (slice){line->bytes + skip, line->len - skip};
}

static void a_line_has_level_role_event_and_fields(void **state)
{
    (void)state;
    static const struct {
        enum log_format format;
        const char *line;
    } ROWS[] = {
        {LOG_JSON, "\",\"level\":\"warn\",\"role\":\"master\",\"event\":\"thing\",\"n\":-3,"
                   "\"ok\":true,\"what\":\"a b\"}\n"},
        {LOG_TEXT, " WARN  master thing n=-3 ok=true what=\"a b\"\n"},
    };
    const struct log_field fields[] = {log_number("n", -3), log_flag("ok", true),
                                       log_text("what", "a b")};
    for (size_t i = 0; i < sizeof(ROWS) / sizeof(ROWS[0]); i++) {
        struct event_style style = style_of(ROWS[i].format);
        struct event_line line;
        event_line_begin(&line, &style, LOG_WARN, "thing");
        for (size_t j = 0; j < sizeof(fields) / sizeof(fields[0]); j++) {
            event_line_add(&line, &fields[j]);
        }
        event_line_end(&line);
        slice text = without_stamp(&line);
        assert_int_equal(text.len, strlen(ROWS[i].line));
        assert_memory_equal(text.at, ROWS[i].line, text.len);
    }
}

/* Fields whose sizes sweep over the end of the line's room. */
static void a_line_that_is_full_ends_whole(void **state)
{
    (void)state;
    static char text[LOG_LINE_BYTES_MAX + 16];
    memset(text, 'x', sizeof(text));
    memcpy(text + 64, "\"\n\xff", 3);
    for (size_t len = LOG_LINE_BYTES_MAX - 400; len < sizeof(text); len++) {
        for (int format = LOG_JSON; format <= LOG_TEXT; format++) {
            struct event_style style = style_of((enum log_format)format);
            struct event_line line;
            event_line_begin(&line, &style, LOG_INFO, "thing");
            struct log_field field = log_slice("what", (slice){text, len});
            event_line_add(&line, &field);
            field = log_number("more", INT64_MIN);
            event_line_add(&line, &field);
            event_line_end(&line);
            assert_true(line.len <= LOG_LINE_BYTES_MAX);
            const char *end = line.bytes + line.len;
            assert_ptr_equal(memchr(line.bytes, '\n', line.len), end - 1);
            assert_true(format == LOG_TEXT || end[-2] == '}');
        }
    }
}

static void colours_are_in_text_alone(void **state)
{
    (void)state;
    struct event_style style = style_of(LOG_TEXT);
    style.has_colour = true;
    struct event_line line;
    event_line_begin(&line, &style, LOG_ERROR, "thing");
    event_line_end(&line);
    assert_non_null(memmem(line.bytes, line.len, "\033[31mERROR\033[0m", 14));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_line_has_level_role_event_and_fields),
        cmocka_unit_test(a_line_that_is_full_ends_whole),
        cmocka_unit_test(colours_are_in_text_alone),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
