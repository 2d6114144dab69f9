/* tests/unit/proxy/route/traceparent_test.c · SPDX-License-Identifier: Apache-2.0 */
#include "proxy/route/traceparent.h"

#include "proxy/route/kit.h"

#define TRACE  "4bf92f3577b34da6a3ce929d0e0e4736"
#define PARENT "00f067aa0ba902b7"

static void reads_strictly(void **state)
{
    (void)state;
    static const struct {
        const char *value;
        bool valid;
    } cases[] = {
        {"00-" TRACE "-" PARENT "-01", true},
        {"00-" TRACE "-" PARENT "-00", true},
        {"00-" TRACE "-" PARENT "-ff", true},
        {"cc-" TRACE "-" PARENT "-01", true},
        {"cc-" TRACE "-" PARENT "-01-what-comes-later", true},
        {"cc-" TRACE "-" PARENT "-01.what", false},
        {"00-" TRACE "-" PARENT "-01-more", false},
        {"00-" TRACE "-" PARENT "-01 ", false},
        {"ff-" TRACE "-" PARENT "-01", false},
        {"0-" TRACE "-" PARENT "-01", false},
        {"00-4BF92F3577B34DA6A3CE929D0E0E4736-" PARENT "-01", false},
        {"00-" TRACE "-00F067AA0BA902B7-01", false},
        {"00-" TRACE "-" PARENT "-0G", false},
        {"00-00000000000000000000000000000000-" PARENT "-01", false},
        {"00-" TRACE "-0000000000000000-01", false},
        {"00_" TRACE "-" PARENT "-01", false},
        {"00-" TRACE "_" PARENT "-01", false},
        {"00-" TRACE "-" PARENT "_01", false},
        {"00-" TRACE "-" PARENT "-0", false},
        {"", false},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        slice trace_id = {NULL, 0};
        if (traceparent_parse(slice_of(cases[i].value), &trace_id) != cases[i].valid) {
            fail_msg("%s", cases[i].value);
        }
        if (cases[i].valid) {
            kit_expect_slice(trace_id, TRACE);
        }
    }
}

static void refuses_every_shorter_one(void **state)
{
    (void)state;
    slice whole = SLICE("00-" TRACE "-" PARENT "-01");
    for (size_t len = 0; len < whole.len; len++) {
        slice trace_id;
        assert_false(traceparent_parse(slice_first(whole, len), &trace_id));
    }
}

static void fill_with(void *self, void *out, size_t len)
{
    memset(out, *(const int *)self, len);
}

static void what_it_makes_is_valid(void **state)
{
    (void)state;
    static const int bytes[] = {0, 0x5a, 0xff};
    for (size_t i = 0; i < 3; i++) {
        int byte = bytes[i];
        struct random_source random = {fill_with, &byte};
        char out[TRACEPARENT_BYTES];
        slice trace_id;
        traceparent_make(&random, out);
        assert_true(traceparent_parse((slice){out, sizeof(out)}, &trace_id));
        assert_memory_equal(out + sizeof(out) - 3, "-01", 3);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reads_strictly),
        cmocka_unit_test(refuses_every_shorter_one),
        cmocka_unit_test(what_it_makes_is_valid),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
