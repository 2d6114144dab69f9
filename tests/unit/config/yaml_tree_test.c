/* tests/unit/config/yaml_tree_test.c · SPDX-License-Identifier: Apache-2.0 */
#include "config/yaml_tree.h"

#include <stdio.h>

#include "config/check.h"
#include "config/memory.h"

struct fixture {
    struct memory *memory;
    struct problem_list *problems;
};

static int set_up(void **state)
{
    struct fixture *fixture = calloc(1, sizeof(*fixture));
    assert_non_null(fixture);
    fixture->memory = memory_new();
    fixture->problems = problem_list_new();
    *state = fixture;
    return 0;
}

static int tear_down(void **state)
{
    struct fixture *fixture = *state;
    memory_free(fixture->memory);
    problem_list_free(fixture->problems);
    free(fixture);
    return 0;
}

static const struct yaml_node *read_text(struct fixture *fixture, const char *text)
{
    return yaml_tree_read(fixture->memory, "f", text, strlen(text), fixture->problems);
}

static const struct yaml_node *value_of(const struct yaml_node *mapping, const char *key)
{
    const struct yaml_pair *pair = yaml_tree_find(mapping, key);
    assert_non_null(pair);
    return pair->value;
}

static void assert_only_problem(struct fixture *fixture, const char *expected)
{
    char line[400];
    assert_int_equal(problem_count(fixture->problems), 1);
    problem_format(problem_at(fixture->problems, 0), line, sizeof(line));
    assert_string_equal(line, expected);
}

static void nodes_know_their_line_and_column(void **state)
{
    const struct yaml_node *root = read_text(*state, "a: 1\nb:\n  - x\n  - {c: 'y'}\n");
    assert_non_null(root);
    const struct yaml_node *list = value_of(root, "b");
    assert_int_equal(list->kind, YAML_SEQUENCE);
    assert_int_equal(list->items[0]->place.line, 3);
    assert_int_equal(list->items[0]->place.column, 5);
    const struct yaml_pair *pair = yaml_tree_find(list->items[1], "c");
    assert_int_equal(pair->place.line, 4);
    assert_int_equal(pair->place.column, 6);
    assert_int_equal(pair->value->place.column, 9);
    assert_true(pair->value->quoted);
    assert_null(yaml_tree_find(root, "c"));
}

static void an_empty_file_is_an_empty_group(void **state)
{
    static const char *const ROWS[] = {"", "\n\n", "# nothing\n"};
    for (size_t i = 0; i < COUNT(ROWS); i++) {
        const struct yaml_node *root = read_text(*state, ROWS[i]);
        assert_non_null(root);
        assert_int_equal(root->kind, YAML_MAPPING);
        assert_int_equal(root->count, 0);
    }
}

static void aliases_stand_for_their_anchor(void **state)
{
    const struct yaml_node *root = read_text(*state, "a: &x {k: v}\nb: *x\nc: [*x, *x]\n");
    assert_non_null(root);
    assert_ptr_equal(value_of(root, "a"), value_of(root, "b"));
    assert_int_equal(root->node_count, 1 + 2 + 2 + (1 + 2 + 2));
    assert_int_equal(root->height, 3);
}

static void a_later_anchor_hides_an_earlier_one(void **state)
{
    const struct yaml_node *root = read_text(*state, "a: &x 1\nb: &x 2\nc: *x\n");
    assert_non_null(root);
    assert_string_equal(value_of(root, "c")->text, "2");
}

static void merged_keys_give_way_to_own_ones(void **state)
{
    const struct yaml_node *root =
        read_text(*state, "a: &a {x: 1, y: 1}\nb: &b {y: 2, z: 2}\n"
                          "c: {y: 3, <<: *a}\nd: {<<: [*a, *b]}\ne: {'<<': 5}\n");
    assert_non_null(root);
    const struct yaml_node *c = value_of(root, "c");
    assert_string_equal(value_of(c, "x")->text, "1");
    assert_string_equal(value_of(c, "y")->text, "3");
    const struct yaml_node *d = value_of(root, "d");
    assert_string_equal(value_of(d, "y")->text, "1");
    assert_string_equal(value_of(d, "z")->text, "2");
    assert_int_equal(d->count, 3);
    assert_string_equal(value_of(value_of(root, "e"), "<<")->text, "5");
}

