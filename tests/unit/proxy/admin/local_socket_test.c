/* tests/unit/proxy/admin/local_socket_test.c · SPDX-License-Identifier: Apache-2.0 */
#include "proxy/admin/local_socket.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

struct place {
    char folder[64];
    char path[96];
};

static int make_place(void **state)
{
    struct place *place = calloc(1, sizeof(*place));
    (void)snprintf(place->folder, sizeof(place->folder), "/tmp/sallyport-test-XXXXXX");
    if (place == NULL || mkdtemp(place->folder) == NULL) {
        return -1;
    }
    (void)snprintf(place->path, sizeof(place->path), "%s/s", place->folder);
    *state = place;
    return 0;
}

static int remove_place(void **state)
{
    struct place *place = *state;
    (void)unlink(place->path);
    (void)rmdir(place->folder);
    free(place);
    return 0;
}

static void listens_with_the_mode_that_was_asked_for(void **state)
{
    const struct place *place = *state;
    int listening = local_socket_listen(place->path, 0600);
    assert_true(listening >= 0);
    struct stat facts;
    assert_int_equal(stat(place->path, &facts), 0);
    assert_int_equal(facts.st_mode & 0777, 0600);
    int conn = local_socket_connect(place->path);
    assert_true(conn >= 0);
    (void)close(conn);
    (void)close(listening);
}

static void does_not_steal_a_live_path(void **state)
{
    const struct place *place = *state;
    int listening = local_socket_listen(place->path, 0600);
    assert_true(listening >= 0);
    assert_int_equal(local_socket_listen(place->path, 0600), -1);
    assert_int_equal(errno, EADDRINUSE);
    (void)close(listening);
}

static void replaces_a_stale_path(void **state)
{
    const struct place *place = *state;
    int listening = local_socket_listen(place->path, 0600);
    (void)close(listening);
    listening = local_socket_listen(place->path, 0600);
    assert_true(listening >= 0);
    (void)close(listening);
}

static void never_removes_a_file_that_is_no_socket(void **state)
{
    const struct place *place = *state;
    FILE *file = fopen(place->path, "we");
    assert_non_null(file);
    (void)fclose(file);
    assert_int_equal(local_socket_listen(place->path, 0600), -1);
    assert_int_equal(errno, EEXIST);
    assert_int_equal(access(place->path, F_OK), 0);
}

static void refuses_a_path_that_does_not_fit(void **state)
{
    (void)state;
    char path[200];
    memset(path, 'a', sizeof(path) - 1);
    path[0] = '/';
    path[sizeof(path) - 1] = '\0';
    assert_int_equal(local_socket_listen(path, 0600), -1);
    assert_int_equal(errno, ENAMETOOLONG);
    assert_int_equal(local_socket_connect(path), -1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(listens_with_the_mode_that_was_asked_for, make_place,
                                        remove_place),
        cmocka_unit_test_setup_teardown(does_not_steal_a_live_path, make_place, remove_place),
        cmocka_unit_test_setup_teardown(replaces_a_stale_path, make_place, remove_place),
        cmocka_unit_test_setup_teardown(never_removes_a_file_that_is_no_socket, make_place,
                                        remove_place),
        cmocka_unit_test_setup_teardown(refuses_a_path_that_does_not_fit, make_place, remove_place),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
