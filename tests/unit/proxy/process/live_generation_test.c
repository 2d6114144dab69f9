/* tests/unit/proxy/process/live_generation_test.c · SPDX-License-Identifier: Apache-2.0 */
#include "proxy/process/live_generation.h"

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cmocka.h>

static void it_takes_the_snapshot_and_closes_it(void **state)
{
    (void)state;
    struct snapshot snapshot = {memfd_create("w", MFD_CLOEXEC), memfd_create("k", MFD_CLOEXEC)};
    const struct snapshot files = snapshot;
    const struct config config = {.certificate_count = 3};
    struct live_generation *generation = live_generation_new(7, &snapshot, &config, 2);
    assert_non_null(generation);
    assert_int_equal(snapshot.worker_file, -1);
    assert_int_equal(generation->number, 7);
    assert_int_equal(generation->certificate_count, 3);
    live_generation_free(generation);
    assert_int_equal(fcntl(files.worker_file, F_GETFD), -1);
    assert_int_equal(fcntl(files.key_file, F_GETFD), -1);
}

static void a_worker_counts_once(void **state)
{
    (void)state;
    struct snapshot snapshot = {-1, -1};
    const struct config config = {.certificate_count = 0};
    struct live_generation *generation = live_generation_new(1, &snapshot, &config, 2);
    assert_non_null(generation);
    live_generation_use(generation, 0);
    live_generation_use(generation, 0);
    live_generation_use(generation, 1);
    live_generation_use(generation, 2); /* there is none such */
    assert_int_equal(generation->user_count, 2);
    live_generation_leave(generation, 0);
    live_generation_leave(generation, 0);
    live_generation_leave(generation, 2);
    assert_int_equal(generation->user_count, 1);
    live_generation_free(generation);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(it_takes_the_snapshot_and_closes_it),
        cmocka_unit_test(a_worker_counts_once),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
