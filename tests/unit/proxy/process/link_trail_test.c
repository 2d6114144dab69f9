/* tests/unit/proxy/process/link_trail_test.c · SPDX-License-Identifier: Apache-2.0 */
#include "proxy/process/link_trail.h"

#include <limits.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

enum { TEXT_BYTES = 4096 };

struct stage {
    char folder[32];
    char told[TEXT_BYTES]; /* below the folder, those with a name of the way with a star */
};

static void in_stage(const struct stage *stage, const char *name, char out[PATH_MAX])
{
    assert_true(snprintf(out, PATH_MAX, "%s/%s", stage->folder, name) < PATH_MAX);
}

static void add_folder(const struct stage *stage, const char *name)
{
    char path[PATH_MAX];
    in_stage(stage, name, path);
    assert_int_equal(mkdir(path, 0700), 0);
}

static void add_link(const struct stage *stage, const char *name, const char *target)
{
    char path[PATH_MAX];
    in_stage(stage, name, path);
    assert_int_equal(symlink(target, path), 0);
}

static void add_file(const struct stage *stage, const char *name)
{
    char path[PATH_MAX];
    in_stage(stage, name, path);
    FILE *file = fopen(path, "we");
    assert_non_null(file);
    assert_int_equal(fclose(file), 0);
}

static int stage_init(void **state)
{
    struct stage *stage = calloc(1, sizeof(*stage));
    strcpy(stage->folder, "/tmp/trail-XXXXXX");
    assert_non_null(mkdtemp(stage->folder));
    add_folder(stage, "v1");
    add_folder(stage, "v1/deep");
    add_file(stage, "v1/deep/key");
    add_folder(stage, "mount");
    add_link(stage, "mount/..data", "../v1");
    add_link(stage, "mount/key", "..data/deep/key");
    add_link(stage, "turns", "turns");
    *state = stage;
    return 0;
}

static int stage_fini(void **state)
{
    static const char *const NAMES[] = {"far",   "turns",       "mount/key", "mount/..data",
                                        "mount", "v1/deep/key", "v1/deep",   "v1"};
    struct stage *stage = *state;
    for (size_t i = 0; i < sizeof(NAMES) / sizeof(NAMES[0]); i++) {
        char path[PATH_MAX];
        in_stage(stage, NAMES[i], path);
        (void)remove(path);
    }
    assert_int_equal(rmdir(stage->folder), 0);
    free(stage);
    return 0;
}

static void on_folder(void *self, const char *folder, bool has_name)
{
    struct stage *stage = self;
    size_t len = strlen(stage->folder);
    if (strncmp(folder, stage->folder, len) == 0) {
        strcat(stage->told, folder[len] == '\0' ? "/" : folder + len);
        strcat(stage->told, has_name ? "* " : " ");
    }
}

static void tells(struct stage *stage, const char *name, const char *expected)
{
    char path[PATH_MAX];
    in_stage(stage, name, path);
    stage->told[0] = '\0';
    link_trail(path, on_folder, stage);
    assert_string_equal(stage->told, expected);
}

static void a_plain_path_passes_its_folders(void **state)
{
    tells(*state, "v1/deep/key", "/ /v1 /v1/deep* ");
    tells(*state, "v1//./deep/../deep/key", "/ /v1 /v1 /v1/deep* ");
}

static void each_link_of_the_way_is_in_a_folder_that_counts(void **state)
{
    tells(*state, "mount/key", "/ /mount* /mount* / /v1 /v1/deep* ");
    tells(*state, "mount/..data/deep/key", "/ /mount* / /v1 /v1/deep* ");
}

static void a_link_may_lead_to_the_root(void **state)
{
    struct stage *stage = *state;
    char target[PATH_MAX];
    in_stage(stage, "v1", target);
    add_link(stage, "far", target);
    tells(stage, "far/deep/key", "/* / /v1 /v1/deep* ");
}

static void what_is_missing_ends_it_where_it_may_appear(void **state)
{
    tells(*state, "v1/nowhere/key", "/ /v1* ");
    tells(*state, "v1/deep/other", "/ /v1 /v1/deep* ");
    tells(*state, "v1/deep/key/below", "/ /v1 /v1/deep /v1/deep/key* ");
}

static void a_circle_ends(void **state)
{
    struct stage *stage = *state;
    char path[PATH_MAX];
    in_stage(stage, "turns/key", path);
    stage->told[0] = '\0';
    link_trail(path, on_folder, stage);
    assert_memory_equal(stage->told, "/* /* ", 6);
}

static void what_is_too_long_has_no_trail(void **state)
{
    struct stage *stage = *state;
    char path[PATH_MAX + 8];
    memset(path, 'a', sizeof(path) - 1);
    path[0] = '/';
    path[sizeof(path) - 1] = '\0';
    link_trail(path, on_folder, stage);
    assert_string_equal(stage->told, "");
}

static void a_relative_path_begins_where_we_are(void **state)
{
    struct stage *stage = *state;
    char here[PATH_MAX];
    assert_non_null(getcwd(here, sizeof(here)));
    assert_int_equal(chdir(stage->folder), 0);
    link_trail("mount/..data/deep/key", on_folder, stage);
    assert_int_equal(chdir(here), 0);
    assert_string_equal(stage->told, "/ /mount* / /v1 /v1/deep* ");
}

int main(void)
{
#define CASE(name) cmocka_unit_test_setup_teardown(name, stage_init, stage_fini)
    const struct CMUnitTest tests[] = {
        CASE(a_plain_path_passes_its_folders),
        CASE(each_link_of_the_way_is_in_a_folder_that_counts),
        CASE(a_link_may_lead_to_the_root),
        CASE(what_is_missing_ends_it_where_it_may_appear),
        CASE(a_circle_ends),
        CASE(what_is_too_long_has_no_trail),
        CASE(a_relative_path_begins_where_we_are),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
