/* proxy/http2/block.c · SPDX-License-Identifier: Apache-2.0 */
#include "proxy/http2/block.h"

#include "proxy/http/framing.h"
#include "proxy/http/uri.h"
#include "proxy/http2/limits.h"
#include "proxy/http2/websocket.h"

enum {
    FIELD_OVERHEAD_BYTES = 32, /* RFC 9113 §6.5.2 */
    METHOD_BYTES_MAX = 32,
};

static const slice pseudo_names[PSEUDOS] = {
    [PSEUDO_METHOD] = {":method", 7},        [PSEUDO_SCHEME] = {":scheme", 7},
    [PSEUDO_AUTHORITY] = {":authority", 10}, [PSEUDO_PATH] = {":path", 5},
    [PSEUDO_PROTOCOL] = {":protocol", 9},    [PSEUDO_STATUS] = {":status", 7},
};

void block_begin(struct block *block, struct arena *arena, const struct message_limits *limits,
                 bool is_trailers)
{
    *block = (struct block){.arena = arena, .limits = limits, .is_trailers = is_trailers};
}

/* ---- field by field ---- */

static void fail(struct block *block, enum fault_code fault)
{
    if (block->fault == FAULT_NONE) {
        block->fault = fault;
    }
}

/* RFC 9113 §8.2: names are in lower case on the wire already; upper case is malformed. */
static bool name_is_valid(slice name)
{
    for (size_t i = 0; i < name.len; i++) {
        unsigned char byte = (unsigned char)name.at[i];
        if (field_name_bytes[byte] != byte || byte == 0) {
            return false;
        }
    }
    return name.len > 0;
}

/* RFC 9113 §8.2.1: no white space at the ends. */
static bool value_is_valid(slice value)
{
    return field_value_is_valid(value) && slice_trim(value).len == value.len;
}

static enum fault_code add_pseudo(struct block *block, slice name, slice value)
{
    if (block->is_trailers || block->has_regular) {
        return FAULT_H2_PSEUDO_FIELD;
    }
    for (size_t i = 0; i < PSEUDOS; i++) {
        if (!slice_equal(name, pseudo_names[i])) {
            continue;
        }
        if (block->pseudo[i].at != NULL) {
            return FAULT_H2_PSEUDO_FIELD;
        }
        block->pseudo[i] = arena_copy(block->arena, value);
        return block->pseudo[i].at != NULL ? FAULT_NONE : FAULT_LIMIT_MEMORY;
    }
    return FAULT_H2_PSEUDO_FIELD;
}

static enum fault_code add_regular(struct block *block, slice name, slice value)
{
    block->has_regular = true;
    if (!name_is_valid(name)) {
        return FAULT_H2_FIELD_NAME;
    }
    enum field_token token = field_token_of(name);
    slice kept_name = token != FIELD_OTHER ? field_name_of(token) : arena_copy(block->arena, name);
    slice kept_value = arena_copy(block->arena, value);
    if (kept_name.at == NULL || kept_value.at == NULL) {
        return FAULT_LIMIT_MEMORY;
    }
    const enum status status =
        token != FIELD_OTHER
            ? fields_add(&block->fields, block->arena, token, kept_value)
            : fields_add_named(&block->fields, block->arena, kept_name, kept_value);
    return status == STATUS_OK ? FAULT_NONE : FAULT_LIMIT_MEMORY;
}

static enum fault_code add(struct block *block, slice name, slice value)
{
    if (!value_is_valid(value)) {
        return FAULT_H2_FIELD_VALUE;
    }
    return name.len > 0 && name.at[0] == ':' ? add_pseudo(block, name, value)
                                             : add_regular(block, name, value);
}

static size_t bytes_limit(const struct block *block)
{
    const struct message_limits *limits = block->limits;
    bool has_own = block->is_trailers && limits->trailer_bytes > 0;
    return has_own ? limits->trailer_bytes : limits->header_bytes;
}

