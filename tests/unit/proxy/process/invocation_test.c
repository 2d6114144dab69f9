/* tests/unit/proxy/process/invocation_test.c · SPDX-License-Identifier: Apache-2.0 */
#include "proxy/process/invocation.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

/* A folder with a program, a link to it and a stranger. */
struct rig {
    char folder[64];
    char program[96];
    char link[96];
};

static void make_file(const char *path)
{
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    assert_int_equal(fclose(file), 0);
}

static int open_rig(void **state)
{
    struct rig *rig = calloc(1, sizeof(*rig));
    char path[128];
    (void)snprintf(rig->folder, sizeof(rig->folder), "/tmp/invocation-XXXXXX");
    assert_non_null(mkdtemp(rig->folder));
    (void)snprintf(rig->program, sizeof(rig->program), "%s/program-1.2", rig->folder);
    (void)snprintf(rig->link, sizeof(rig->link), "%s/program", rig->folder);
    (void)snprintf(path, sizeof(path), "%s/stranger", rig->folder);
    make_file(rig->program);
    make_file(path);
    assert_int_equal(symlink("program-1.2", rig->link), 0);
    *state = rig;
    return 0;
}

static int close_rig(void **state)
{
    struct rig *rig = *state;
    char path[128];
    (void)snprintf(path, sizeof(path), "%s/stranger", rig->folder);
    (void)unlink(path);
    (void)unlink(rig->link);
    (void)unlink(rig->program);
    (void)rmdir(rig->folder);
    free(rig);
    return 0;
}

/* The link can be turned to the next version. */
static void a_path_stays_as_it_was_called(void **state)
{
    struct rig *rig = *state;
    char path[PATH_MAX];
    assert_true(invocation_find(rig->link, "/", NULL, rig->program, path));
    assert_string_equal(path, rig->link);
    assert_true(invocation_find("./program", rig->folder, NULL, rig->program, path));
    assert_int_equal(access(path, F_OK), 0);
    assert_true(path[0] == '/');
}

static void a_name_is_searched_for(void **state)
{
    struct rig *rig = *state;
    char path[PATH_MAX];
    char search[256];
    (void)snprintf(search, sizeof(search), "/nowhere::relative:%s:/bin", rig->folder);
    assert_true(invocation_find("program", "/", search, rig->program, path));
    assert_string_equal(path, rig->link);
    assert_false(invocation_find("program", "/", NULL, rig->program, path));
    assert_false(invocation_find("program", "/", "/bin", rig->program, path));
}

/* argv[0] may say anything. */
static void another_file_is_not_believed(void **state)
{
    struct rig *rig = *state;
    char path[PATH_MAX];
    char word[128];
    (void)snprintf(word, sizeof(word), "%s/stranger", rig->folder);
    assert_false(invocation_find(word, "/", NULL, rig->program, path));
    assert_false(invocation_find("stranger", "/", rig->folder, rig->program, path));
    assert_false(invocation_find("", "/", rig->folder, rig->program, path));
}

static void finds_itself(void **state)
{
    (void)state;
    struct invocation invocation;
    assert_int_equal(invocation_open(&invocation), STATUS_OK);
    assert_true(invocation.path[0] == '/');
    assert_null(strstr(invocation.path, "(deleted)"));
    assert_non_null(strstr(invocation.words[0], "invocation_test"));
    assert_null(invocation.words[1]);
    assert_null(invocation_rehearsal(&invocation)); /* there is no verb */
    invocation_close(&invocation);
}

static void a_rehearsal_is_one_word_more(void **state)
{
    (void)state;
    static char word_0[] = "sallyport";
    static char word_1[] = "run";
    static char word_2[] = "-c";
    static char word_3[] = "file";
    char *words[] = {word_0, word_1, word_2, word_3, NULL};
    const struct invocation invocation = {.path = "/sallyport", .words = words};
    char **made = invocation_rehearsal(&invocation);
    static const char *const WANTED[] = {"sallyport", "run", "--rehearse", "-c", "file"};
    for (size_t i = 0; i < 5; i++) {
        assert_string_equal(made[i], WANTED[i]);
    }
    assert_null(made[5]);
    free(made);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_path_stays_as_it_was_called, open_rig, close_rig),
        cmocka_unit_test_setup_teardown(a_name_is_searched_for, open_rig, close_rig),
        cmocka_unit_test_setup_teardown(another_file_is_not_believed, open_rig, close_rig),
        cmocka_unit_test(finds_itself),
        cmocka_unit_test(a_rehearsal_is_one_word_more),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
