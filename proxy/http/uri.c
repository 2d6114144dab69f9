/* proxy/http/uri.c · SPDX-License-Identifier: Apache-2.0 */
#include "proxy/http/uri.h"

#include <arpa/inet.h>
#include <netinet/in.h>

#include "proxy/base/hex.h"

enum {
    IN_PATH = 1,
    IN_QUERY = 2,
    IN_NAME = 4,    /* a host name as DNS has it, and `_` which some have */
    UNRESERVED = 8, /* RFC 3986 §2.3 */
    BOTH = IN_PATH | IN_QUERY,
    ANYWHERE = BOTH | IN_NAME | UNRESERVED,
    HOST_BYTES_MAX = 255,
};

/* `%` and `?` need a look of their own in paths and are not in IN_PATH. */
static const unsigned char classes[256] = {
    ['a' ... 'z'] = ANYWHERE,
    ['A' ... 'Z'] = ANYWHERE,
    ['0' ... '9'] = ANYWHERE,
    ['-'] = ANYWHERE,
    ['.'] = ANYWHERE,
    ['_'] = ANYWHERE,
    ['~'] = BOTH | UNRESERVED,
    ['!'] = BOTH,
    ['$'] = BOTH,
    ['&'] = BOTH,
    ['\''] = BOTH,
    ['('] = BOTH,
    [')'] = BOTH,
    ['*'] = BOTH,
    ['+'] = BOTH,
    [','] = BOTH,
    [';'] = BOTH,
    ['='] = BOTH,
    [':'] = BOTH,
    ['@'] = BOTH,
    ['/'] = BOTH,
    ['['] = BOTH,
    [']'] = BOTH,
    ['{'] = BOTH,
    ['}'] = BOTH,
    ['|'] = BOTH,
    ['^'] = BOTH,
    ['`'] = BOTH,
    ['?'] = IN_QUERY,
    ['%'] = IN_QUERY,
    ['\\'] = IN_QUERY,
};

static size_t span(slice text, unsigned char class)
{
    size_t len = 0;
    while (len < text.len && (classes[(unsigned char)text.at[len]] & class) != 0) {
        len++;
    }
    return len;
}

/* The byte that the `%` at the start of `text` encodes; -1: it encodes none. */
static int decode_percent(slice text)
{
    if (text.len < 3 || hex_digit(text.at[1]) < 0 || hex_digit(text.at[2]) < 0) {
        return -1;
    }
    return hex_digit(text.at[1]) * 16 + hex_digit(text.at[2]);
}

static bool parse_port(slice text, struct authority *out)
{
    enum { DIGITS_MAX = 5, PORT_MAX = 65535 };
    uint64_t port;
    if (text.len > DIGITS_MAX || !slice_to_number(text, &port) || text.at[0] == '0' ||
        port > PORT_MAX) {
        return false;
    }
    out->port = (uint16_t)port;
    out->has_port = true;
    return true;
}

static bool is_ipv6(slice text)
{
    char copy[INET6_ADDRSTRLEN];
    struct in6_addr address;
    if (text.len >= sizeof(copy) || memchr(text.at, '\0', text.len) != NULL) {
        return false;
    }
    memcpy(copy, text.at, text.len);
    copy[text.len] = '\0';
    return inet_pton(AF_INET6, copy, &address) == 1;
}

static bool parse_literal(slice text, struct authority *out, slice *rest)
{
    size_t end = slice_find(text, ']');
    if (end == text.len) {
        return false;
    }
    out->host = slice_first(slice_from(text, 1), end - 1);
    out->is_ipv6 = true;
    *rest = slice_from(text, end + 1);
    return is_ipv6(out->host);
}

/* Labels of at least one byte; a dot may end the name. */
static bool parse_name(slice text, struct authority *out, slice *rest)
{
    size_t len = span(text, IN_NAME);
    *rest = slice_from(text, len);
    if (len > 0 && text.at[len - 1] == '.') {
        len--;
    }
    if (len == 0 || len > HOST_BYTES_MAX || text.at[0] == '.' || text.at[len - 1] == '.' ||
        memmem(text.at, len, "..", 2) != NULL) {
        return false;
    }
    out->host = slice_first(text, len);
    return true;
}

bool authority_parse(slice text, struct authority *out)
{
    *out = (struct authority){0};
    if (text.len == 0) {
        return false;
    }
    slice rest;
    bool found = text.at[0] == '[' ? parse_literal(text, out, &rest) : parse_name(text, out, &rest);
    if (!found) {
        return false;
    }
    return rest.len == 0 || (rest.at[0] == ':' && parse_port(slice_from(rest, 1), out));
}

/* Where the query begins, or the end. False: a byte or encoding that may not be in a path. */
static bool scan_path(slice text, size_t *end)
{
    size_t at = 0;
    for (;;) {
        at += span(slice_from(text, at), IN_PATH);
        *end = at;
        if (at == text.len || text.at[at] == '?') {
            return true;
        }
        if (text.at[at] != '%' || decode_percent(slice_from(text, at)) < 0) {
            return false;
        }
        at += 3;
    }
}

