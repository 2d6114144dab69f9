/* tests/unit/proxy/process/file_watch_test.c · SPDX-License-Identifier: Apache-2.0 */
#include "proxy/process/file_watch.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "support/turns.h"

enum { QUIET_MS = 4 * FILE_WATCH_SETTLE_MS };

struct fixture {
    struct turns turns;
    struct file_watch watch;
    char folder[64];
    unsigned calls;
};

static void on_change(void *self)
{
    ((struct fixture *)self)->calls++;
}

static const char *path_of(const struct fixture *fixture, const char *name)
{
    static char paths[4][PATH_MAX];
    static unsigned next;
    char *path = paths[next++ % 4];
    (void)snprintf(path, PATH_MAX, "%s/%s", fixture->folder, name);
    return path;
}

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
    turns_init(&fixture->turns);
    (void)snprintf(fixture->folder, sizeof(fixture->folder), "/tmp/file_watch.XXXXXX");
    assert_non_null(mkdtemp(fixture->folder));
    write_file(path_of(fixture, "keys"), "one\n");
    assert_int_equal(file_watch_open(&fixture->watch, fixture->turns.loop, path_of(fixture, "keys"),
                                     on_change, fixture),
                     STATUS_OK);
    *state = fixture;
    return 0;
}

static int tear_down(void **state)
{
    struct fixture *fixture = *state;
    static const char *const NAMES[] = {"keys",    "other", "..data", "v1/keys",
                                        "v2/keys", "v1",    "v2"};
    file_watch_close(&fixture->watch);
    file_watch_close(&fixture->watch); /* harmless */
    for (size_t i = 0; i < sizeof(NAMES) / sizeof(NAMES[0]); i++) {
        (void)remove(path_of(fixture, NAMES[i]));
    }
    assert_int_equal(rmdir(fixture->folder), 0);
    turns_fini(&fixture->turns);
    free(fixture);
    return 0;
}

static bool was_called(void *self)
{
    return ((struct fixture *)self)->calls > 0;
}

/* One call, and after a while still one. */
static void expect_one_call(struct fixture *fixture)
{
    turns_until(&fixture->turns, was_called, fixture);
    (void)turns_until_within(&fixture->turns, QUIET_MS, turns_never, fixture);
    assert_int_equal(fixture->calls, 1);
    fixture->calls = 0;
}

static void nothing_is_told_while_nothing_happens(void **state)
{
    struct fixture *fixture = *state;
    (void)turns_until_within(&fixture->turns, QUIET_MS, turns_never, fixture);
    assert_int_equal(fixture->calls, 0);
}

static void a_file_that_is_rewritten_in_place_is_told(void **state)
{
    struct fixture *fixture = *state;
    write_file(path_of(fixture, "keys"), "two\n");
    expect_one_call(fixture);
    write_file(path_of(fixture, "keys"), "three\n");
    expect_one_call(fixture);
}

static void a_file_that_is_replaced_is_told_each_time(void **state)
{
    struct fixture *fixture = *state;
    for (int i = 0; i < 2; i++) { /* the second one is of a file that was not there at first */
        write_file(path_of(fixture, "other"), "two\n");
        assert_int_equal(rename(path_of(fixture, "other"), path_of(fixture, "keys")), 0);
        expect_one_call(fixture);
    }
}

static void a_file_that_was_gone_and_comes_back_is_told(void **state)
{
    struct fixture *fixture = *state;
    assert_int_equal(unlink(path_of(fixture, "keys")), 0);
    (void)turns_until_within(&fixture->turns, QUIET_MS, turns_never, fixture);
    fixture->calls = 0;
    write_file(path_of(fixture, "keys"), "two\n");
    expect_one_call(fixture);
}

/* As Kubernetes changes a secret: keys → ..data/keys, and ..data → v1 becomes ..data → v2. */
static void a_link_on_the_way_that_is_swapped_is_told(void **state)
{
    struct fixture *fixture = *state;
    assert_int_equal(mkdir(path_of(fixture, "v1"), 0700), 0);
    assert_int_equal(mkdir(path_of(fixture, "v2"), 0700), 0);
    write_file(path_of(fixture, "v1/keys"), "one\n");
    write_file(path_of(fixture, "v2/keys"), "two\n");
    assert_int_equal(unlink(path_of(fixture, "keys")), 0);
    assert_int_equal(symlink("v1", path_of(fixture, "..data")), 0);
    assert_int_equal(symlink("..data/keys", path_of(fixture, "keys")), 0);
    expect_one_call(fixture);
    assert_int_equal(symlink("v2", path_of(fixture, "other")), 0);
    assert_int_equal(rename(path_of(fixture, "other"), path_of(fixture, "..data")), 0);
    expect_one_call(fixture);
}

static void many_changes_at_once_are_one_call(void **state)
{
    struct fixture *fixture = *state;
    for (int i = 0; i < 2000; i++) {
        write_file(path_of(fixture, i % 2 == 0 ? "keys" : "other"), "two\n");
    }
    expect_one_call(fixture);
}

static bool writes_on(void *self)
{
    struct fixture *fixture = self;
    if (fixture->calls == 0) {
        write_file(path_of(fixture, "other"), "noise\n"); /* which wakes the loop again */
    }
    return was_called(self);
}

/* A folder in which something is always written must not hide that the keys were changed. */
static void a_folder_that_is_never_quiet_hides_no_change(void **state)
{
    struct fixture *fixture = *state;
    write_file(path_of(fixture, "keys"), "two\n");
    assert_true(turns_until_within(&fixture->turns, 5000, writes_on, fixture));
}

static void after_close_nothing_is_told(void **state)
{
    struct fixture *fixture = *state;
    write_file(path_of(fixture, "keys"), "two\n");
    turns_settle(&fixture->turns, NULL, NULL); /* the change was noticed and settles */
    file_watch_close(&fixture->watch);
    write_file(path_of(fixture, "keys"), "three\n");
    (void)turns_until_within(&fixture->turns, QUIET_MS, turns_never, fixture);
    assert_int_equal(fixture->calls, 0);
}

static void a_folder_that_is_not_there_cannot_be_watched(void **state)
{
    struct fixture *fixture = *state;
    struct file_watch watch;
    assert_int_equal(file_watch_open(&watch, fixture->turns.loop, path_of(fixture, "none/keys"),
                                     on_change, fixture),
                     STATUS_SYS);
    assert_int_equal(errno, ENOENT);
    file_watch_close(&watch);
    char *path = malloc(PATH_MAX + 10);
    assert_non_null(path);
    memset(path, 'x', PATH_MAX + 9);
    path[PATH_MAX + 9] = '\0';
    path[PATH_MAX + 2] = '/';
    assert_int_equal(file_watch_open(&watch, fixture->turns.loop, path, on_change, fixture),
                     STATUS_SYS);
    assert_int_equal(errno, ENAMETOOLONG);
    file_watch_close(&watch);
    free(path);
}

#define TEST(claim) cmocka_unit_test_setup_teardown(claim, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(nothing_is_told_while_nothing_happens),
        TEST(a_file_that_is_rewritten_in_place_is_told),
        TEST(a_file_that_is_replaced_is_told_each_time),
        TEST(a_file_that_was_gone_and_comes_back_is_told),
        TEST(a_link_on_the_way_that_is_swapped_is_told),
        TEST(many_changes_at_once_are_one_call),
        TEST(a_folder_that_is_never_quiet_hides_no_change),
        TEST(after_close_nothing_is_told),
        TEST(a_folder_that_is_not_there_cannot_be_watched),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
