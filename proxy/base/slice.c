/* proxy/base/slice.c · SPDX-License-Identifier: Apache-2.0 */
#include "proxy/base/slice.h"

bool slice_equal_nocase(slice a, slice b)
{
    if (a.len != b.len) {
        return false;
    }
    for (size_t i = 0; i < a.len; i++) {
        if (slice_lower(a.at[i]) != slice_lower(b.at[i])) {
            return false;
        }
    }
    return true;
}

static bool is_blank(char c)
{
    return c == ' ' || c == '\t';
}

slice slice_trim(slice s)
{
    while (s.len > 0 && is_blank(s.at[0])) {
        s = slice_from(s, 1);
    }
    while (s.len > 0 && is_blank(s.at[s.len - 1])) {
        s.len--;
    }
    return s;
}

size_t slice_find(slice s, char c)
{
    const char *found = s.len > 0 ? memchr(s.at, c, s.len) : NULL;
    return found != NULL ? (size_t)(found - s.at) : s.len;
}

bool slice_to_number(slice s, uint64_t *out)
{
    enum { DIGITS_MAX = 19 };
    if (s.len == 0 || s.len > DIGITS_MAX) {
        return false;
    }
    uint64_t number = 0;
    for (size_t i = 0; i < s.len; i++) {
        if (s.at[i] < '0' || s.at[i] > '9') {
            return false;
        }
        number = number * 10 + (uint64_t)(s.at[i] - '0');
    }
    if (number > INT64_MAX) {
        return false;
    }
    *out = number;
    return true;
}

bool slice_next_member(slice *rest, slice *member)
{
    if (rest->at == NULL) {
        return false;
    }
    size_t end = slice_find(*rest, ',');
    *member = slice_trim(slice_first(*rest, end));
    *rest = end == rest->len ? (slice){NULL, 0} : slice_from(*rest, end + 1);
    return true;
}
