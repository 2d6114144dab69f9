/* tests/unit/proxy/process/landlock_test.c
 *
 * Entered by processes of their own, which then open something.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "proxy/process/landlock.h"

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

enum { BROKEN = 200 };

/* The errno of an open under the wish; 0: it was opened. Without a wish, in no sandbox. */
static int try_open(const struct landlock_wish *wish, const char *path, int flags)
{
    pid_t child = fork();
    if (child == 0) {
        if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0 ||
            (wish != NULL && landlock_enter(wish) == 0)) {
            _exit(BROKEN);
        }
        _exit(open(path, flags | O_CLOEXEC) >= 0 ? 0 : errno);
    }
    int status = 0;
    assert_int_equal(waitpid(child, &status, 0), child);
    return WEXITSTATUS(status);
}

static void nothing_is_readable_but_what_is_named(void **state)
{
    (void)state;
    if (landlock_version() == 0) {
        skip(); /* this kernel has none */
    }
    static const char *const PATHS[] = {"/no-such-file", "/etc/passwd", NULL};
    static const char *const MORE[] = {"/usr", NULL};
    const struct landlock_wish none = {.paths = NULL};
    const struct landlock_wish some = {.paths = PATHS, .more_paths = MORE};
    assert_int_equal(try_open(NULL, "/etc/passwd", O_RDONLY), 0);
    assert_int_equal(try_open(&none, "/etc/passwd", O_RDONLY), EACCES);
    assert_int_equal(try_open(&none, "/", O_RDONLY | O_DIRECTORY), EACCES);
    assert_int_equal(try_open(&some, "/etc/passwd", O_RDONLY), 0);
    assert_int_equal(try_open(&some, "/etc/group", O_RDONLY), EACCES);
    assert_int_equal(try_open(&some, "/usr/bin", O_RDONLY | O_DIRECTORY), 0);
    assert_int_equal(try_open(&some, "/usr/bin/env", O_RDONLY), 0);
}

static void what_is_named_stays_unwritable(void **state)
{
    (void)state;
    if (landlock_version() == 0) {
        skip();
    }
    char path[] = "/tmp/sallyport-landlock-XXXXXX";
    int descriptor = mkstemp(path);
    assert_true(descriptor >= 0);
    const char *const paths[] = {path, NULL};
    const struct landlock_wish wish = {.paths = paths};
    assert_int_equal(try_open(NULL, path, O_RDWR), 0);
    assert_int_equal(try_open(&wish, path, O_RDONLY), 0);
    assert_int_equal(try_open(&wish, path, O_RDWR), EACCES);
    (void)close(descriptor);
    (void)unlink(path);
}

/* Memory files are what children are handed. */
static void what_is_open_stays_usable(void **state)
{
    (void)state;
    if (landlock_version() == 0) {
        skip();
    }
    int file = memfd_create("test", MFD_CLOEXEC);
    assert_int_equal(write(file, "x", 1), 1);
    pid_t child = fork();
    if (child == 0) {
        const struct landlock_wish none = {.paths = NULL};
        bool is_entered = prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 && landlock_enter(&none) > 0;
        const char *at = mmap(NULL, 1, PROT_READ, MAP_SHARED, file, 0);
        _exit(is_entered && at != MAP_FAILED && *at == 'x' ? 0 : 1);
    }
    int status = 0;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(WEXITSTATUS(status), 0);
    (void)close(file);
}

static void cannot_be_entered_without_no_new_privs(void **state)
{
    (void)state;
    if (landlock_version() == 0 || geteuid() != 0) {
        skip(); /* root may, others may not: only that it is told apart is of interest */
    }
    const struct landlock_wish none = {.paths = NULL};
    pid_t child = fork();
    if (child == 0) {
        bool is_other = setuid(65534) == 0;
        _exit(is_other && landlock_enter(&none) == 0 ? 0 : 1);
    }
    int status = 0;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(WEXITSTATUS(status), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(nothing_is_readable_but_what_is_named),
        cmocka_unit_test(what_is_named_stays_unwritable),
        cmocka_unit_test(what_is_open_stays_usable),
        cmocka_unit_test(cannot_be_entered_without_no_new_privs),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
