/* tests/unit/proxy/process/memory_file_test.c · SPDX-License-Identifier: Apache-2.0 */
#include "proxy/process/memory_file.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cmocka.h>

static void gives_back_the_bytes(void **state)
{
    (void)state;
    int descriptor = memory_file_new("test", "hello", 5);
    assert_true(descriptor >= 0);
    struct memory_file file;
    assert_int_equal(memory_file_map(&file, descriptor, 5), STATUS_OK);
    assert_int_equal(file.len, 5);
    assert_memory_equal(file.bytes, "hello", 5);
    memory_file_unmap(&file);
    memory_file_unmap(&file);
    (void)close(descriptor);
}

static void cannot_be_changed(void **state)
{
    (void)state;
    int descriptor = memory_file_new("test", "hello", 5);
    assert_int_equal(write(descriptor, "x", 1), -1);
    assert_int_equal(ftruncate(descriptor, 1), -1);
    assert_ptr_equal(mmap(NULL, 5, PROT_READ | PROT_WRITE, MAP_SHARED, descriptor, 0), MAP_FAILED);
    (void)close(descriptor);
}

static void refuses_what_is_not_sealed_or_too_large(void **state)
{
    (void)state;
    struct memory_file file;
    int open_file = memfd_create("open", MFD_CLOEXEC | MFD_ALLOW_SEALING);
    assert_int_equal(write(open_file, "x", 1), 1);
    assert_int_equal(memory_file_map(&file, open_file, 10), STATUS_REFUSED);
    int sealed = memory_file_new("test", "hello", 5);
    assert_int_equal(memory_file_map(&file, sealed, 4), STATUS_REFUSED);
    assert_int_equal(memory_file_map(&file, STDIN_FILENO, 4), STATUS_REFUSED);
    (void)close(open_file);
    (void)close(sealed);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(gives_back_the_bytes),
        cmocka_unit_test(cannot_be_changed),
        cmocka_unit_test(refuses_what_is_not_sealed_or_too_large),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
