/* proxy/http1/serialise.c · SPDX-License-Identifier: Apache-2.0 */
#include "proxy/http1/serialise.h"

#include "proxy/http1/field_line.h"

/* What only the functions below write: had a message one of them, there might be two. */
/* clang-format off */
#define WRITTEN_HERE \
    [FIELD_CONNECTION] = true, [FIELD_CONTENT_LENGTH] = true, [FIELD_HTTP2_SETTINGS] = true, \
    [FIELD_KEEP_ALIVE] = true, [FIELD_PROXY_CONNECTION] = true, [FIELD_TE] = true, \
    [FIELD_TRANSFER_ENCODING] = true, [FIELD_UPGRADE] = true
static const bool request_refuses[FIELD_TOKENS] = {
    WRITTEN_HERE, [FIELD_EXPECT] = true, [FIELD_HOST] = true, [FIELD_PROXY] = true,
};
static const bool response_refuses[FIELD_TOKENS] = {WRITTEN_HERE};
/* clang-format on */

static bool has_blank(slice text)
{
    return slice_find(text, ' ') != text.len || slice_find(text, '\t') != text.len;
}

static bool is_sendable_target(const struct message *request)
{
    bool is_asterisk = slice_equal(request->path, SLICE("*")) && request->query.len == 0;
    bool is_origin = request->path.len > 0 && request->path.at[0] == '/' &&
                     (request->query.len == 0 || request->query.at[0] == '?');
    return (is_asterisk || is_origin) && !has_blank(request->path) && !has_blank(request->query) &&
           field_value_is_valid(request->path) && field_value_is_valid(request->query);
}

static void put_length(struct line_writer *writer, uint64_t length)
{
    line_writer_put(writer, SLICE("content-length: "));
    line_writer_put_number(writer, length);
    line_writer_put(writer, SLICE("\r\n"));
}

static void put_chunked(struct line_writer *writer)
{
    line_writer_put(writer, SLICE("transfer-encoding: chunked\r\n"));
}

/* RFC 9110 §8.6: methods that usually have content say that there is none. */
static bool is_length_expected(enum method method)
{
    return method == METHOD_POST || method == METHOD_PUT || method == METHOD_PATCH;
}

static enum fault_code put_request_framing(struct line_writer *writer,
                                           const struct message *request)
{
    switch (request->framing.kind) {
    case FRAMING_NONE:
        if (is_length_expected(request->method)) {
            put_length(writer, 0);
        }
        return FAULT_NONE;
    case FRAMING_LENGTH:
        put_length(writer, request->framing.length);
        return FAULT_NONE;
    case FRAMING_STREAMED:
        put_chunked(writer);
        return FAULT_NONE;
    case FRAMING_UNTIL_CLOSE:
    case FRAMING_TUNNEL:
        break;
    }
    return FAULT_INTERNAL;
}

/* Connection, and what it names (RFC 9110 §7.6.1, §7.8, §10.1.4). */
static void put_request_connection(struct line_writer *writer, const struct message *request,
                                   const struct http1_sending *sending)
{
    if (request->upgrade.len > 0) {
        line_writer_put(writer, SLICE("connection: upgrade\r\n"));
        line_writer_put_field(writer, SLICE("upgrade"), request->upgrade);
        return;
    }
    if (request->accepts_trailers) {
        line_writer_put(writer, sending->close ? SLICE("connection: te, close\r\n")
                                               : SLICE("connection: te\r\n"));
        line_writer_put(writer, SLICE("te: trailers\r\n"));
        return;
    }
    if (sending->close) {
        line_writer_put(writer, SLICE("connection: close\r\n"));
    }
}

enum fault_code http1_write_request(const struct message *request,
                                    const struct http1_sending *sending, char *out, size_t room,
                                    size_t *needed)
{
    struct line_writer writer = {.out = out, .room = room};
    if (!field_is_token(request->method_name) || !is_sendable_target(request) ||
        !field_value_is_valid(request->authority) || has_blank(request->authority) ||
        (request->upgrade.len > 0 && !field_is_token(request->upgrade))) {
        return FAULT_INTERNAL;
    }
    line_writer_put(&writer, request->method_name);
    line_writer_put(&writer, SLICE(" "));
    line_writer_put(&writer, request->path);
    line_writer_put(&writer, request->query);
    line_writer_put(&writer, SLICE(" HTTP/1.1\r\n"));
    line_writer_put_field(&writer, SLICE("host"), request->authority);
    enum fault_code fault = line_writer_put_fields(&writer, &request->fields, request_refuses);
    if (fault == FAULT_NONE) {
        fault = put_request_framing(&writer, request);
    }
    if (request->expects_continue) {
        line_writer_put(&writer, SLICE("expect: 100-continue\r\n"));
    }
    put_request_connection(&writer, request, sending);
    line_writer_put(&writer, SLICE("\r\n"));
    *needed = writer.len;
    return fault;
}

/* No body follows, whatever the fields say (RFC 9112 §6.3). */
static bool is_bodiless(const struct message *response, const struct http1_sending *sending)
{
    unsigned status = response->status;
    return sending->answers_head || status < 200 || status == 204 || status == 304;
}

/* A body without a known length is sent in chunks even if it came until the end of a conn: the
 * client can then tell a cut body from a whole one. */
static bool is_open_ended(const struct message *response, const struct http1_sending *sending)
{
    return !is_bodiless(response, sending) && (response->framing.kind == FRAMING_STREAMED ||
                                               response->framing.kind == FRAMING_UNTIL_CLOSE);
}

bool http1_response_is_chunked(const struct message *response, const struct http1_sending *sending)
{
    return is_open_ended(response, sending) && !sending->to_http10;
}