bool block_add(struct block *block, slice name, slice value)
{
    block->bytes += name.len + value.len + FIELD_OVERHEAD_BYTES;
    block->count++;
    if (block->bytes > bytes_limit(block)) {
        fail(block, FAULT_LIMIT_HEADER_BYTES);
    } else if (block->count > block->limits->header_count) {
        fail(block, FAULT_LIMIT_HEADER_COUNT);
    }
    if (block->fault == FAULT_NONE && block->arena != NULL) {
        fail(block, add(block, name, value));
    }
    return block->bytes <= (uint64_t)bytes_limit(block) * H2_BLOCK_FACTOR;
}

bool block_fault_has_answer(enum fault_code fault)
{
    switch ((unsigned)fault) {
    case FAULT_LIMIT_HEADER_BYTES:
    case FAULT_LIMIT_HEADER_COUNT:
    case FAULT_LIMIT_URI_BYTES:
    case FAULT_LIMIT_BODY_BYTES:
    case FAULT_LIMIT_MEMORY:
    case FAULT_EXPECT_UNKNOWN:
    case FAULT_METHOD_REFUSED:
        return true;
    default:
        return false;
    }
}

/* ---- requests ---- */

static slice pseudo_of(const struct block *block, enum pseudo pseudo)
{
    return block->pseudo[pseudo].at != NULL ? block->pseudo[pseudo] : (slice){"", 0};
}

/* RFC 9113 §8.2.3: cookies may come in crumbs, which other versions do not know. An empty one adds
 * nothing, not even a space at an end, where none may be (§8.2.1). */
static enum fault_code join_cookies(struct block *block)
{
    struct fields *fields = &block->fields;
    size_t crumbs = fields_count(fields, FIELD_COOKIE);
    if (crumbs < 2) {
        return FAULT_NONE;
    }
    slice *parts = arena_take(block->arena, 2 * crumbs * sizeof(slice));
    if (parts == NULL) {
        return FAULT_LIMIT_MEMORY;
    }
    size_t count = 0;
    for (size_t i = 0; i < fields->count; i++) {
        if (fields->at[i].token == FIELD_COOKIE && fields->at[i].value.len > 0) {
            parts[count++] = fields->at[i].value;
            parts[count++] = SLICE("; ");
        }
    }
    slice joined = arena_join(block->arena, parts, count > 0 ? count - 1 : 0);
    if (joined.at == NULL) {
        return FAULT_LIMIT_MEMORY;
    }
    fields_find(fields, FIELD_COOKIE)->value = joined;
    size_t kept = 0;
    bool has_cookie = false;
    for (size_t i = 0; i < fields->count; i++) {
        bool is_cookie = fields->at[i].token == FIELD_COOKIE;
        if (!is_cookie || !has_cookie) {
            fields->at[kept++] = fields->at[i];
        }
        has_cookie |= is_cookie;
    }
    fields->count = kept;
    return FAULT_NONE;
}

/* RFC 9113 §8.2.2: TE may say "trailers" and nothing else. */
static bool te_is_valid(const struct fields *fields)
{
    for (size_t i = 0; i < fields->count; i++) {
        if (fields->at[i].token == FIELD_TE &&
            !slice_equal_nocase(fields->at[i].value, SLICE("trailers"))) {
            return false;
        }
    }
    return true;
}

static enum fault_code take_method(const struct block *block, struct message *out)
{
    slice name = pseudo_of(block, PSEUDO_METHOD);
    if (name.len > METHOD_BYTES_MAX || !field_is_token(name)) {
        return FAULT_H2_PSEUDO_FIELD;
    }
    out->method_name = name;
    out->method = method_of(name);
    return FAULT_NONE;
}

static enum fault_code take_path(const struct block *block, struct message *out)
{
    slice path = pseudo_of(block, PSEUDO_PATH);
    if (path.len > block->limits->uri_bytes) {
        return FAULT_LIMIT_URI_BYTES;
    }
    if (slice_equal(path, SLICE("*"))) {
        out->path = path;
        return out->method == METHOD_OPTIONS ? FAULT_NONE : FAULT_URI_MALFORMED;
    }
    return path.len > 0 && path.at[0] == '/' ? uri_parse_path(path, out) : FAULT_URI_MALFORMED;
}