enum fault_code uri_parse_path(slice path_and_query, struct message *request)
{
    size_t end;
    if (path_and_query.len == 0 || path_and_query.at[0] != '/') {
        return FAULT_H1_TARGET;
    }
    if (!scan_path(path_and_query, &end)) {
        return FAULT_URI_MALFORMED;
    }
    slice query = slice_from(path_and_query, end);
    if (span(query, IN_QUERY) != query.len) {
        return FAULT_URI_MALFORMED;
    }
    request->path = slice_first(path_and_query, end);
    request->query = query;
    return FAULT_NONE;
}

/* RFC 9112 §3.2.2 */
static enum fault_code parse_absolute(slice target, struct message *request)
{
    slice rest = slice_from(target, request->scheme.len);
    struct authority authority;
    if (!slice_equal_nocase(slice_first(target, request->scheme.len), request->scheme) ||
        !slice_starts_with(rest, SLICE("://"))) {
        return FAULT_H1_TARGET;
    }
    rest = slice_from(rest, 3);
    size_t end = 0;
    while (end < rest.len && rest.at[end] != '/' && rest.at[end] != '?') {
        end++;
    }
    request->authority = slice_first(rest, end);
    if (!authority_parse(request->authority, &authority)) {
        return FAULT_H1_TARGET;
    }
    rest = slice_from(rest, end);
    if (rest.len > 0 && rest.at[0] == '/') {
        return uri_parse_path(rest, request);
    }
    if (span(rest, IN_QUERY) != rest.len) {
        return FAULT_URI_MALFORMED;
    }
    /* RFC 9112 §3.2.4: OPTIONS without path and query asks about the server */
    bool asks_server = request->method == METHOD_OPTIONS && rest.len == 0;
    request->path = asks_server ? SLICE("*") : SLICE("/");
    request->query = rest;
    return FAULT_NONE;
}

/* RFC 9112 §3.2.3: a port is not optional here. */
static enum fault_code parse_connect(slice target, struct message *request)
{
    struct authority authority;
    if (!authority_parse(target, &authority) || !authority.has_port) {
        return FAULT_H1_TARGET;
    }
    request->authority = target;
    return FAULT_NONE;
}

enum fault_code uri_parse_target(slice target, struct message *request)
{
    if (target.len == 0) {
        return FAULT_H1_TARGET;
    }
    if (request->method == METHOD_CONNECT) {
        return parse_connect(target, request);
    }
    if (target.at[0] == '/') {
        return uri_parse_path(target, request);
    }
    if (slice_equal(target, SLICE("*"))) {
        request->path = target;
        request->query = (slice){target.at + 1, 0};
        return request->method == METHOD_OPTIONS ? FAULT_NONE : FAULT_H1_TARGET;
    }
    return target.len > request->scheme.len ? parse_absolute(target, request) : FAULT_H1_TARGET;
}

/* Decodes unreserved characters; everything else stays as it is. False: an encoded NUL. */
static bool decode_unreserved(slice path, char *out, size_t *len)
{
    size_t to = 0;
    for (size_t at = 0; at < path.len; at++) {
        int byte = path.at[at] == '%' ? decode_percent(slice_from(path, at)) : -1;
        if (byte == 0 || path.at[at] == '\0') {
            return false;
        }
        bool decodes = byte > 0 && (classes[byte] & UNRESERVED) != 0;
        out[to++] = decodes ? (char)byte : path.at[at];
        at += decodes ? 2 : 0;
    }
    *len = to;
    return true;
}

/* RFC 3986 §5.2.4, in place. False: above the root. */
static bool remove_dots(char *path, size_t *len)
{
    size_t to = 0;
    size_t at = 0;
    while (at < *len) {
        /* at a slash: the segment behind it decides */
        slice rest = {path + at + 1, *len - at - 1};
        size_t segment = slice_find(rest, '/');
        bool is_last = segment == rest.len;
        if (slice_equal(slice_first(rest, segment), SLICE(".."))) {
            if (to == 0) {
                return false;
            }
            do {
                to--;
            } while (path[to] != '/');
        } else if (!slice_equal(slice_first(rest, segment), SLICE("."))) {
            memmove(path + to, path + at, segment + 1);
            to += segment + 1;
            at += segment + 1;
            continue;
        }
        if (is_last) {
            path[to++] = '/';
        }
        at += segment + 1;
    }
    *len = to;
    return true;
}

bool uri_normalise_path(slice path, char *out, size_t *len)
{
    if (path.len == 0 || path.at[0] != '/') {
        /* "*": nothing to normalise */
        *len = path.len;
        if (path.len > 0) {
            memcpy(out, path.at, path.len);
        }
        return path.len == 1 && path.at[0] == '*';
    }
    if (slice_find(path, '%') == path.len && memmem(path.at, path.len, "/.", 2) == NULL) {
        memcpy(out, path.at, path.len); /* nearly every path */
        *len = path.len;
        return memchr(path.at, '\0', path.len) == NULL;
    }
    return decode_unreserved(path, out, len) && remove_dots(out, len);
}
