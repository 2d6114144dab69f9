/* tests/unit/proxy/http2/memory_test.c · SPDX-License-Identifier: Apache-2.0 */
#include "proxy/http2/memory.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "proxy/base/pool.h"
#include "proxy/http2/limits.h"

static void what_is_given_back_is_not_counted_any_more(void **state)
{
    (void)state;
    struct pool pool = {0};
    struct memory counted = {.pool = &pool};
    nghttp2_mem memory = memory_calls(&counted);
    void *first = memory.malloc(100, memory.mem_user_data);
    void *second = memory.calloc(10, 30, memory.mem_user_data);
    assert_true(counted.bytes >= 400);
    second = memory.realloc(second, 5000, memory.mem_user_data);
    assert_true(counted.bytes >= 5100);
    second = memory.realloc(second, 10, memory.mem_user_data);
    memory.free(first, memory.mem_user_data);
    memory.free(second, memory.mem_user_data);
    memory.free(NULL, memory.mem_user_data);
    assert_int_equal(counted.bytes, 0);
    pool_fini(&pool);
}

static void there_is_no_more_than_the_limit(void **state)
{
    (void)state;
    enum { BLOCK = 64 * 1024, BLOCKS = 2 * H2_LIBRARY_BYTES_MAX / BLOCK };
    struct pool pool = {0};
    struct memory counted = {.pool = &pool};
    size_t count = 0;
    void *blocks[BLOCKS];
    nghttp2_mem memory = memory_calls(&counted);
    for (; count < BLOCKS; count++) {
        blocks[count] = memory.malloc(BLOCK, memory.mem_user_data);
        if (blocks[count] == NULL) {
            break;
        }
    }
    assert_true(count <= H2_LIBRARY_BYTES_MAX / BLOCK && count > 0);
    assert_true(counted.bytes <= H2_LIBRARY_BYTES_MAX);
    size_t before = counted.bytes;
    assert_null(memory.calloc(2, BLOCK, memory.mem_user_data));
    assert_null(memory.realloc(NULL, 2 * BLOCK, memory.mem_user_data));
    assert_null(
        memory.realloc(blocks[0], 4 * BLOCK, memory.mem_user_data)); /* and is still there */
    assert_int_equal(counted.bytes, before);
    for (size_t i = 0; i < count; i++) {
        memory.free(blocks[i], memory.mem_user_data);
    }
    assert_int_equal(counted.bytes, 0);
    pool_fini(&pool);
}

static void sizes_do_not_run_over(void **state)
{
    (void)state;
    struct pool pool = {0};
    struct memory counted = {.pool = &pool};
    nghttp2_mem memory = memory_calls(&counted);
    assert_null(memory.calloc(SIZE_MAX / 2, 4, memory.mem_user_data));
    assert_null(memory.malloc(SIZE_MAX / 2, memory.mem_user_data));
    void *nothing = memory.calloc(0, 0, memory.mem_user_data);
    memory.free(nothing, memory.mem_user_data);
    assert_int_equal(counted.bytes, 0);
    pool_fini(&pool);
}

/* The block of the frames is written anew for each: its pages may go, and its bytes with them. */
static void an_idle_conn_rests_and_goes_on(void **state)
{
    (void)state;
    enum { FRAME_BLOCK = 17 * 1024 };
    struct pool pool = {0};
    struct memory counted = {.pool = &pool};
    nghttp2_mem memory = memory_calls(&counted);
    memory_rest(&counted);
    char *small = memory.malloc(100, memory.mem_user_data);
    char *frame = memory.malloc(FRAME_BLOCK, memory.mem_user_data);
    memset(small, 's', 100);
    memset(frame, 'f', FRAME_BLOCK);
    memory_rest(&counted);
    memory_rest(&counted);
    assert_int_equal(small[99], 's');
    memset(frame, 'g', FRAME_BLOCK);
    memory.free(frame, memory.mem_user_data);
    memory_rest(&counted);
    memory.free(small, memory.mem_user_data);
    assert_int_equal(counted.bytes, 0);
    pool_fini(&pool);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_given_back_is_not_counted_any_more),
        cmocka_unit_test(there_is_no_more_than_the_limit),
        cmocka_unit_test(sizes_do_not_run_over),
        cmocka_unit_test(an_idle_conn_rests_and_goes_on),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