/* Which pseudo-header fields must, may and must not be there (RFC 9113 §8.3.1, §8.5). */
static enum fault_code check_pseudo(const struct block *block, const struct message *request,
                                    const struct block_facts *facts)
{
    bool has_protocol = block->pseudo[PSEUDO_PROTOCOL].at != NULL;
    bool has_target =
        block->pseudo[PSEUDO_SCHEME].at != NULL && block->pseudo[PSEUDO_PATH].at != NULL;
    if (block->pseudo[PSEUDO_STATUS].at != NULL) {
        return FAULT_H2_PSEUDO_FIELD;
    }
    if (request->method == METHOD_CONNECT && !has_protocol) {
        bool is_plain = block->pseudo[PSEUDO_SCHEME].at == NULL &&
                        block->pseudo[PSEUDO_PATH].at == NULL &&
                        block->pseudo[PSEUDO_AUTHORITY].at != NULL;
        return is_plain ? FAULT_METHOD_REFUSED : FAULT_H2_PSEUDO_FIELD;
    }
    if (!has_target || has_protocol != (request->method == METHOD_CONNECT) ||
        (has_protocol && !facts->takes_tunnels)) {
        return FAULT_H2_PSEUDO_FIELD;
    }
    slice scheme = pseudo_of(block, PSEUDO_SCHEME);
    bool is_known =
        slice_equal_nocase(scheme, SLICE("https")) || slice_equal_nocase(scheme, SLICE("http"));
    if (!is_known) {
        return FAULT_H2_PSEUDO_FIELD;
    }
    return request->method == METHOD_TRACE ? FAULT_METHOD_REFUSED : FAULT_NONE;
}

/* RFC 8441 §4 as the GET with Upgrade that it stands for. */
static enum fault_code take_protocol(const struct block *block, struct message *out)
{
    if (block->pseudo[PSEUDO_PROTOCOL].at == NULL) {
        return FAULT_NONE;
    }
    if (!slice_equal_nocase(pseudo_of(block, PSEUDO_PROTOCOL), SLICE("websocket"))) {
        return FAULT_METHOD_REFUSED;
    }
    out->method = METHOD_GET;
    out->method_name = SLICE("GET");
    out->upgrade = SLICE("websocket");
    out->expects_continue = false;
    out->framing = (struct framing){.kind = FRAMING_NONE};
    return websocket_add_key(out, block->arena);
}

/* The stream may end with the block: then there is no body, whatever else was said. */
static enum fault_code end_framing(struct message *out, bool is_last)
{
    bool says_body = out->framing.kind == FRAMING_LENGTH && out->framing.length > 0;
    if (is_last && says_body) {
        return FAULT_H2_LENGTH;
    }
    if (is_last) {
        out->framing = (struct framing){.kind = FRAMING_NONE};
        out->expects_continue = false;
    }
    return FAULT_NONE;
}

static enum fault_code frame_request(struct block *block, const struct block_facts *facts,
                                     struct message *out)
{
    out->fields = block->fields;
    const struct framing_facts framing = {.has_stream_ends = true};
    struct framing_verdict verdict = {0};
    enum fault_code fault = framing_decide_request(out, block->arena, &framing, &verdict);
    if (fault == FAULT_NONE) {
        fault = end_framing(out, facts->is_last);
    }
    return fault == FAULT_NONE ? take_protocol(block, out) : fault;
}

enum fault_code block_to_request(struct block *block, const struct block_facts *facts,
                                 struct message *out)
{
    *out = (struct message){.scheme = facts->scheme};
    enum fault_code fault = block->fault;
    if (fault != FAULT_NONE) {
        /* What is logged of a request that was too large. */
        (void)!take_method(block, out);
        out->authority = pseudo_of(block, PSEUDO_AUTHORITY);
        return fault;
    }
    fault = take_method(block, out);
    out->authority = pseudo_of(block, PSEUDO_AUTHORITY);
    if (fault == FAULT_NONE) {
        fault = check_pseudo(block, out, facts);
    }
    if (fault == FAULT_NONE) {
        fault = take_path(block, out);
    }
    if (fault == FAULT_NONE && !te_is_valid(&block->fields)) {
        fault = FAULT_CONNECTION_MALFORMED;
    }
    if (fault == FAULT_NONE) {
        fault = join_cookies(block);
    }
    return fault == FAULT_NONE ? frame_request(block, facts, out) : fault;
}

