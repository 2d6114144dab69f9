/* tests/unit/config/source_test.c · SPDX-License-Identifier: Apache-2.0 */
#include "config/source.h"

#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "config/bundle.h"
#include "config/check.h"

static const char *const NAMES[] = {"b.yaml", "a.yaml", ".hidden.yaml", "c.txt"};

struct fixture {
    char folder[64];
    struct bundle *bundle; /* the same names and bytes as the folder */
};

static void write_file(const char *path, const char *text)
{
    FILE *file = fopen(path, "we");
    assert_non_null(file);
    assert_true(fputs(text, file) >= 0);
    assert_int_equal(fclose(file), 0);
}

static int set_up(void **state)
{
    struct fixture *fixture = calloc(1, sizeof(*fixture));
    assert_non_null(fixture);
    (void)snprintf(fixture->folder, sizeof(fixture->folder), "/tmp/source_test.XXXXXX");
    assert_non_null(mkdtemp(fixture->folder));
    fixture->bundle = bundle_new();
    for (size_t i = 0; i < COUNT(NAMES); i++) {
        char path[128];
        (void)snprintf(path, sizeof(path), "%s/%s", fixture->folder, NAMES[i]);
        write_file(path, NAMES[i]);
        assert_true(bundle_add(fixture->bundle, path, NAMES[i], strlen(NAMES[i])));
    }
    *state = fixture;
    return 0;
}

static int tear_down(void **state)
{
    struct fixture *fixture = *state;
    for (size_t i = 0; i < COUNT(NAMES); i++) {
        char path[128];
        (void)snprintf(path, sizeof(path), "%s/%s", fixture->folder, NAMES[i]);
        (void)unlink(path);
    }
    (void)rmdir(fixture->folder);
    bundle_free(fixture->bundle);
    free(fixture);
    return 0;
}

static void both_sources(struct fixture *fixture, struct source sources[2])
{
    sources[0] = source_files(NULL);
    sources[1] = source_bundle(fixture->bundle);
}

static void reads_whole_files(void **state)
{
    struct fixture *fixture = *state;
    struct source sources[2];
    both_sources(fixture, sources);
    char path[128];
    (void)snprintf(path, sizeof(path), "%s/a.yaml", fixture->folder);
    for (size_t i = 0; i < 2; i++) {
        char *bytes = NULL;
        size_t len = 0;
        assert_int_equal(source_read(&sources[i], path, 6, &bytes, &len), SOURCE_OK);
        assert_int_equal(len, 6);
        assert_string_equal(bytes, "a.yaml");
        free(bytes);
        assert_int_equal(source_read(&sources[i], path, 5, &bytes, &len), SOURCE_TOO_LARGE);
        assert_int_equal(source_read(&sources[i], "/nonexistent", 5, &bytes, &len), SOURCE_MISSING);
        assert_int_equal(source_look(&sources[i], path), SOURCE_OK);
        assert_int_equal(source_look(&sources[i], "/nonexistent"), SOURCE_MISSING);
    }
    assert_true(source_can_look(&sources[0]));
    assert_false(source_can_look(&sources[1]));
}

static void what_is_no_file_cannot_be_read(void **state)
{
    struct fixture *fixture = *state;
    struct source source = source_files(NULL);
    char *bytes = NULL;
    size_t len = 0;
    static const char *const ROWS[] = {"/dev/zero", "/"};
    for (size_t i = 0; i < COUNT(ROWS); i++) {
        assert_int_equal(source_read(&source, ROWS[i], 100, &bytes, &len), SOURCE_UNREADABLE);
        assert_int_equal(source_look(&source, ROWS[i]), SOURCE_UNREADABLE);
    }
    char path[128];
    (void)snprintf(path, sizeof(path), "%s/a.yaml/below", fixture->folder);
    assert_int_equal(source_look(&source, path), SOURCE_MISSING);
}

