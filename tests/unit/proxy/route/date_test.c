/* tests/unit/proxy/route/date_test.c · SPDX-License-Identifier: Apache-2.0 */
#include "proxy/route/date.h"

#include <time.h>

#include "proxy/route/kit.h"

static void writes_known_dates(void **state)
{
    (void)state;
    static const struct {
        uint64_t seconds;
        const char *http;
        const char *log;
    } cases[] = {
        {0, "Thu, 01 Jan 1970 00:00:00 GMT", "1970-01-01T00:00:00.007Z"},
        {784111777, "Sun, 06 Nov 1994 08:49:37 GMT", "1994-11-06T08:49:37.007Z"},
        {951782399, "Mon, 28 Feb 2000 23:59:59 GMT", "2000-02-28T23:59:59.007Z"},
        {951782400, "Tue, 29 Feb 2000 00:00:00 GMT", "2000-02-29T00:00:00.007Z"},
        {1735689599, "Tue, 31 Dec 2024 23:59:59 GMT", "2024-12-31T23:59:59.007Z"},
        {4107542400, "Mon, 01 Mar 2100 00:00:00 GMT", "2100-03-01T00:00:00.007Z"},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        char http[DATE_HTTP_BYTES];
        char log[DATE_LOG_BYTES];
        date_write_http(cases[i].seconds, http);
        date_write_log(cases[i].seconds * 1000000 + 7999, log);
        kit_expect_slice((slice){http, sizeof(http)}, cases[i].http);
        kit_expect_slice((slice){log, sizeof(log)}, cases[i].log);
    }
}

static void agrees_with_the_c_library_on_every_day_of_two_centuries(void **state)
{
    (void)state;
    for (uint64_t day = 0; day < 73048; day++) {
        time_t seconds = (time_t)(day * 86400 + day % 86400);
        struct tm parts;
        char expected[64];
        char found[DATE_HTTP_BYTES];
        assert_non_null(gmtime_r(&seconds, &parts));
        assert_int_equal(strftime(expected, sizeof(expected), "%a, %d %b %Y %H:%M:%S GMT", &parts),
                         DATE_HTTP_BYTES);
        date_write_http((uint64_t)seconds, found);
        assert_memory_equal(found, expected, DATE_HTTP_BYTES);
    }
}

static void the_field_follows_the_clock(void **state)
{
    (void)state;
    struct date_field field = {0};
    kit_expect_slice(date_field_at(&field, 999999), "Thu, 01 Jan 1970 00:00:00 GMT");
    kit_expect_slice(date_field_at(&field, 1000000), "Thu, 01 Jan 1970 00:00:01 GMT");
    kit_expect_slice(date_field_at(&field, 5), "Thu, 01 Jan 1970 00:00:00 GMT");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(writes_known_dates),
        cmocka_unit_test(agrees_with_the_c_library_on_every_day_of_two_centuries),
        cmocka_unit_test(the_field_follows_the_clock),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
