/* proxy/route/date.c · SPDX-License-Identifier: Apache-2.0 */
#include "proxy/route/date.h"

enum { SECONDS_A_DAY = 86400, FEBRUARY = 1, MONTHS = 12 };

struct date {
    unsigned year;
    unsigned month;   /* 0: January */
    unsigned day;     /* of the month, from 1 */
    unsigned weekday; /* 0: Sunday */
    unsigned hour;
    unsigned minute;
    unsigned second;
};

static const char weekday_names[] = "SunMonTueWedThuFriSat";
static const char month_names[] = "JanFebMarAprMayJunJulAugSepOctNovDec";
static const unsigned month_days[MONTHS] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};

static bool is_leap_year(uint64_t year)
{
    return (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
}

/* Days from the first of January of year 1 to that of `year`. */
static uint64_t days_before_year(uint64_t year)
{
    uint64_t full = year - 1;
    return full * 365 + full / 4 - full / 100 + full / 400;
}

static void set_day(struct date *date, uint64_t days_since_1970)
{
    uint64_t days = days_since_1970 + days_before_year(1970);
    uint64_t year = days * 400 / days_before_year(401) + 1; /* right, or off by one */
    while (days_before_year(year) > days) {
        year--;
    }
    while (days_before_year(year + 1) <= days) {
        year++;
    }
    uint64_t left = days - days_before_year(year);
    unsigned month = 0;
    for (; month < MONTHS - 1; month++) {
        unsigned length = month_days[month] + (month == FEBRUARY && is_leap_year(year) ? 1 : 0);
        if (left < length) {
            break;
        }
        left -= length;
    }
    date->year = (unsigned)year;
    date->month = month;
    date->day = (unsigned)left + 1;
    date->weekday = (unsigned)((days_since_1970 + 4) % 7); /* 1970 began on a Thursday */
}

static struct date date_of(uint64_t seconds_since_1970)
{
    struct date date = {0};
    set_day(&date, seconds_since_1970 / SECONDS_A_DAY);
    unsigned left = (unsigned)(seconds_since_1970 % SECONDS_A_DAY);
    date.hour = left / 3600;
    date.minute = left / 60 % 60;
    date.second = left % 60;
    return date;
}

static char *put_digits(char *at, unsigned number, unsigned digits)
{
    for (unsigned i = digits; i > 0; i--) {
        at[i - 1] = (char)('0' + number % 10);
        number /= 10;
    }
    return at + digits;
}

static char *put(char *at, const char *text, size_t len)
{
    memcpy(at, text, len);
    return at + len;
}

static char *put_time(char *at, const struct date *date)
{
    at = put_digits(at, date->hour, 2);
    *at++ = ':';
    at = put_digits(at, date->minute, 2);
    *at++ = ':';
    return put_digits(at, date->second, 2);
}

void date_write_http(uint64_t seconds_since_1970, char *out)
{
    struct date date = date_of(seconds_since_1970);
    char *at = put(out, weekday_names + (size_t)date.weekday * 3, 3);
    at = put(at, ", ", 2);
    at = put_digits(at, date.day, 2);
    *at++ = ' ';
    at = put(at, month_names + (size_t)date.month * 3, 3);
    *at++ = ' ';
    at = put_digits(at, date.year, 4);
    *at++ = ' ';
    at = put_time(at, &date);
    (void)put(at, " GMT", 4);
}

void date_write_log(uint64_t microseconds_since_1970, char *out)
{
    struct date date = date_of(microseconds_since_1970 / 1000000);
    char *at = put_digits(out, date.year, 4);
    *at++ = '-';
    at = put_digits(at, date.month + 1, 2);
    *at++ = '-';
    at = put_digits(at, date.day, 2);
    *at++ = 'T';
    at = put_time(at, &date);
    *at++ = '.';
    at = put_digits(at, (unsigned)(microseconds_since_1970 / 1000 % 1000), 3);
    *at = 'Z';
}

slice date_field_at(struct date_field *field, uint64_t wall_us)
{
    uint64_t second = wall_us / 1000000;
    if (second != field->second || field->text[0] == '\0') {
        field->second = second;
        date_write_http(second, field->text);
    }
    return (slice){field->text, DATE_HTTP_BYTES};
}
