/* proxy/http1/response.c · SPDX-License-Identifier: Apache-2.0 */
#include "proxy/http1/response.h"

#include "proxy/http/framing.h"
#include "proxy/http1/field_line.h"

enum fault_code http1_response_fault(enum fault_code detail)
{
    switch ((unsigned)detail) {
    case FAULT_LIMIT_HEADER_BYTES:
    case FAULT_LIMIT_HEADER_COUNT:
        return FAULT_BACKEND_HEADER_BYTES;
    case FAULT_NONE:
    case FAULT_LIMIT_MEMORY:
    case FAULT_INTERNAL:
    case FAULT_H1_STATUS_LINE:
    case FAULT_BACKEND_UPGRADE:
        return detail;
    default:
        return FAULT_BACKEND_RESPONSE;
    }
}

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

/* RFC 9112 §4: HTTP-version SP 3DIGIT [SP reason-phrase]. The second space is required there, but
 * servers leave it away with the reason, and nothing can be hidden in its absence. */
static enum fault_code parse_status_line(slice line, struct message *response,
                                         struct http1_wire *wire)
{
    enum { STATUS_AT = 9, SHORTEST = 12, STATUS_MIN = 100, STATUS_MAX = 599 };
    wire->is_http10 = slice_starts_with(line, SLICE("HTTP/1.0 "));
    if (!wire->is_http10 && !slice_starts_with(line, SLICE("HTTP/1.1 "))) {
        return FAULT_H1_STATUS_LINE;
    }
    const char *digits = line.at + STATUS_AT;
    if (line.len < SHORTEST || (line.len > SHORTEST && line.at[SHORTEST] != ' ') ||
        !is_digit(digits[0]) || !is_digit(digits[1]) || !is_digit(digits[2])) {
        return FAULT_H1_STATUS_LINE;
    }
    response->status = (unsigned)(digits[0] - '0') * 100 + (unsigned)(digits[1] - '0') * 10 +
                       (unsigned)(digits[2] - '0');
    bool is_known_class = response->status >= STATUS_MIN && response->status <= STATUS_MAX;
    return is_known_class ? FAULT_NONE : FAULT_BACKEND_RESPONSE;
}

static enum fault_code parse(char *head, size_t len, const struct http1_asked *asked,
                             struct arena *arena, const struct message_limits *limits,
                             struct message *out, struct http1_wire *wire)
{
    slice line = {head, field_line_len((slice){head, len})};
    enum fault_code fault = parse_status_line(line, out, wire);
    if (fault != FAULT_NONE) {
        return fault;
    }
    size_t fields_at = line.len + 2;
    fault = field_lines_parse(head + fields_at, len - fields_at, limits->header_count, arena,
                              &out->fields);
    if (fault != FAULT_NONE) {
        return fault;
    }
    /* RFC 9110 §15.2: 1xx came with HTTP/1.1 */
    if (wire->is_http10 && out->status < 200) {
        return FAULT_BACKEND_RESPONSE;
    }
    struct framing_facts facts = {.is_http10 = wire->is_http10,
                                  .request_method = asked->method,
                                  .upgrade_was_asked = asked->upgrade};
    struct framing_verdict verdict = {0};
    fault = framing_decide_response(out, &facts, &verdict);
    if (fault == FAULT_NONE) {
        wire->close_after = verdict.close_after;
    }
    return fault;
}

enum fault_code http1_parse_response(char *head, size_t len, const struct http1_asked *asked,
                                     struct arena *arena, const struct message_limits *limits,
                                     struct message *out, struct http1_wire *wire)
{
    *out = (struct message){0};
    *wire = (struct http1_wire){.close_after = true};
    wire->detail = parse(head, len, asked, arena, limits, out, wire);
    return http1_response_fault(wire->detail);
}
