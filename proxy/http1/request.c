/* proxy/http1/request.c · SPDX-License-Identifier: Apache-2.0 */
#include "proxy/http1/request.h"

#include "proxy/http/framing.h"
#include "proxy/http/uri.h"
#include "proxy/http1/field_line.h"

enum { METHOD_BYTES_MAX = 32 };

/* RFC 9112 §2.3. The scan has seen to it that a request line ends in " HTTP/" and three bytes. */
static enum fault_code parse_version(slice version, bool *is_http10)
{
    *is_http10 = slice_equal(version, SLICE("HTTP/1.0"));
    if (*is_http10 || slice_equal(version, SLICE("HTTP/1.1"))) {
        return FAULT_NONE;
    }
    const char *number = version.at + 5;
    bool is_version = number[0] >= '0' && number[0] <= '9' && number[1] == '.' &&
                      number[2] >= '0' && number[2] <= '9';
    return is_version ? FAULT_H1_VERSION : FAULT_H1_REQUEST_LINE;
}

static enum fault_code parse_method(slice name, struct message *request)
{
    if (name.len > METHOD_BYTES_MAX || !field_is_token(name)) {
        return FAULT_H1_METHOD;
    }
    request->method_name = name;
    request->method = method_of(name);
    bool is_refused = request->method == METHOD_CONNECT || request->method == METHOD_TRACE;
    return is_refused ? FAULT_METHOD_REFUSED : FAULT_NONE;
}

/* RFC 9112 §3: method SP request-target SP HTTP-version, and nothing like it. */
static enum fault_code parse_request_line(slice line, const struct message_limits *limits,
                                          struct message *request, struct http1_wire *wire)
{
    enum { VERSION_BYTES = 8 };
    size_t space = slice_find(line, ' ');
    size_t version_at = line.len - VERSION_BYTES;
    if (space + 1 >= version_at) { /* one space only, or nothing between two */
        return FAULT_H1_REQUEST_LINE;
    }
    enum fault_code fault = parse_version(slice_from(line, version_at), &wire->is_http10);
    if (fault == FAULT_NONE) {
        fault = parse_method(slice_first(line, space), request);
    }
    if (fault != FAULT_NONE) {
        return fault;
    }
    slice target = slice_from(slice_first(line, version_at - 1), space + 1);
    if (slice_find(target, ' ') != target.len) {
        return FAULT_H1_REQUEST_LINE;
    }
    return target.len > limits->uri_bytes ? FAULT_LIMIT_URI_BYTES
                                          : uri_parse_target(target, request);
}

enum fault_code http1_parse_request(char *head, size_t len, slice scheme, struct arena *arena,
                                    const struct message_limits *limits, struct message *out,
                                    struct http1_wire *wire)
{
    *out = (struct message){.scheme = scheme};
    *wire = (struct http1_wire){.close_after = true};
    size_t start = *head == '\r' ? 2 : 0; /* RFC 9112 §2.2 */
    slice line = slice_from((slice){head, len}, start);
    line.len = field_line_len(line);
    enum fault_code fault = parse_request_line(line, limits, out, wire);
    if (fault != FAULT_NONE) {
        return fault;
    }
    size_t fields_at = start + line.len + 2;
    fault = field_lines_parse(head + fields_at, len - fields_at, limits->header_count, arena,
                              &out->fields);
    if (fault != FAULT_NONE) {
        return fault;
    }
    struct framing_facts facts = {.is_http10 = wire->is_http10};
    struct framing_verdict verdict = {0};
    fault = framing_decide_request(out, arena, &facts, &verdict);
    if (fault == FAULT_NONE) {
        wire->close_after = verdict.close_after;
    }
    return fault;
}
