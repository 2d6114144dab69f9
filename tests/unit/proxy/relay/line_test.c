/* tests/unit/proxy/relay/line_test.c · SPDX-License-Identifier: Apache-2.0 */
#include "proxy/relay/line.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include <jansson.h>

enum { ROOM = 512 };

static void expect(const char *room, const struct line *line, const char *expected)
{
    size_t len = (size_t)(line->at - room);
    if (len != strlen(expected) || memcmp(room, expected, len) != 0) {
        fail_msg("found \"%.*s\", expected \"%s\"", (int)len, room, expected);
    }
}

static void writes_numbers(void **state)
{
    (void)state;
    static const struct {
        uint64_t number;
        const char *text;
    } cases[] = {{0, "0"}, {9, "9"}, {10, "10"}, {UINT64_MAX, "18446744073709551615"}};
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        char room[ROOM];
        struct line line = {room, room + sizeof(room)};
        line_put_number(&line, cases[i].number);
        expect(room, &line, cases[i].text);
    }
}

static const struct {
    const char *claim;
    slice in;
    const char *json;
    const char *word;
} texts[] = {
    {"plain", SLICE("/api/v4/users"), "/api/v4/users", "/api/v4/users"},
    {"empty", SLICE(""), "", ""},
    {"space", SLICE("a b"), "a b", "a\\x20b"},
    {"quote and backslash", SLICE("a\"b\\c"), "a\\\"b\\\\c", "a\\\"b\\\\c"},
    {"line feed", SLICE("a\nb\r"), "a\\u000ab\\u000d", "a\\x0ab\\x0d"},
    {"NUL", SLICE("a\0b"), "a\\u0000b", "a\\x00b"},
    {"escape and delete", SLICE("\x1b[31m\x7f"), "\\u001b[31m\\u007f", "\\x1b[31m\\x7f"},
    {"UTF-8", SLICE("\xc3\xa9\xe2\x82\xac\xf0\x9f\x9a\xaa"), "\xc3\xa9\xe2\x82\xac\xf0\x9f\x9a\xaa",
     "\xc3\xa9\xe2\x82\xac\xf0\x9f\x9a\xaa"},
    {"a lone continuation", SLICE("a\x80"), "a\\\\x80", "a\\x80"},
    {"an overlong slash", SLICE("\xc0\xaf"), "\\\\xc0\\\\xaf", "\\xc0\\xaf"},
    {"an overlong three", SLICE("\xe0\x80\xaf"), "\\\\xe0\\\\x80\\\\xaf", "\\xe0\\x80\\xaf"},
    {"a surrogate", SLICE("\xed\xa0\x80"), "\\\\xed\\\\xa0\\\\x80", "\\xed\\xa0\\x80"},
    {"beyond Unicode", SLICE("\xf4\x90\x80\x80"), "\\\\xf4\\\\x90\\\\x80\\\\x80",
     "\\xf4\\x90\\x80\\x80"},
    {"cut short", SLICE("\xe2\x82"), "\\\\xe2\\\\x82", "\\xe2\\x82"},
    {"a C1 control", SLICE("\xc2\x9b"), "\\u009b", "\\u009b"},
    {"right to left", SLICE("\xe2\x80\xae"), "\\u202e", "\\u202e"},
    {"a line separator", SLICE("\xe2\x80\xa8"), "\\u2028", "\\u2028"},
    {"zero width", SLICE("\xe2\x80\x8b"), "\\u200b", "\\u200b"},
};

static void escapes_what_could_forge(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        char room[ROOM];
        struct line json = {room, room + sizeof(room)};
        line_put_json(&json, texts[i].in, ROOM);
        expect(room, &json, texts[i].json);
        struct line word = {room, room + sizeof(room)};
        line_put_word(&word, texts[i].in, ROOM);
        expect(room, &word, texts[i].word);
    }
}

static bool is_json_string(const char *at, size_t len)
{
    char text[ROOM + 4] = "[\"";
    memcpy(text + 2, at, len);
    memcpy(text + 2 + len, "\"]", 2);
    json_t *parsed = json_loadb(text, len + 4, JSON_ALLOW_NUL, NULL);
    json_decref(parsed);
    return parsed != NULL;
}

static void keeps_every_budget_and_cuts_between_characters(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        for (size_t budget = 3; budget < 40; budget++) {
            char room[ROOM];
            struct line line = {room, room + sizeof(room)};
            line_put_json(&line, texts[i].in, budget);
            size_t len = (size_t)(line.at - room);
            assert_true(len <= budget);
            assert_true(is_json_string(room, len));
            /* Room for the mark is kept while text is left, so up to its size may stay unused. */
            bool is_cut = len >= 3 && memcmp(line.at - 3, "\xe2\x80\xa6", 3) == 0;
            assert_true(is_cut || strlen(texts[i].json) <= budget);
            assert_true(!is_cut || strlen(texts[i].json) + 3 > budget);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(writes_numbers),
        cmocka_unit_test(escapes_what_could_forge),
        cmocka_unit_test(keeps_every_budget_and_cuts_between_characters),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
