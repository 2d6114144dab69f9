/* tests/unit/proxy/base/escape_test.c · SPDX-License-Identifier: Apache-2.0 */
#include "proxy/base/escape.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

enum { ROOM = 256, FORMS = 3 };

static const struct row {
    const char *name;
    slice text;
    const char *forms[FORMS]; /* json, text, word */
} rows[] = {
    {"plain", SLICE("a~!"), {"a~!", "a~!", "a~!"}},
    {"a space", SLICE("a b"), {"a b", "a b", "a\\x20b"}},
    {"a quote", SLICE("\""), {"\\\"", "\\\"", "\\\""}},
    {"a backslash", SLICE("\\"), {"\\\\", "\\\\", "\\\\"}},
    {"a control", SLICE("\n"), {"\\u000a", "\\x0a", "\\x0a"}},
    {"NUL", SLICE("\0"), {"\\u0000", "\\x00", "\\x00"}},
    {"delete", SLICE("\x7f"), {"\\u007f", "\\x7f", "\\x7f"}},
    {"a C1 control", SLICE("\xc2\x9b"), {"\\u009b", "\\u009b", "\\u009b"}},
    {"no UTF-8", SLICE("\xff"), {"\\\\xff", "\\xff", "\\xff"}},
    {"a letter", SLICE("\xc3\xa9"), {"\xc3\xa9", "\xc3\xa9", "\xc3\xa9"}},
    {"an Arabic mark", SLICE("\xd8\x9c"), {"\\u061c", "\\u061c", "\\u061c"}},
    {"right to left", SLICE("\xe2\x80\xae"), {"\\u202e", "\\u202e", "\\u202e"}},
    {"an isolate", SLICE("\xe2\x81\xa6"), {"\\u2066", "\\u2066", "\\u2066"}},
    {"zero width", SLICE("\xe2\x80\x8b"), {"\\u200b", "\\u200b", "\\u200b"}},
    {"a line separator", SLICE("\xe2\x80\xa8"), {"\\u2028", "\\u2028", "\\u2028"}},
    {"a byte order mark", SLICE("\xef\xbb\xbf"), {"\\ufeff", "\\ufeff", "\\ufeff"}},
    {"the last character",
     SLICE("\xf4\x8f\xbf\xbf"),
     {"\xf4\x8f\xbf\xbf", "\xf4\x8f\xbf\xbf", "\xf4\x8f\xbf\xbf"}},
};

static void escape_all(slice text, enum escape_form form, char out[ROOM])
{
    size_t len = 0;
    while (text.len > 0) {
        char room[ESCAPE_BYTES_MAX];
        struct escape_piece piece = escape_next(text, form, room);
        assert_true(piece.taken > 0 && piece.taken <= text.len);
        assert_true(len + piece.bytes.len < ROOM);
        memcpy(out + len, piece.bytes.at, piece.bytes.len);
        len += piece.bytes.len;
        text = slice_from(text, piece.taken);
    }
    out[len] = '\0';
}

static void each_form_escapes_what_deceives(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(rows); i++) {
        for (int form = 0; form < FORMS; form++) {
            char out[ROOM];
            escape_all(rows[i].text, (enum escape_form)form, out);
            if (strcmp(out, rows[i].forms[form]) != 0) {
                fail_msg("%s, form %d: %s", rows[i].name, form, out);
            }
        }
    }
}

/* Whatever bytes they are: what comes out has no control, and no quote without a backslash. */
static void any_two_bytes_come_out_harmless(void **state)
{
    (void)state;
    for (unsigned pair = 0; pair <= UINT16_MAX; pair++) {
        const char text[] = {(char)(pair >> 8), (char)(pair & 0xff)};
        char out[ROOM];
        escape_all((slice){text, sizeof(text)}, ESCAPE_WORD, out);
        for (const char *at = out; *at != '\0'; at++) {
            unsigned char c = (unsigned char)*at;
            assert_true(c > ' ' && c != 0x7f);
            assert_true(c != '"' || (at > out && at[-1] == '\\'));
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_form_escapes_what_deceives),
        cmocka_unit_test(any_two_bytes_come_out_harmless),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