/* ---- responses ---- */

/* RFC 9113 §8.3.2: three digits. 101 has no meaning in HTTP/2 (§8.6). */
static enum fault_code take_status(const struct block *block, struct message *out)
{
    enum { STATUS_MIN = 100, STATUS_MAX = 599, SWITCHING = 101 };
    uint64_t status = 0;
    slice digits = pseudo_of(block, PSEUDO_STATUS);
    for (size_t i = 0; i < PSEUDOS; i++) {
        if (i != PSEUDO_STATUS && block->pseudo[i].at != NULL) {
            return FAULT_H2_PSEUDO_FIELD;
        }
    }
    if (digits.len != 3 || !slice_to_number(digits, &status) || status < STATUS_MIN ||
        status > STATUS_MAX || status == SWITCHING) {
        return FAULT_H2_PSEUDO_FIELD;
    }
    out->status = (unsigned)status;
    return FAULT_NONE;
}

/* RFC 8441 §5: success of an extended CONNECT is a tunnel. */
static void begin_tunnel(struct message *out)
{
    enum { SWITCHING_PROTOCOLS = 101 };
    out->status = SWITCHING_PROTOCOLS;
    out->upgrade = SLICE("websocket");
    out->framing = (struct framing){.kind = FRAMING_TUNNEL};
}

static enum fault_code frame_response(struct block *block, const struct block_facts *facts,
                                      struct message *out)
{
    out->fields = block->fields;
    const struct framing_facts framing = {.has_stream_ends = true, .request_method = facts->method};
    struct framing_verdict verdict = {0};
    enum fault_code fault = framing_decide_response(out, &framing, &verdict);
    if (fault != FAULT_NONE) {
        return fault;
    }
    bool is_interim = out->status < 200;
    if (is_interim) {
        return facts->is_last ? FAULT_H2_PSEUDO_FIELD : FAULT_NONE; /* RFC 9113 §8.1 */
    }
    if (facts->upgrade_was_asked && out->status / 100 == 2 && !facts->is_last) {
        begin_tunnel(out);
        return FAULT_NONE;
    }
    bool was_none = out->framing.kind == FRAMING_NONE; /* HEAD and 304 may tell a length */
    return was_none ? FAULT_NONE : end_framing(out, facts->is_last);
}

static enum fault_code response_fault(enum fault_code fault)
{
    switch ((unsigned)fault) {
    case FAULT_LIMIT_HEADER_BYTES:
    case FAULT_LIMIT_HEADER_COUNT:
        return FAULT_BACKEND_HEADER_BYTES;
    case FAULT_NONE:
    case FAULT_LIMIT_MEMORY:
        return fault;
    default:
        return FAULT_BACKEND_RESPONSE;
    }
}

enum fault_code block_to_response(struct block *block, const struct block_facts *facts,
                                  struct message *out)
{
    *out = (struct message){0};
    enum fault_code fault = block->fault;
    if (fault == FAULT_NONE) {
        fault = take_status(block, out);
    }
    if (fault == FAULT_NONE) {
        fault = frame_response(block, facts, out);
    }
    return response_fault(fault);
}

/* ---- trailers ---- */

/* As with HTTP/1.1: a field that may not come here is refused and not dropped, since who sends it
 * means something by it. */
enum fault_code block_to_trailers(struct block *block, struct fields **out)
{
    *out = NULL;
    if (block->fault != FAULT_NONE) {
        return block->fault;
    }
    for (size_t i = 0; i < block->fields.count; i++) {
        if (!framing_allows_trailer(&block->fields.at[i])) {
            return FAULT_H2_TRAILER;
        }
    }
    if (block->fields.count == 0) {
        return FAULT_NONE;
    }
    *out = arena_take(block->arena, sizeof(**out));
    if (*out == NULL) {
        return FAULT_LIMIT_MEMORY;
    }
    **out = block->fields;
    return FAULT_NONE;
}
