/* proxy/http2/head.c · SPDX-License-Identifier: Apache-2.0 */
#include "proxy/http2/head.h"

/* method, scheme, authority, path, protocol; te, expect; content-length */
enum { OWN_FIELDS_MAX = 8, SWITCHING_PROTOCOLS = 101 };

/* What belongs to one hop, is written here, or has no meaning in HTTP/2: had a message one of
 * them, two servers might read two things. */
/* clang-format off */
#define NOT_HERE \
    [FIELD_CONNECTION] = true, [FIELD_CONTENT_LENGTH] = true, [FIELD_HTTP2_SETTINGS] = true, \
    [FIELD_KEEP_ALIVE] = true, [FIELD_PROXY_CONNECTION] = true, [FIELD_TE] = true, \
    [FIELD_TRANSFER_ENCODING] = true, [FIELD_UPGRADE] = true
static const bool request_refuses[FIELD_TOKENS] = {
    NOT_HERE, [FIELD_EXPECT] = true, [FIELD_HOST] = true, [FIELD_PROXY] = true,
};
static const bool response_refuses[FIELD_TOKENS] = {NOT_HERE};

/* Of the handshake in HTTP/1.1 alone (RFC 8441 §5). */
static const bool handshake_only[FIELD_TOKENS] = {
    [FIELD_SEC_WEBSOCKET_KEY] = true, [FIELD_SEC_WEBSOCKET_ACCEPT] = true,
};

/* Never in a table of the compression: secrets, so that no length tells of them (RFC 7541 §7.1.3),
 * and what is new in each message, so that nothing useful is pushed out for it. */
static const bool never_indexed[FIELD_TOKENS] = {
    [FIELD_AUTHORIZATION] = true, [FIELD_CLIENT_CERT] = true, [FIELD_CLIENT_CERT_CHAIN] = true,
    [FIELD_COOKIE] = true, [FIELD_PROXY_AUTHORIZATION] = true, [FIELD_SET_COOKIE] = true,
    [FIELD_TRACEPARENT] = true, [FIELD_X_REQUEST_ID] = true,
};
/* clang-format on */

static bool open_head(struct head *head, struct arena *arena, const struct fields *fields)
{
    head->count = 0;
    head->at = arena_take(arena, (fields->count + OWN_FIELDS_MAX) * sizeof(*head->at));
    return head->at != NULL;
}

static void put(struct head *head, slice name, slice value, bool is_indexed)
{
    head->at[head->count++] = (nghttp2_nv){
        .name = (uint8_t *)(uintptr_t)name.at,
        .namelen = name.len,
        .value = (uint8_t *)(uintptr_t)value.at,
        .valuelen = value.len,
        .flags = is_indexed ? NGHTTP2_NV_FLAG_NONE : NGHTTP2_NV_FLAG_NO_INDEX,
    };
}

static bool is_sendable(const struct field *field)
{
    for (size_t i = 0; i < field->name.len; i++) {
        unsigned char byte = (unsigned char)field->name.at[i];
        if (byte == 0 || field_name_bytes[byte] != byte) {
            return false;
        }
    }
    return field->name.len > 0 && field_value_is_valid(field->value);
}

static enum fault_code put_fields(struct head *head, const struct fields *fields,
                                  const bool is_refused[static FIELD_TOKENS])
{
    for (size_t i = 0; i < fields->count; i++) {
        const struct field *field = &fields->at[i];
        if (is_refused[field->token] || !is_sendable(field)) {
            return FAULT_INTERNAL;
        }
        if (!handshake_only[field->token]) {
            put(head, field->name, slice_trim(field->value), !never_indexed[field->token]);
        }
    }
    return FAULT_NONE;
}

static slice number(uint64_t value, struct arena *arena)
{
    enum { DIGITS_MAX = 20 };
    char text[DIGITS_MAX];
    size_t at = sizeof(text);
    do {
        text[--at] = (char)('0' + value % 10);
        value /= 10;
    } while (value > 0);
    return arena_copy(arena, (slice){text + at, sizeof(text) - at});
}

static enum fault_code put_length(struct head *head, const struct framing *framing,
                                  struct arena *arena)
{
    bool is_told = framing->kind == FRAMING_LENGTH || framing->tells_length;
    if (!is_told) {
        return FAULT_NONE;
    }
    slice digits = number(framing->length, arena);
    if (digits.at == NULL) {
        return FAULT_LIMIT_MEMORY;
    }
    put(head, SLICE("content-length"), digits, false);
    return FAULT_NONE;
}

static bool has_blank(slice text)
{
    return slice_find(text, ' ') != text.len || slice_find(text, '\t') != text.len;
}

static bool is_sendable_target(const struct message *request, slice path)
{
    bool is_asterisk = slice_equal(path, SLICE("*"));
    return (is_asterisk || (path.len > 0 && path.at[0] == '/')) && !has_blank(path) &&
           field_value_is_valid(path) && field_value_is_valid(request->authority) &&
           !has_blank(request->authority) && field_is_token(request->method_name);
}

/* :path is path and query together. */
static slice path_of(const struct message *request, struct arena *arena)
{
    if (request->query.len == 0) {
        return request->path;
    }
    const slice parts[] = {request->path, request->query};
    return arena_join(arena, parts, 2);
}

static void put_protocol(struct head *head, const struct message *request)
{
    if (request->upgrade.len > 0) {
        put(head, SLICE(":method"), SLICE("CONNECT"), true);
        put(head, SLICE(":protocol"), request->upgrade, true);
        return;
    }
    put(head, SLICE(":method"), request->method_name, true);
}

enum fault_code head_of_request(const struct message *request, struct arena *arena,
                                struct head *out)
{
    slice path = path_of(request, arena);
    if (path.at == NULL || !open_head(out, arena, &request->fields)) {
        return FAULT_LIMIT_MEMORY;
    }
    if (!is_sendable_target(request, path)) {
        return FAULT_INTERNAL;
    }
    put_protocol(out, request);
    put(out, SLICE(":scheme"), request->scheme, true);
    put(out, SLICE(":authority"), request->authority, true);
    put(out, SLICE(":path"), path, true);
    enum fault_code fault = put_fields(out, &request->fields, request_refuses);
    if (fault == FAULT_NONE) {
        fault = put_length(out, &request->framing, arena);
    }
    if (request->accepts_trailers) {
        put(out, SLICE("te"), SLICE("trailers"), true);
    }
    if (request->expects_continue) {
        put(out, SLICE("expect"), SLICE("100-continue"), true);
    }
    return fault;
}

enum fault_code head_of_response(const struct message *response, struct arena *arena,
                                 struct head *out)
{
    bool is_tunnel = response->status == SWITCHING_PROTOCOLS;
    slice status = is_tunnel ? SLICE("200") : number(response->status, arena);
    if (status.at == NULL || !open_head(out, arena, &response->fields)) {
        return FAULT_LIMIT_MEMORY;
    }
    put(out, SLICE(":status"), status, true);
    enum fault_code fault = put_fields(out, &response->fields, response_refuses);
    bool may_tell_length = response->status >= 200 && response->status != 204;
    if (fault == FAULT_NONE && may_tell_length) {
        fault = put_length(out, &response->framing, arena);
    }
    return fault;
}

enum fault_code head_of_trailers(const struct fields *trailers, struct arena *arena,
                                 struct head *out)
{
    if (!open_head(out, arena, trailers)) {
        return FAULT_LIMIT_MEMORY;
    }
    return put_fields(out, trailers, request_refuses);
}
