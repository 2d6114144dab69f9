/* tests/unit/proxy/process/memory_trim_test.c · SPDX-License-Identifier: Apache-2.0 */
#include "proxy/process/memory_trim.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

/* One life of a worker, look by look. */
static const struct {
    uint64_t at_ms;
    uint64_t conns;
    bool is_due;
} looks[] = {
    {1000, 0, false},     {2000, 200, false},   {3000, 0, false},  /* too small a peak */
    {4000, 1000, false},  {5000, 250, false},   {6000, 249, true}, /* below a quarter */
    {7000, 249, false},   {30000, 10, false}, /* once for a peak; 249 is none */
    {31000, 2000, false}, {32000, 499, true},   {33000, 4000, false},  {34000, 100, false},
    {41999, 0, false},                       /* not so soon again, */
    {42000, 0, true},     {60000, 0, false}, /* but then */
    {70000, 5000, false}, {71000, 2000, false}, {200000, 1250, false}, {300000, 1249, true},
};

static void is_due_once_when_three_quarters_of_a_peak_have_left(void **state)
{
    (void)state;
    struct memory_trim trim = {0};
    for (size_t i = 0; i < COUNT(looks); i++) {
        bool is_due = memory_trim_is_due(&trim, looks[i].conns, looks[i].at_ms);
        if (is_due != looks[i].is_due) {
            fail_msg("at %llu ms with %llu conns", (unsigned long long)looks[i].at_ms,
                     (unsigned long long)looks[i].conns);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(is_due_once_when_three_quarters_of_a_peak_have_left),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
