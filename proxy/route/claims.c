/* proxy/route/claims.c · SPDX-License-Identifier: Apache-2.0 */
#include "proxy/route/claims.h"

#include "proxy/route/forwarded.h"

enum { ID_BYTES_MAX = 128 };

enum verdict {
    VERDICT_KEEP,
    VERDICT_REPLACE, /* we say it anew, or not at all */
    VERDICT_CLAIM,   /* kept from a trusted proxy */
};

static bool is_one_of(slice name, const slice *names, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        if (slice_equal(name, names[i])) {
            return true;
        }
    }
    return false;
}

static bool is_replaced(enum field_token token)
{
    switch ((int)token) {
    case FIELD_CLIENT_CERT:
    case FIELD_CLIENT_CERT_CHAIN:
    case FIELD_EARLY_DATA:
    case FIELD_FORWARDED:
    case FIELD_PROXY:
    case FIELD_SALLYPORT_SESSION:
    case FIELD_TRACEPARENT:
    case FIELD_X_FORWARDED_FOR:
    case FIELD_X_FORWARDED_HOST:
    case FIELD_X_FORWARDED_PORT:
    case FIELD_X_FORWARDED_PROTO:
    case FIELD_X_REAL_IP:
    case FIELD_X_REQUEST_ID:
        return true;
    default:
        return false;
    }
}

static bool is_claim(slice name)
{
    static const slice names[] = {SLICE("x-client-ip"), SLICE("x-cluster-client-ip"),
                                  SLICE("true-client-ip"), SLICE("front-end-https"),
                                  SLICE("x-url-scheme")};
    return slice_starts_with(name, SLICE("x-forwarded-")) ||
           is_one_of(name, names, sizeof(names) / sizeof(names[0]));
}

/* A name with `_` that becomes one of those that matter when each `_` is read as `-`. */
static bool is_disguised(slice name)
{
    enum { LONGEST = 48 };
    if (name.len > LONGEST) {
        name.len = LONGEST; /* enough to see x_forwarded_… */
    }
    char dashed[LONGEST];
    for (size_t i = 0; i < name.len; i++) {
        dashed[i] = name.at[i] == '_' ? '-' : name.at[i];
    }
    slice plain = {dashed, name.len};
    enum field_token token = field_token_of(plain);
    return is_replaced(token) || is_claim(plain) || token == FIELD_CONTENT_LENGTH ||
           token == FIELD_TRANSFER_ENCODING || token == FIELD_CONNECTION || token == FIELD_HOST;
}

static enum verdict judge(const struct field *field)
{
    if (field->token != FIELD_OTHER) {
        return is_replaced(field->token) ? VERDICT_REPLACE : VERDICT_KEEP;
    }
    if (slice_find(field->name, '_') < field->name.len) {
        return is_disguised(field->name) ? VERDICT_REPLACE : VERDICT_KEEP;
    }
    return is_claim(field->name) ? VERDICT_CLAIM : VERDICT_KEEP;
}

static bool is_id(slice text)
{
    if (text.len == 0 || text.len > ID_BYTES_MAX) {
        return false;
    }
    for (size_t i = 0; i < text.len; i++) {
        char c = text.at[i];
        bool is_alphanumeric =
            (c >= '0' && c <= '9') || (slice_lower(c) >= 'a' && slice_lower(c) <= 'z');
        if (!is_alphanumeric && (c == '\0' || strchr("-_.~+/=:@", c) == NULL)) {
            return false;
        }
    }
    return true;
}

/* Proxies in a row write `first, second`: the first spoke to the client. */
static void keep_first(slice *kept, slice value)
{
    if (kept->len == 0) {
        *kept = slice_trim(slice_first(value, slice_find(value, ',')));
    }
}

static void remember(struct claims *claims, const struct field *field, bool is_trusted)
{
    if (field->token == FIELD_TRACEPARENT) {
        claims->traceparents++;
        claims->traceparent = field->value;
    } else if (field->token == FIELD_X_REQUEST_ID && is_id(field->value)) {
        claims->id = field->value;
    }
    if (!is_trusted) {
        return;
    }
    if (field->token == FIELD_X_FORWARDED_PROTO) {
        keep_first(&claims->proto, field->value);
    } else if (field->token == FIELD_X_FORWARDED_HOST) {
        keep_first(&claims->host, field->value);
    } else if (field->token == FIELD_X_FORWARDED_PORT) {
        keep_first(&claims->port, field->value);
    } else if (field->token == FIELD_X_REAL_IP) {
        keep_first(&claims->real_ip, field->value);
    }
}

enum status claims_take(struct fields *fields, bool is_trusted, struct arena *arena,
                        struct claims *claims)
{
    if (is_trusted) {
        claims->forwarded_for = forwarded_join(fields, FIELD_X_FORWARDED_FOR, arena);
        claims->forwarded = forwarded_join(fields, FIELD_FORWARDED, arena);
        if (claims->forwarded_for.at == NULL || claims->forwarded.at == NULL) {
            return STATUS_NOMEM;
        }
    }
    size_t kept = 0;
    for (size_t i = 0; i < fields->count; i++) {
        const struct field *field = &fields->at[i];
        enum verdict verdict = judge(field);
        if (verdict == VERDICT_REPLACE) {
            remember(claims, field, is_trusted);
        }
        if (verdict == VERDICT_KEEP || (verdict == VERDICT_CLAIM && is_trusted)) {
            fields->at[kept++] = *field;
        }
    }
    fields->count = kept;
    return STATUS_OK;
}