static void patterns_match_the_same_in_a_bundle(void **state)
{
    static const struct {
        const char *pattern;
        size_t count;
    } ROWS[] = {
        {"*.yaml", 2},    {"*", 3},     {"a.yaml", 1}, {"missing.yaml", 0},
        {"[ab].yaml", 2}, {"?.txt", 1}, {".h*", 1},
    };
    struct fixture *fixture = *state;
    struct source sources[2];
    both_sources(fixture, sources);
    for (size_t i = 0; i < COUNT(ROWS); i++) {
        char pattern[128];
        (void)snprintf(pattern, sizeof(pattern), "%s/%s", fixture->folder, ROWS[i].pattern);
        struct source_names names[2];
        for (size_t s = 0; s < 2; s++) {
            assert_int_equal(source_glob(&sources[s], pattern, &names[s]), SOURCE_OK);
            assert_int_equal(names[s].count, ROWS[i].count);
        }
        for (size_t k = 0; k < ROWS[i].count; k++) {
            assert_string_equal(names[0].names[k], names[1].names[k]);
        }
        source_names_free(&names[0]);
        source_names_free(&names[1]);
    }
}

static void an_overlay_is_looked_at_first(void **state)
{
    struct fixture *fixture = *state;
    struct bundle *overlay = bundle_new();
    char path[128];
    (void)snprintf(path, sizeof(path), "%s/a.yaml", fixture->folder);
    assert_true(bundle_add(overlay, path, "over", 4));
    assert_true(bundle_add(overlay, "(arguments)", "x", 1));
    struct source source = source_files(overlay);
    char *bytes = NULL;
    size_t len = 0;
    assert_int_equal(source_read(&source, path, 100, &bytes, &len), SOURCE_OK);
    assert_string_equal(bytes, "over");
    free(bytes);
    assert_int_equal(source_look(&source, "(arguments)"), SOURCE_OK);
    (void)snprintf(path, sizeof(path), "%s/b.yaml", fixture->folder);
    assert_int_equal(source_look(&source, path), SOURCE_OK);
    bundle_free(overlay);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

static void expect_read(const struct source *source, const char *name, const char *text)
{
    char *bytes = NULL;
    size_t len = 0;
    assert_int_equal(source_read(source, name, 1000, &bytes, &len), SOURCE_OK);
    assert_string_equal(bytes, text);
    free(bytes);
}

static void what_was_recorded_is_read_again_as_it_was(void **state)
{
    const struct fixture *fixture = *state;
    char path[128];
    (void)snprintf(path, sizeof(path), "%s/a.yaml", fixture->folder);
    struct bundle *record = bundle_new();
    const struct source source = source_files_recorded(record);
    expect_read(&source, path, "a.yaml");
    write_file(path, "written meanwhile");
    expect_read(&source, path, "a.yaml");
    assert_int_equal(bundle_count(record), 1);
    const struct source later = source_files(record);
    expect_read(&later, path, "a.yaml");
    bundle_free(record);
}

static void with_fixed_yaml_patterns_find_nothing_new(void **state)
{
    const struct fixture *fixture = *state;
    struct bundle *yaml = bundle_new();
    char path[128];
    char pattern[128];
    (void)snprintf(path, sizeof(path), "%s/a.yaml", fixture->folder);
    (void)snprintf(pattern, sizeof(pattern), "%s/*.yaml", fixture->folder);
    assert_true(bundle_add(yaml, path, "old", 3));
    const struct source source = source_files_but_yaml(yaml);
    struct source_names names;
    assert_int_equal(source_glob(&source, pattern, &names), SOURCE_OK);
    assert_int_equal(names.count, 1); /* b.yaml is in the folder too */
    source_names_free(&names);
    expect_read(&source, path, "old");
    (void)snprintf(path, sizeof(path), "%s/c.txt", fixture->folder);
    expect_read(&source, path, "c.txt"); /* other files are read anew */
    bundle_free(yaml);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(reads_whole_files),
        TEST(what_is_no_file_cannot_be_read),
        TEST(patterns_match_the_same_in_a_bundle),
        TEST(an_overlay_is_looked_at_first),
        TEST(what_was_recorded_is_read_again_as_it_was),
        TEST(with_fixed_yaml_patterns_find_nothing_new),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