static void refuses(void **state)
{
    static const struct {
        const char *text;
        const char *problem;
    } ROWS[] = {
        {"a: 1\na: 2\n", "f:2:1: 'a' is given twice; expected once, the first is at line 1"},
        {"a: *x\n", "f:1:4: no anchor named 'x'; expected &x at a value before it"},
        {"a: &x [*x]\n", "f:1:8: this alias stands for the value that contains it"},
        {"a: &x {b: {c: *x}}\n", "f:1:15: this alias stands for the value that contains it"},
        {"a: !foo 1\n", "f:1:4: has a tag; expected a value without one"},
        {"a: !!binary aGk=\n", "f:1:4: has a tag; expected a value without one"},
        {"a: 1\n---\nb: 2\n", "f:2:1: a second document; expected one document a file"},
        {"[a]: 1\n", "f:1:1: not a usable key; expected a plain word"},
        {"? {a: b}\n: 1\n", "f:1:3: not a usable key; expected a plain word"},
        {"\"a\\0b\": 1\n", "f:1:1: not a usable key; expected a plain word"},
        {"a: \"b\\0c\"\n", "f:1:4: holds a NUL character"},
        {"a: {<<: 5}\n",
         "f:1:9: cannot be merged; expected an alias of a group of keys, or a list of them"},
        {"a: [1\n",
         "f:2:1: not valid YAML: did not find expected ',' or ']', while parsing a flow sequence"},
        {"a: b: c\n", "f:1:5: not valid YAML: mapping values are not allowed in this context"},
        {"\ta: 1\n", "f:1:1: not valid YAML: found character that cannot start any token, while "
                     "scanning for the next token"},
        {"a: \xff\n", "f: not valid UTF-8 text at byte 3: invalid leading UTF-8 octet"},
    };
    struct fixture *fixture = *state;
    for (size_t i = 0; i < COUNT(ROWS); i++) {
        (void)read_text(fixture, ROWS[i].text);
        assert_only_problem(fixture, ROWS[i].problem);
        problem_list_free(fixture->problems);
        fixture->problems = problem_list_new();
    }
}

static void every_duplicate_is_told_at_once(void **state)
{
    struct fixture *fixture = *state;
    assert_non_null(read_text(fixture, "a: 1\na: 2\nb: {c: 1, c: 2}\n"));
    assert_int_equal(problem_count(fixture->problems), 2);
}

static void an_alias_bomb_is_refused(void **state)
{
    struct fixture *fixture = *state;
    char text[2000] = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n";
    for (int level = 1; level < 10; level++) {
        size_t len = strlen(text);
        (void)snprintf(text + len, sizeof(text) - len, "a%d: &a%d [", level, level);
        for (int i = 0; i < 10; i++) {
            len = strlen(text);
            (void)snprintf(text + len, sizeof(text) - len, "%s*a%d", i == 0 ? "" : ", ", level - 1);
        }
        len = strlen(text);
        (void)snprintf(text + len, sizeof(text) - len, "]\n");
    }
    assert_null(read_text(fixture, text));
    assert_only_problem(fixture, "f:5:55: too large once its aliases are written out; expected at "
                                 "most 100000 values");
}

static void deep_nesting_is_refused(void **state)
{
    struct fixture *fixture = *state;
    char text[200] = {0};
    memset(text, '[', 40);
    memset(text + 40, ']', 40);
    assert_null(read_text(fixture, text));
    assert_only_problem(fixture, "f:1:33: nested too deeply; expected at most 32 levels");
}

static void depth_cannot_be_hidden_behind_an_alias(void **state)
{
    struct fixture *fixture = *state;
    assert_null(read_text(fixture, "a: &a [[[[[[[[[[[[[[[[[[[[1]]]]]]]]]]]]]]]]]]]]\n"
                                   "b: [[[[[[[[[[[[[[[[[[[[*a]]]]]]]]]]]]]]]]]]]]\n"));
    assert_only_problem(fixture, "f:2:24: nested too deeply; expected at most 32 levels");
}

static void large_files_are_refused(void **state)
{
    struct fixture *fixture = *state;
    size_t len = YAML_BYTES_MAX + 1;
    char *text = malloc(len);
    assert_non_null(text);
    memset(text, '\n', len);
    assert_null(yaml_tree_read(fixture->memory, "f", text, len, fixture->problems));
    free(text);
    assert_only_problem(fixture, "f: larger than 1 MiB");
}

static void too_many_keys_are_refused(void **state)
{
    struct fixture *fixture = *state;
    enum { KEYS = 2500, LINE = 16 };
    char *text = malloc((size_t)KEYS * LINE);
    assert_non_null(text);
    size_t len = 0;
    for (int i = 0; i < KEYS; i++) {
        len += (size_t)snprintf(text + len, LINE, "k%d: 1\n", i);
    }
    assert_null(read_text(fixture, text));
    free(text);
    assert_only_problem(fixture, "f:2001:1: too many keys; expected at most 2000 in one group");
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(nodes_know_their_line_and_column), TEST(an_empty_file_is_an_empty_group),
        TEST(aliases_stand_for_their_anchor),   TEST(a_later_anchor_hides_an_earlier_one),
        TEST(merged_keys_give_way_to_own_ones), TEST(refuses),
        TEST(every_duplicate_is_told_at_once),  TEST(an_alias_bomb_is_refused),
        TEST(deep_nesting_is_refused),          TEST(depth_cannot_be_hidden_behind_an_alias),
        TEST(large_files_are_refused),          TEST(too_many_keys_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
