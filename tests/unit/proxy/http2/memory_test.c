/* tests/unit/proxy/http2/memory_test.c · SPDX-License-Identifier: Apache-2.0 */
#include "proxy/http2/memory.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "proxy/http2/limits.h"

static void what_is_given_back_is_not_counted_any_more(void **state)
{
    (void)state;
    size_t bytes = 0;
    nghttp2_mem memory = memory_of(&bytes);
    void *first = memory.malloc(100, memory.mem_user_data);
    void *second = memory.calloc(10, 30, memory.mem_user_data);
    assert_true(bytes >= 400);
    second = memory.realloc(second, 5000, memory.mem_user_data);
    assert_true(bytes >= 5100);
    second = memory.realloc(second, 10, memory.mem_user_data);
    assert_true(bytes < 5000);
    memory.free(first, memory.mem_user_data);
    memory.free(second, memory.mem_user_data);
    memory.free(NULL, memory.mem_user_data);
    assert_int_equal(bytes, 0);
}

static void there_is_no_more_than_the_limit(void **state)
{
    (void)state;
    enum { BLOCK = 64 * 1024, BLOCKS = 2 * H2_LIBRARY_BYTES_MAX / BLOCK };
    size_t bytes = 0;
    size_t count = 0;
    void *blocks[BLOCKS];
    nghttp2_mem memory = memory_of(&bytes);
    for (; count < BLOCKS; count++) {
        blocks[count] = memory.malloc(BLOCK, memory.mem_user_data);
        if (blocks[count] == NULL) {
            break;
        }
    }
    assert_true(count <= H2_LIBRARY_BYTES_MAX / BLOCK && count > 0);
    assert_true(bytes <= H2_LIBRARY_BYTES_MAX);
    size_t before = bytes;
    assert_null(memory.calloc(2, BLOCK, memory.mem_user_data));
    assert_null(memory.realloc(NULL, 2 * BLOCK, memory.mem_user_data));
    assert_null(
        memory.realloc(blocks[0], 4 * BLOCK, memory.mem_user_data)); /* and is still there */
    assert_int_equal(bytes, before);
    for (size_t i = 0; i < count; i++) {
        memory.free(blocks[i], memory.mem_user_data);
    }
    assert_int_equal(bytes, 0);
}

static void sizes_do_not_run_over(void **state)
{
    (void)state;
    size_t bytes = 0;
    nghttp2_mem memory = memory_of(&bytes);
    assert_null(memory.calloc(SIZE_MAX / 2, 4, memory.mem_user_data));
    assert_null(memory.malloc(SIZE_MAX / 2, memory.mem_user_data));
    void *nothing = memory.calloc(0, 0, memory.mem_user_data);
    memory.free(nothing, memory.mem_user_data);
    assert_int_equal(bytes, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_given_back_is_not_counted_any_more),
        cmocka_unit_test(there_is_no_more_than_the_limit),
        cmocka_unit_test(sizes_do_not_run_over),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
