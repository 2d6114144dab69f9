/* config/value.c · SPDX-License-Identifier: Apache-2.0 */
#include "config/value.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "config/memory.h"

enum {
    NAME_MAX_LEN = 64,
    PATH_MAX_LEN = 4096,
};

struct unit {
    const char *name;
    uint64_t factor;
};

static const struct unit DURATIONS[] = {
    {"d", 86400000}, {"h", 3600000}, {"m", 60000}, {"s", 1000}, {"ms", 1}, {NULL, 0},
};
static const struct unit SIZES[] = {
    {"GiB", 1 << 30}, {"MiB", 1 << 20}, {"KiB", 1 << 10}, {"B", 1}, {NULL, 0},
};

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

static bool is_letter(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

const char *value_flag(const char *text, bool *flag)
{
    static const struct {
        const char *text;
        bool flag;
    } WORDS[] = {{"true", true},   {"on", true},   {"yes", true},
                 {"false", false}, {"off", false}, {"no", false}};
    for (size_t i = 0; i < sizeof(WORDS) / sizeof(WORDS[0]); i++) {
        if (strcmp(text, WORDS[i].text) == 0) {
            *flag = WORDS[i].flag;
            return NULL;
        }
    }
    return "is neither yes nor no";
}

/* Reads digits; *end is what follows them. False: no digit, or more than 15 of them. */
static bool read_digits(const char *text, uint64_t *number, const char **end)
{
    uint64_t sum = 0;
    size_t len = 0;
    while (is_digit(text[len]) && len < 16) {
        sum = sum * 10 + (uint64_t)(text[len] - '0');
        len++;
    }
    *number = sum;
    *end = text + len;
    return len > 0 && len < 16;
}

const char *value_number(const char *text, uint64_t *number)
{
    const char *end;
    if (!read_digits(text, number, &end) || *end != '\0') {
        return "is not a whole number";
    }
    return NULL;
}

static const struct unit *find_unit(const struct unit *units, const char *name)
{
    for (const struct unit *unit = units; unit->name != NULL; unit++) {
        if (strcmp(unit->name, name) == 0) {
            return unit;
        }
    }
    return NULL;
}

/* Up to three digits after a point, as thousandths. */
static const char *read_thousandths(const char *text, uint64_t *thousandths)
{
    uint64_t sum = 0;
    size_t len = 0;
    while (is_digit(text[len]) && len < 3) {
        sum = sum * 10 + (uint64_t)(text[len] - '0');
        len++;
    }
    for (size_t i = len; i < 3; i++) {
        sum *= 10;
    }
    *thousandths = sum;
    return len == 0 ? NULL : text + len;
}

static const char *value_with_unit(const char *text, const struct unit *units, uint64_t *value)
{
    uint64_t whole;
    uint64_t thousandths = 0;
    const char *end;
    if (!read_digits(text, &whole, &end)) {
        return "is not a number with a unit";
    }
    if (*end == '.') {
        end = read_thousandths(end + 1, &thousandths);
    }
    if (end == NULL) {
        return "is not a number with a unit";
    }
    if (*end == '\0') {
        return "has no unit";
    }
    const struct unit *unit = find_unit(units, end);
    if (unit == NULL) {
        return "has an unknown unit";
    }
    uint64_t fraction = thousandths * unit->factor;
    if (fraction % 1000 != 0) {
        return "is finer than can be kept";
    }
    if (__builtin_mul_overflow(whole, unit->factor, value) ||
        __builtin_add_overflow(*value, fraction / 1000, value)) {
        return "is too large";
    }
    return NULL;
}

const char *value_duration(const char *text, uint64_t *ms)
{
    return value_with_unit(text, DURATIONS, ms);
}

const char *value_size(const char *text, uint64_t *bytes)
{
    return value_with_unit(text, SIZES, bytes);
}

const char *value_rate(const char *text, uint64_t *bytes_per_second)
{
    size_t len = strlen(text);
    if (len < 2 || strcmp(text + len - 2, "/s") != 0) {
        return "has no /s at its end";
    }
    char size[64];
    if (len - 2 >= sizeof(size)) {
        return "is not a number with a unit";
    }
    memcpy(size, text, len - 2);
    size[len - 2] = '\0';
    return value_with_unit(size, SIZES, bytes_per_second);
}

static bool is_leap_year(int year)
{
    return (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
}

static int days_of_month(int year, int month)
{
    static const int DAYS[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    return month == 2 && is_leap_year(year) ? 29 : DAYS[month - 1];
}

const char *value_day(const char *text, config_day *day)
{
    static const char SHAPE[] = "0000-00-00";
    if (strlen(text) != sizeof(SHAPE) - 1) {
        return "is not a date";
    }
    int fields[3] = {0};
    size_t field = 0;
    for (size_t i = 0; SHAPE[i] != '\0'; i++) {
        if (SHAPE[i] == '-') {
            field++;
        }
        if ((SHAPE[i] == '-') != (text[i] == '-') || (SHAPE[i] == '0' && !is_digit(text[i]))) {
            return "is not a date";
        }
        if (SHAPE[i] == '0') {
            fields[field] = fields[field] * 10 + (text[i] - '0');
        }
    }
    if (fields[0] < 1970 || fields[1] < 1 || fields[1] > 12 || fields[2] < 1 ||
        fields[2] > days_of_month(fields[0], fields[1])) {
        return "is not a day of the calendar";
    }
    *day = fields[0] * 10000 + fields[1] * 100 + fields[2];
    return NULL;
}

static int base64_value(char c)
{
    static const char DIGITS[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    const char *at = c == '\0' ? NULL : strchr(DIGITS, c);
    return at == NULL ? -1 : (int)(at - DIGITS);
}

const char *value_pin(const char *text, uint8_t sha256[32])
{
    static const char PREFIX[] = "sha256/";
    const char *digits = text + sizeof(PREFIX) - 1;
    if (strncmp(text, PREFIX, sizeof(PREFIX) - 1) != 0 || strlen(digits) != 44 ||
        digits[43] != '=') {
        return "is not a pin";
    }
    unsigned bits = 0;
    unsigned held = 0;
    size_t len = 0;
    for (size_t i = 0; i < 43; i++) {
        int value = base64_value(digits[i]);
        if (value < 0) {
            return "is not a pin";
        }
        bits = (bits << 6 | (unsigned)value) & 0xffff;
        held += 6;
        if (held >= 8) {
            held -= 8;
            sha256[len++] = (uint8_t)(bits >> held);
        }
    }
    return (bits & ((1U << held) - 1)) == 0 ? NULL : "is not a pin";
}

static bool has_dot_segment(const char *path)
{
    for (const char *at = path; at != NULL; at = strchr(at + 1, '/')) {
        size_t len = strcspn(at + 1, "/");
        if ((len == 1 && at[1] == '.') || (len == 2 && at[1] == '.' && at[2] == '.')) {
            return true;
        }
    }
    return false;
}

const char *value_path(struct memory *memory, const char *text, const char **path)
{
    if (text[0] != '/') {
        return "does not start with a slash";
    }
    size_t len = strlen(text);
    if (len > PATH_MAX_LEN) {
        return "is longer than 4096 characters";
    }
    for (size_t i = 0; i < len; i++) {
        if (text[i] <= ' ' || text[i] > '~' || strchr("?#\"<>\\^`{|}", text[i]) != NULL) {
            return "holds a character that a path cannot have";
        }
    }
    if (has_dot_segment(text)) {
        return "has a dot segment";
    }
    *path = memory_copy(memory, text, len);
    return NULL;
}

const char *value_name(struct memory *memory, const char *text, const char **name)
{
    size_t len = strlen(text);
    if (len == 0 || len > NAME_MAX_LEN) {
        return "is not between 1 and 64 characters long";
    }
    for (size_t i = 0; i < len; i++) {
        if (!is_letter(text[i]) && !is_digit(text[i]) && strchr("-_.", text[i]) == NULL) {
            return "holds something else than letters, digits, '-', '_' and '.'";
        }
    }
    *name = memory_copy(memory, text, len);
    return NULL;
}

static void print_unit(uint64_t value, const struct unit *units, char *buffer, size_t size)
{
    for (const struct unit *unit = units; unit->name != NULL; unit++) {
        if (value % unit->factor == 0 && (value != 0 || unit->factor <= 1000)) {
            (void)snprintf(buffer, size, "%" PRIu64 "%s", value / unit->factor, unit->name);
            return;
        }
    }
}

void value_print_duration(uint64_t ms, char *buffer, size_t size)
{
    print_unit(ms, DURATIONS, buffer, size);
}

void value_print_size(uint64_t bytes, char *buffer, size_t size)
{
    print_unit(bytes, SIZES, buffer, size);
}
