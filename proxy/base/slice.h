/* proxy/base/slice.h
 *
 * A borrowed view of bytes. Never owns, never ends in NUL by promise; who hands one out says how
 * long it lives.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

typedef struct slice {
    const char *at;
    size_t len;
} slice;

/* A slice of a string literal. */
#define SLICE(literal) ((slice){"" literal, sizeof(literal) - 1})

/* The two arguments that "%.*s" takes. */
#define SLICE_FORMAT(s) (int)(s).len, (s).at

static inline slice slice_of(const char *text)
{
    return (slice){text, strlen(text)};
}

static inline bool slice_is_empty(slice s)
{
    return s.len == 0;
}

static inline bool slice_equal(slice a, slice b)
{
    return a.len == b.len && (a.len == 0 || memcmp(a.at, b.at, a.len) == 0);
}

static inline slice slice_from(slice s, size_t start)
{
    return (slice){s.at + start, s.len - start};
}

static inline slice slice_first(slice s, size_t len)
{
    return (slice){s.at, len};
}

static inline bool slice_starts_with(slice s, slice prefix)
{
    return s.len >= prefix.len && (prefix.len == 0 || memcmp(s.at, prefix.at, prefix.len) == 0);
}

/* ASCII only: field names, hosts and schemes have no other letters. */
static inline char slice_lower(char c)
{
    return c >= 'A' && c <= 'Z' ? (char)(c + ('a' - 'A')) : c;
}

/* Equal but for ASCII case. */
bool slice_equal_nocase(slice a, slice b);

/* Without spaces and tabs at both ends (OWS, RFC 9110 §5.6.3). */
slice slice_trim(slice s);

/* The place of the first `c`, or s.len. */
size_t slice_find(slice s, char c);

/* Reads a decimal number of 1 to 19 digits and nothing else. False: not a number, or above
 * INT64_MAX. */
bool slice_to_number(slice s, uint64_t *out);

/* Takes the next member of a comma-separated list (RFC 9110 §5.6.1), trimmed; empty members are
 * returned as such, since some callers must refuse them. False: the list is used up. */
bool slice_next_member(slice *rest, slice *member);
