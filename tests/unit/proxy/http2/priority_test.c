/* tests/unit/proxy/http2/priority_test.c · SPDX-License-Identifier: Apache-2.0 */
#include "proxy/http2/priority.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

static const struct row {
    const char *value;
    unsigned urgency;
    bool is_incremental;
} rows[] = {
    {"", 3, false},         {"u=0", 0, false},         {"u=7", 7, false},
    {"i", 3, true},         {"i=?1", 3, true},         {"i=?0", 3, false},
    {"i, i=?0", 3, false}, /* the last one counts */
    {"u=5, i", 5, true},    {"i,u=2", 2, true},        {" u=1 ,  i ", 1, true},
    {"u=1, u=6", 6, false}, {"u=1;x=y, i;a", 1, true}, {"u=8", 3, false},
    {"u=-1", 3, false},     {"u=10", 3, false},        {"u=1.0", 3, false},
    {"u", 3, false},        {"u=", 3, false},          {"U=1, I", 3, false},
    {"i=1", 3, false},      {"i=?2", 3, false},        {"x=y, u=4", 4, false},
    {",,u=4,", 4, false},   {"\"u=1, i\"", 3, false},
};

static void a_priority_is_what_is_understood_of_it(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct priority priority = priority_parse(slice_of(rows[i].value));
        if (priority.urgency != rows[i].urgency ||
            priority.is_incremental != rows[i].is_incremental) {
            fail_msg("\"%s\": u=%u i=%d", rows[i].value, priority.urgency, priority.is_incremental);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_priority_is_what_is_understood_of_it),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