bool http1_response_ends_conn(const struct message *response, const struct http1_sending *sending)
{
    bool is_interim = response->status < 200;
    return !is_interim &&
           (sending->close || (is_open_ended(response, sending) && sending->to_http10));
}

static enum fault_code put_response_framing(struct line_writer *writer,
                                            const struct message *response,
                                            const struct http1_sending *sending)
{
    const struct framing *framing = &response->framing;
    bool may_tell_length = response->status >= 200 && response->status != 204;
    switch (framing->kind) {
    case FRAMING_NONE:
        if (may_tell_length && (framing->tells_length || !is_bodiless(response, sending))) {
            put_length(writer, framing->tells_length ? framing->length : 0);
        }
        return FAULT_NONE;
    case FRAMING_LENGTH:
        if (may_tell_length) {
            put_length(writer, framing->length);
        }
        return may_tell_length || framing->length == 0 ? FAULT_NONE : FAULT_INTERNAL;
    case FRAMING_STREAMED:
    case FRAMING_UNTIL_CLOSE:
        if (http1_response_is_chunked(response, sending)) {
            put_chunked(writer);
        }
        return FAULT_NONE;
    case FRAMING_TUNNEL:
        return FAULT_NONE;
    }
    return FAULT_INTERNAL;
}

static void put_response_connection(struct line_writer *writer, const struct message *response,
                                    const struct http1_sending *sending)
{
    if (response->status == 101) {
        line_writer_put(writer, SLICE("connection: upgrade\r\n"));
        line_writer_put_field(writer, SLICE("upgrade"), response->upgrade);
    } else if (response->status < 200) {
        return;
    } else if (http1_response_ends_conn(response, sending)) {
        line_writer_put(writer, SLICE("connection: close\r\n"));
    } else if (sending->to_http10) {
        line_writer_put(writer, SLICE("connection: keep-alive\r\n"));
    }
}

/* RFC 9110 §15.2: no 1xx to HTTP/1.0; 101 only into a tunnel. */
static bool is_sendable_status(const struct message *response, const struct http1_sending *sending)
{
    enum { STATUS_MIN = 100, STATUS_MAX = 599 };
    bool switches = response->status == 101;
    return response->status >= STATUS_MIN && response->status <= STATUS_MAX &&
           !(response->status < 200 && sending->to_http10) &&
           switches == (response->framing.kind == FRAMING_TUNNEL) &&
           switches == field_is_token(response->upgrade);
}

enum fault_code http1_write_response(const struct message *response,
                                     const struct http1_sending *sending, char *out, size_t room,
                                     size_t *needed)
{
    struct line_writer writer = {.out = out, .room = room};
    if (!is_sendable_status(response, sending)) {
        return FAULT_INTERNAL;
    }
    line_writer_put(&writer, SLICE("HTTP/1.1 "));
    line_writer_put_number(&writer, response->status);
    line_writer_put(&writer, SLICE(" "));
    line_writer_put(&writer, http1_reason_phrase(response->status));
    line_writer_put(&writer, SLICE("\r\n"));
    enum fault_code fault = line_writer_put_fields(&writer, &response->fields, response_refuses);
    if (fault == FAULT_NONE) {
        fault = put_response_framing(&writer, response, sending);
    }
    put_response_connection(&writer, response, sending);
    line_writer_put(&writer, SLICE("\r\n"));
    *needed = writer.len;
    return fault;
}

slice http1_reason_phrase(unsigned status)
{
    /* clang-format off */
    static const char *const phrases[] = {
        [100] = "Continue", [101] = "Switching Protocols", [102] = "Processing",
        [103] = "Early Hints",
        [200] = "OK", [201] = "Created", [202] = "Accepted",
        [203] = "Non-Authoritative Information", [204] = "No Content", [205] = "Reset Content",
        [206] = "Partial Content", [207] = "Multi-Status", [208] = "Already Reported",
        [226] = "IM Used",
        [300] = "Multiple Choices", [301] = "Moved Permanently", [302] = "Found",
        [303] = "See Other", [304] = "Not Modified", [305] = "Use Proxy",
        [307] = "Temporary Redirect", [308] = "Permanent Redirect",
        [400] = "Bad Request", [401] = "Unauthorized", [402] = "Payment Required",
        [403] = "Forbidden", [404] = "Not Found", [405] = "Method Not Allowed",
        [406] = "Not Acceptable", [407] = "Proxy Authentication Required",
        [408] = "Request Timeout", [409] = "Conflict", [410] = "Gone", [411] = "Length Required",
        [412] = "Precondition Failed", [413] = "Content Too Large", [414] = "URI Too Long",
        [415] = "Unsupported Media Type", [416] = "Range Not Satisfiable",
        [417] = "Expectation Failed", [421] = "Misdirected Request",
        [422] = "Unprocessable Content", [423] = "Locked", [424] = "Failed Dependency",
        [425] = "Too Early", [426] = "Upgrade Required", [428] = "Precondition Required",
        [429] = "Too Many Requests", [431] = "Request Header Fields Too Large",
        [451] = "Unavailable For Legal Reasons",
        [500] = "Internal Server Error", [501] = "Not Implemented", [502] = "Bad Gateway",
        [503] = "Service Unavailable", [504] = "Gateway Timeout",
        [505] = "HTTP Version Not Supported", [506] = "Variant Also Negotiates",
        [507] = "Insufficient Storage", [508] = "Loop Detected",
        [511] = "Network Authentication Required",
    };
    /* clang-format on */
    bool has_phrase = status < sizeof(phrases) / sizeof(phrases[0]) && phrases[status] != NULL;
    return has_phrase ? slice_of(phrases[status]) : SLICE("Unknown");
}
