/* proxy/http1/head.c · SPDX-License-Identifier: Apache-2.0 */
#include "proxy/http1/head.h"

#include "proxy/http/field.h"
#include "proxy/http1/response.h"

enum {
    REQUEST_LINE_REST = 64, /* of a request line besides its target: a method and the version */
    VERSION_BYTES = 8,      /* HTTP/1.1 */
};

static bool is_first_line(const struct http1_head_scan *scan)
{
    return scan->lines == 0 && scan->section != HTTP1_TRAILERS;
}

/* Nothing at or behind this place is looked at: the limit comes first. */
static size_t limit_of(const struct http1_head_scan *scan, const struct message_limits *limits)
{
    size_t line_limit = scan->line_at + limits->uri_bytes + REQUEST_LINE_REST;
    bool is_request_line = scan->section == HTTP1_REQUEST_HEAD && scan->lines == 0;
    return is_request_line && line_limit < limits->header_bytes ? line_limit : limits->header_bytes;
}

static enum status refuse(struct http1_head_scan *scan, enum status status, enum fault_code code,
                          enum fault_code *fault)
{
    scan->detail = code;
    *fault = scan->section == HTTP1_RESPONSE_HEAD ? http1_response_fault(code) : code;
    return status;
}

static enum fault_code fault_of_control(const struct http1_head_scan *scan, slice bytes)
{
    slice line = slice_from(slice_first(bytes, scan->at), scan->line_at);
    if (bytes.at[scan->at] == '\n') {
        return FAULT_H1_BARE_LF;
    }
    if (is_first_line(scan)) {
        return scan->section == HTTP1_REQUEST_HEAD ? FAULT_H1_REQUEST_LINE : FAULT_H1_STATUS_LINE;
    }
    return slice_find(line, ':') == line.len ? FAULT_H1_FIELD_NAME : FAULT_H1_FIELD_VALUE;
}

/* HTTP/0.9 and garbage have no empty line to wait for: they are known by their first line. */
static bool is_start_line(const struct http1_head_scan *scan, slice line)
{
    if (scan->section == HTTP1_RESPONSE_HEAD) {
        return true; /* looked at from its first byte on */
    }
    size_t version_at = line.len - VERSION_BYTES;
    return line.len > VERSION_BYTES && line.at[version_at - 1] == ' ' &&
           memcmp(line.at + version_at, "HTTP/", 5) == 0;
}

/* A server that sends no status line may never send an empty line either. */
static bool may_be_status_line(const struct http1_head_scan *scan, slice bytes)
{
    slice prefix = SLICE("HTTP/1.");
    size_t len = bytes.len < prefix.len ? bytes.len : prefix.len;
    return scan->section != HTTP1_RESPONSE_HEAD || scan->lines > 0 ||
           slice_equal(slice_first(bytes, len), slice_first(prefix, len));
}

/* The line bytes[line_at..at) is complete. STATUS_END: it ends the section. */
static enum status end_line(struct http1_head_scan *scan, slice bytes, enum fault_code *fault)
{
    slice line = slice_from(slice_first(bytes, scan->at), scan->line_at);
    bool is_leading = is_first_line(scan) && line.len == 0;
    if (is_leading && (scan->section != HTTP1_REQUEST_HEAD || scan->line_at > 0)) {
        return refuse(scan, STATUS_PEER, FAULT_H1_REQUEST_LINE, fault);
    }
    if (is_first_line(scan) && !is_leading && !is_start_line(scan, line)) {
        return refuse(scan, STATUS_PEER, FAULT_H1_REQUEST_LINE, fault);
    }
    scan->at += 2;
    scan->line_at = scan->at;
    if (is_leading) {
        return STATUS_OK;
    }
    scan->lines++;
    return line.len == 0 ? STATUS_END : STATUS_OK;
}

enum status http1_head_scan(struct http1_head_scan *scan, slice bytes,
                            const struct message_limits *limits, size_t *head_len,
                            enum fault_code *fault)
{
    if (!may_be_status_line(scan, bytes)) {
        return refuse(scan, STATUS_PEER, FAULT_H1_STATUS_LINE, fault);
    }
    for (;;) {
        size_t limit = limit_of(scan, limits);
        size_t end = bytes.len < limit ? bytes.len : limit;
        if (scan->at < end) {
            slice rest = slice_from(slice_first(bytes, end), scan->at);
            scan->at += field_value_find_control(rest);
        }
        if (scan->at + 1 >= limit) { /* a CR here would leave no room for its LF */
            enum fault_code code =
                limit < limits->header_bytes ? FAULT_LIMIT_URI_BYTES : FAULT_LIMIT_HEADER_BYTES;
            return refuse(scan, STATUS_REFUSED, code, fault);
        }
        if (scan->at == bytes.len) {
            return STATUS_AGAIN;
        }
        if (bytes.at[scan->at] != '\r') {
            return refuse(scan, STATUS_PEER, fault_of_control(scan, bytes), fault);
        }
        if (scan->at + 1 == bytes.len) {
            return STATUS_AGAIN;
        }
        if (bytes.at[scan->at + 1] != '\n') {
            return refuse(scan, STATUS_PEER, FAULT_H1_BARE_CR, fault);
        }
        enum status status = end_line(scan, bytes, fault);
        if (status == STATUS_END) {
            *head_len = scan->at;
            return STATUS_OK;
        }
        if (status != STATUS_OK) {
            return status;
        }
    }
}
