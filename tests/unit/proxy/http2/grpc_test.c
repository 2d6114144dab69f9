/* tests/unit/proxy/http2/grpc_test.c · SPDX-License-Identifier: Apache-2.0 */
#include "proxy/http2/grpc.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

#define SHORT "\0\0\0\0\3abc"
#define EMPTY "\1\0\0\0\0"

/* Whole, and then in two pieces, cut everywhere. */
static bool all_cuts_agree(slice content, uint64_t limit)
{
    struct grpc_messages whole = {0};
    bool expected = grpc_messages_take(&whole, content, limit);
    for (size_t cut = 0; cut <= content.len; cut++) {
        struct grpc_messages pieces = {0};
        bool is_fine = grpc_messages_take(&pieces, slice_first(content, cut), limit) &&
                       grpc_messages_take(&pieces, slice_from(content, cut), limit);
        assert_int_equal(is_fine, expected);
    }
    return expected;
}

static void any_number_of_messages_passes(void **state)
{
    (void)state;
    assert_true(all_cuts_agree(SLICE(""), 3));
    assert_true(all_cuts_agree(SLICE(EMPTY), 0));
    assert_true(all_cuts_agree(SLICE(SHORT EMPTY SHORT EMPTY EMPTY SHORT), 3));
}

static void message_above_the_limit_is_told_by_its_length_alone(void **state)
{
    (void)state;
    assert_false(all_cuts_agree(SLICE(SHORT), 2));
    assert_false(all_cuts_agree(SLICE(SHORT EMPTY "\0\0\0\0\4"), 3));
    assert_false(all_cuts_agree(SLICE("\1\xff\xff\xff\xff"), UINT32_MAX - 1));
    assert_true(all_cuts_agree(SLICE("\1\xff\xff\xff\xff"), UINT32_MAX));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(any_number_of_messages_passes),
        cmocka_unit_test(message_above_the_limit_is_told_by_its_length_alone),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
