/* proxy/http/field.c · SPDX-License-Identifier: Apache-2.0 */
#include "proxy/http/field.h"

#include <assert.h>
#include <endian.h>

/* clang-format off */
const unsigned char field_name_bytes[256] = {
    0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
    0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
    0, '!', 0, '#', '$', '%', '&', '\'', 0, 0, '*', '+', 0, '-', '.', 0,
    '0', '1', '2', '3', '4', '5', '6', '7', '8', '9', 0, 0, 0, 0, 0, 0,
    0, 'a', 'b', 'c', 'd', 'e', 'f', 'g', 'h', 'i', 'j', 'k', 'l', 'm', 'n', 'o',
    'p', 'q', 'r', 's', 't', 'u', 'v', 'w', 'x', 'y', 'z', 0, 0, 0, '^', '_',
    '`', 'a', 'b', 'c', 'd', 'e', 'f', 'g', 'h', 'i', 'j', 'k', 'l', 'm', 'n', 'o',
    'p', 'q', 'r', 's', 't', 'u', 'v', 'w', 'x', 'y', 'z', 0, '|', 0, '~', 0,
};

/* The tokens by the length of their names, each row ended by FIELD_OTHER (0): a name is compared
 * with the few that have its length. A unit test finds a token that is missing here. */
enum { NAME_LEN_MAX = 25, SAME_LEN_MAX = 6 };
static const unsigned char tokens_by_len[NAME_LEN_MAX + 1][SAME_LEN_MAX + 1] = {
    [2] = {FIELD_TE},
    [3] = {FIELD_VIA},
    [4] = {FIELD_DATE, FIELD_HOST},
    [5] = {FIELD_PROXY},
    [6] = {FIELD_ACCEPT, FIELD_COOKIE, FIELD_EXPECT, FIELD_SERVER},
    [7] = {FIELD_TRAILER, FIELD_UPGRADE},
    [8] = {FIELD_LOCATION, FIELD_PRIORITY},
    [9] = {FIELD_FORWARDED, FIELD_X_REAL_IP},
    [10] = {FIELD_CONNECTION, FIELD_EARLY_DATA, FIELD_KEEP_ALIVE, FIELD_SET_COOKIE, FIELD_TRACESTATE, FIELD_USER_AGENT},
    [11] = {FIELD_CLIENT_CERT, FIELD_TRACEPARENT},
    [12] = {FIELD_CONTENT_TYPE, FIELD_X_REQUEST_ID},
    [13] = {FIELD_AUTHORIZATION, FIELD_CACHE_CONTROL},
    [14] = {FIELD_CONTENT_LENGTH, FIELD_HTTP2_SETTINGS},
    [15] = {FIELD_X_FORWARDED_FOR},
    [16] = {FIELD_PROXY_CONNECTION, FIELD_X_FORWARDED_HOST, FIELD_X_FORWARDED_PORT},
    [17] = {FIELD_CLIENT_CERT_CHAIN, FIELD_SALLYPORT_SESSION, FIELD_SEC_WEBSOCKET_KEY, FIELD_TRANSFER_ENCODING, FIELD_X_FORWARDED_PROTO},
    [18] = {FIELD_PROXY_AUTHENTICATE},
    [19] = {FIELD_PROXY_AUTHORIZATION},
    [20] = {FIELD_SEC_WEBSOCKET_ACCEPT},
    [21] = {FIELD_SEC_WEBSOCKET_VERSION},
    [25] = {FIELD_STRICT_TRANSPORT_SECURITY},
};
/* clang-format on */

static_assert(FIELD_TOKENS <= 256, "a token fits in a byte of tokens_by_len");
static_assert(FIELD_OTHER == 0, "FIELD_OTHER ends a row of tokens_by_len");

#define FIELD_NAME(token, name) [FIELD_##token] = {name, sizeof(name) - 1},
static const slice names[FIELD_TOKENS] = {FIELD_TABLE(FIELD_NAME)};
#undef FIELD_NAME

enum field_token field_token_of(slice lower_name)
{
    if (lower_name.len == 0 || lower_name.len > NAME_LEN_MAX) {
        return FIELD_OTHER;
    }
    const unsigned char *candidate = tokens_by_len[lower_name.len];
    for (; *candidate != FIELD_OTHER; candidate++) {
        const char *name = names[*candidate].at;
        if (name[0] == lower_name.at[0] && memcmp(name, lower_name.at, lower_name.len) == 0) {
            break;
        }
    }
    return (enum field_token) * candidate;
}

slice field_name_of(enum field_token token)
{
    return (unsigned)token < FIELD_TOKENS ? names[token] : names[FIELD_OTHER];
}

bool field_name_make_lower(char *at, size_t len)
{
    for (size_t i = 0; i < len; i++) {
        unsigned char lower = field_name_bytes[(unsigned char)at[i]];
        if (lower == 0) {
            return false;
        }
        at[i] = (char)lower;
    }
    return len > 0;
}

