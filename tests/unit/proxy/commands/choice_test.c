/* tests/unit/proxy/commands/choice_test.c · SPDX-License-Identifier: Apache-2.0 */
#include "proxy/commands/choice.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { WORDS_MAX = 8 };

struct row {
    const char *words[WORDS_MAX];
    bool is_read;
    const char *file;
    const char *to;
    bool is_json;
    bool is_help;
};

static const struct row ROWS[] = {
    {{"check"}, true, NULL, NULL, false, false},
    {{"check", "-c", "a.yaml"}, true, "a.yaml", NULL, false, false},
    {{"check", "--config", "a.yaml", "--json"}, true, "a.yaml", NULL, true, false},
    {{"check", "--config=a=b.yaml"}, true, "a=b.yaml", NULL, false, false},
    {{"check", "--to", "http://[::1]:1"}, true, NULL, "http://[::1]:1", false, false},
    {{"check", "--to=unix:/x", "--json"}, true, NULL, "unix:/x", true, false},
    {{"check", "--to", "--json"}, true, NULL, "--json", false, false},
    {{"check", "--help", "nonsense"}, true, NULL, NULL, false, true},
    {{"check", "-h"}, true, NULL, NULL, false, true},
    {{"check", "-c"}, false, NULL, NULL, false, false},
    {{"check", "--to"}, false, NULL, NULL, false, false},
    {{"check", "a.yaml"}, false, NULL, NULL, false, false},
    {{"check", "--tooooooooooooooooooooooooooooooooooooooooo=1"}, false, NULL, NULL, false, false},
    {{"check", "--=1"}, false, NULL, NULL, false, false},
    {{"check", ""}, false, NULL, NULL, false, false},
};

static bool is_same(const char *left, const char *right)
{
    return left == right || (left != NULL && right != NULL && strcmp(left, right) == 0);
}

static void options_are_read_or_refused(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(ROWS) / sizeof(ROWS[0]); i++) {
        const struct row *row = &ROWS[i];
        struct choice choice = {.takes_json = true};
        int count = 0;
        while (count < WORDS_MAX && row->words[count] != NULL) {
            count++;
        }
        assert_int_equal(choice_read(&choice, count, (char **)(uintptr_t)row->words), row->is_read);
        if (row->is_read) {
            assert_true(is_same(choice.file, row->file));
            assert_true(is_same(choice.arguments.values[ARGUMENT_TO], row->to));
            assert_int_equal(choice.is_json, row->is_json);
            assert_int_equal(choice.is_help, row->is_help);
        }
    }
}

static void json_is_for_those_who_take_it(void **state)
{
    (void)state;
    static const char *const WORDS[] = {"run", "--json"};
    struct choice choice = {0};
    assert_false(choice_read(&choice, 2, (char **)(uintptr_t)WORDS));
}

static void a_file_and_a_target_exclude_each_other(void **state)
{
    (void)state;
    struct choice choice = {.verb = "run", .file = "a.yaml"};
    choice.arguments.values[ARGUMENT_TO] = "unix:/x";
    assert_false(choice_settle(&choice));
    choice = (struct choice){.verb = "run", .file = "a.yaml"};
    choice.arguments.values[ARGUMENT_LISTEN] = "[::]:1";
    assert_false(choice_settle(&choice));
}

static void the_environment_counts_only_without_a_file(void **state)
{
    (void)state;
    assert_int_equal(setenv("SALLYPORT_TO", "unix:/y", 1), 0);
    struct choice choice = {.verb = "run", .file = "a.yaml"};
    assert_true(choice_settle(&choice));
    assert_null(choice.arguments.values[ARGUMENT_TO]);
    choice = (struct choice){.verb = "run"};
    assert_true(choice_settle(&choice));
    assert_null(choice.file);
    assert_string_equal(choice.arguments.values[ARGUMENT_TO], "unix:/y");
    (void)unsetenv("SALLYPORT_TO");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(options_are_read_or_refused),
        cmocka_unit_test(json_is_for_those_who_take_it),
        cmocka_unit_test(a_file_and_a_target_exclude_each_other),
        cmocka_unit_test(the_environment_counts_only_without_a_file),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
