/* tests/unit/config/problem_test.c · SPDX-License-Identifier: Apache-2.0 */
#include "config/problem.h"

#include "config/check.h"

static void assert_line(struct problem_list *list, size_t i, const char *expected)
{
    char line[300];
    const struct problem *problem = problem_at(list, i);
    assert_non_null(problem);
    problem_format(problem, line, sizeof(line));
    assert_string_equal(line, expected);
}

static void problems_come_in_the_order_of_the_files(void **state)
{
    (void)state;
    struct problem_list *list = problem_list_new();
    problem_add(list, &(struct place){"b.yaml", 9, 1}, "late");
    problem_add(list, &(struct place){"a.yaml", 1, 1}, "other file");
    problem_add(list, &(struct place){"b.yaml", 2, 7}, "right");
    problem_add(list, &(struct place){"b.yaml", 2, 3}, "left");
    problem_add(list, &(struct place){.file = "b.yaml"}, "whole file");
    problem_add(list, NULL, "no place");
    assert_int_equal(problem_count(list), 6);
    assert_line(list, 0, "b.yaml: whole file");
    assert_line(list, 1, "b.yaml:2:3: left");
    assert_line(list, 2, "b.yaml:2:7: right");
    assert_line(list, 3, "b.yaml:9:1: late");
    assert_line(list, 4, "a.yaml:1:1: other file");
    assert_line(list, 5, "no place");
    assert_null(problem_at(list, 6));
    problem_list_free(list);
}

static void the_same_problem_counts_once(void **state)
{
    (void)state;
    struct problem_list *list = problem_list_new();
    for (int i = 0; i < 5; i++) {
        problem_add(list, &(struct place){"a", 1, 1}, "same");
    }
    assert_int_equal(problem_count(list), 1);
    problem_list_free(list);
}

static void too_many_are_counted_but_not_kept(void **state)
{
    (void)state;
    struct problem_list *list = problem_list_new();
    for (unsigned i = 1; i <= 500; i++) {
        problem_add(list, &(struct place){"a", i, 1}, "wrong");
    }
    assert_int_equal(problem_count(list), 500);
    assert_non_null(problem_at(list, 199));
    assert_null(problem_at(list, 200));
    problem_list_free(list);
}

static void a_generated_line_can_be_named(void **state)
{
    (void)state;
    struct problem_list *list = problem_list_new();
    problem_add(list, &(struct place){"(arguments)", 3, 9}, "has no scheme");
    problem_add(list, &(struct place){"(arguments)", 4, 9}, "other");
    problem_relabel(list, "(arguments)", 3, "--to");
    assert_line(list, 0, "--to: has no scheme");
    assert_line(list, 1, "(arguments):4:9: other");
    problem_list_free(list);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(problems_come_in_the_order_of_the_files),
        cmocka_unit_test(the_same_problem_counts_once),
        cmocka_unit_test(too_many_are_counted_but_not_kept),
        cmocka_unit_test(a_generated_line_can_be_named),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