bool field_is_token(slice text)
{
    for (size_t i = 0; i < text.len; i++) {
        if (field_name_bytes[(unsigned char)text.at[i]] == 0) {
            return false;
        }
    }
    return text.len > 0;
}

static bool is_control(unsigned char byte)
{
    return (byte < ' ' && byte != '\t') || byte == 0x7f;
}

/* Sixteen bytes at once, in the compiler's own vector type: SSE2 or NEON without naming either. */
typedef unsigned char block __attribute__((vector_size(16)));

/* Where the first control character of the block is, or 16. */
static size_t find_in_block(const char *at)
{
    block bytes;
    uint64_t found[2];
    memcpy(&bytes, at, sizeof(bytes));
    block controls = (block)(((bytes < ' ') & (bytes != '\t')) | (bytes == 0x7f));
    memcpy(found, &controls, sizeof(found));
    if ((found[0] | found[1]) == 0) {
        return sizeof(bytes);
    }
    return found[0] != 0 ? (size_t)__builtin_ctzll(le64toh(found[0])) / 8
                         : 8 + (size_t)__builtin_ctzll(le64toh(found[1])) / 8;
}

size_t field_value_find_control(slice value)
{
    size_t at = 0;
    while (value.len - at >= sizeof(block)) {
        size_t found = find_in_block(value.at + at);
        at += found;
        if (found < sizeof(block)) {
            return at;
        }
    }
    if (value.len >= sizeof(block) && at < value.len) {
        /* the rest, with bytes before it that are known to be clean */
        size_t last = value.len - sizeof(block);
        return last + find_in_block(value.at + last);
    }
    while (at < value.len && !is_control((unsigned char)value.at[at])) {
        at++;
    }
    return at;
}

bool field_value_is_valid(slice value)
{
    return field_value_find_control(value) == value.len;
}

static bool grow(struct fields *fields, struct arena *arena)
{
    enum { FIRST_ROOM = 32 };
    size_t room = fields->room == 0 ? FIRST_ROOM : fields->room * 2;
    struct field *at = arena_take(arena, room * sizeof(*at));
    if (at == NULL) {
        return false;
    }
    if (fields->count > 0) {
        memcpy(at, fields->at, fields->count * sizeof(*at));
    }
    fields->at = at;
    fields->room = room;
    return true;
}

static enum status append(struct fields *fields, struct arena *arena, struct field field)
{
    if (fields->count == fields->room && !grow(fields, arena)) {
        return STATUS_NOMEM;
    }
    fields->at[fields->count++] = field;
    return STATUS_OK;
}

enum status fields_add(struct fields *fields, struct arena *arena, enum field_token token,
                       slice value)
{
    return append(fields, arena, (struct field){field_name_of(token), value, token});
}

enum status fields_add_named(struct fields *fields, struct arena *arena, slice lower_name,
                             slice value)
{
    return append(fields, arena, (struct field){lower_name, value, field_token_of(lower_name)});
}

struct field *fields_find(const struct fields *fields, enum field_token token)
{
    for (size_t i = 0; i < fields->count; i++) {
        if (fields->at[i].token == token) {
            return &fields->at[i];
        }
    }
    return NULL;
}

struct field *fields_find_named(const struct fields *fields, slice lower_name)
{
    for (size_t i = 0; i < fields->count; i++) {
        if (slice_equal(fields->at[i].name, lower_name)) {
            return &fields->at[i];
        }
    }
    return NULL;
}

size_t fields_count(const struct fields *fields, enum field_token token)
{
    size_t count = 0;
    for (size_t i = 0; i < fields->count; i++) {
        count += fields->at[i].token == token;
    }
    return count;
}

void fields_remove(struct fields *fields, enum field_token token)
{
    size_t kept = 0;
    for (size_t i = 0; i < fields->count; i++) {
        if (fields->at[i].token != token) {
            fields->at[kept++] = fields->at[i];
        }
    }
    fields->count = kept;
}

void fields_remove_named(struct fields *fields, slice lower_name)
{
    size_t kept = 0;
    for (size_t i = 0; i < fields->count; i++) {
        if (!slice_equal(fields->at[i].name, lower_name)) {
            fields->at[kept++] = fields->at[i];
        }
    }
    fields->count = kept;
}

bool fields_has_member(const struct fields *fields, enum field_token token, slice member)
{
    for (size_t i = 0; i < fields->count; i++) {
        if (fields->at[i].token != token) {
            continue;
        }
        slice rest = fields->at[i].value;
        slice candidate;
        while (slice_next_member(&rest, &candidate)) {
            if (slice_equal_nocase(candidate, member)) {
                return true;
            }
        }
    }
    return false;
}
