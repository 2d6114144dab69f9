/* tests/unit/config/memory_test.c · SPDX-License-Identifier: Apache-2.0 */
#include "config/memory.h"

#include "config/check.h"

static void pieces_are_zeroed_and_aligned(void **state)
{
    (void)state;
    struct memory *memory = memory_new();
    for (size_t size = 0; size < 40000; size = size * 2 + 1) {
        unsigned char *piece = memory_take(memory, size);
        assert_non_null(piece);
        assert_int_equal((uintptr_t)piece % _Alignof(max_align_t), 0);
        for (size_t i = 0; i < size; i++) {
            assert_int_equal(piece[i], 0);
            piece[i] = 0xff;
        }
    }
    memory_free(memory);
}

static void an_overflow_is_out_of_memory(void **state)
{
    (void)state;
    struct memory *memory = memory_new();
    assert_false(memory_failed(memory));
    assert_null(memory_take_array(memory, SIZE_MAX / 2, 4));
    assert_true(memory_failed(memory));
    assert_null(memory_take(memory, SIZE_MAX - 8));
    memory_free(memory);
    memory_free(NULL);
}

static void texts_are_copied_and_formatted(void **state)
{
    (void)state;
    struct memory *memory = memory_new();
    assert_string_equal(memory_copy(memory, "abcdef", 3), "abc");
    assert_string_equal(memory_copy_text(memory, ""), "");
    assert_string_equal(memory_format(memory, "%s/%d", "backend", 7), "backend/7");
    memory_free(memory);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(pieces_are_zeroed_and_aligned),
        cmocka_unit_test(an_overflow_is_out_of_memory),
        cmocka_unit_test(texts_are_copied_and_formatted),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
