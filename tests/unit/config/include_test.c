/* tests/unit/config/include_test.c · SPDX-License-Identifier: Apache-2.0
 *
 * How names are resolved and trees are joined; what is refused is in load_test.c.
 */
#include "config/include.h"

#include "config/bundle.h"
#include "config/check.h"
#include "config/memory.h"

static void names_are_seen_from_the_folder_of_their_file(void **state)
{
    static const struct {
        const char *base;
        const char *name;
        const char *resolved;
    } ROWS[] = {
        {"sallyport.yaml", "chat.pem", "chat.pem"},
        {"/etc/sallyport/sallyport.yaml", "chat.pem", "/etc/sallyport/chat.pem"},
        {"/etc/sallyport/sallyport.yaml", "/srv/chat.pem", "/srv/chat.pem"},
        {"/sallyport.yaml", "chat.pem", "/chat.pem"},
        {"a/b.yaml", "c/d.yaml", "a/c/d.yaml"},
        {"a/b.yaml", "../d.yaml", "a/../d.yaml"},
        {"./a.yaml", "chat.pem", "chat.pem"},
        {"a.yaml", "./chat.pem", "chat.pem"},
        {"a.yaml", ".//./chat.pem", "chat.pem"},
        {"/etc//s/a.yaml", "x/./y//z.pem", "/etc/s/x/y/z.pem"},
        {"a.yaml", ".hidden", ".hidden"},
        {"a.yaml", "x./y", "x./y"},
        {"a.yaml", "conf.d/*.yaml", "conf.d/*.yaml"},
        {"(arguments)", "/srv/chat.pem", "/srv/chat.pem"},
    };
    (void)state;
    struct memory *memory = memory_new();
    for (size_t i = 0; i < COUNT(ROWS); i++) {
        assert_string_equal(include_resolve(memory, ROWS[i].base, ROWS[i].name), ROWS[i].resolved);
    }
    memory_free(memory);
}

static void lists_are_appended_and_groups_joined(void **state)
{
    (void)state;
    struct bundle *bundle = bundle_new();
    static const char MAIN[] = "include: [b]\nlist: [1, 2]\ngroup: {x: 1, deep: [1]}\n";
    static const char OTHER[] = "list: [3]\ngroup: {y: 2, deep: [2]}\nown: 1\n";
    assert_true(bundle_add(bundle, "a", MAIN, sizeof(MAIN) - 1));
    assert_true(bundle_add(bundle, "b", OTHER, sizeof(OTHER) - 1));
    struct memory *memory = memory_new();
    struct problem_list *problems = problem_list_new();
    struct source source = source_bundle(bundle);
    struct include_files files;
    const struct yaml_node *root = include_read(memory, &source, "a", &files, problems);
    assert_non_null(root);
    assert_int_equal(problem_count(problems), 0);
    assert_int_equal(files.count, 2);
    assert_null(yaml_tree_find(root, "include"));
    const struct yaml_node *list = yaml_tree_find(root, "list")->value;
    assert_int_equal(list->count, 3);
    assert_string_equal(list->items[2]->text, "3");
    assert_string_equal(list->items[2]->place.file, "b");
    const struct yaml_node *group = yaml_tree_find(root, "group")->value;
    assert_int_equal(group->count, 3);
    assert_int_equal(yaml_tree_find(group, "deep")->value->count, 2);
    assert_non_null(yaml_tree_find(root, "own"));
    problem_list_free(problems);
    memory_free(memory);
    bundle_free(bundle);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(names_are_seen_from_the_folder_of_their_file),
        cmocka_unit_test(lists_are_appended_and_groups_joined),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
