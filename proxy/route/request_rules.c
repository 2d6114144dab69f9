/* proxy/route/request_rules.c
 *
 * Claims are taken out first (proxy/route/claims.h); then each group of fields is said anew.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "proxy/route/request_rules.h"

#include "proxy/http/uri.h"
#include "proxy/route/cidr.h"
#include "proxy/route/claims.h"
#include "proxy/route/forwarded.h"
#include "proxy/route/traceparent.h"

enum { PORT_DIGITS_MAX = 5 };

/* A zeroed slice is an empty one; a slice without bytes from the arena means that it is full. */
static slice known(slice text)
{
    return text.at != NULL ? text : SLICE("");
}

/* What one request is known by, claims of a trusted proxy weighed in. */
struct origin {
    slice address; /* empty: unknown */
    slice proto;
    slice host; /* empty: unknown */
    slice port; /* empty: unknown */
};

static slice write_port(uint16_t port, struct arena *arena)
{
    char digits[PORT_DIGITS_MAX];
    size_t start = PORT_DIGITS_MAX;
    for (unsigned left = port; left > 0; left /= 10) {
        digits[--start] = (char)('0' + left % 10);
    }
    return arena_copy(arena, (slice){digits + start, PORT_DIGITS_MAX - start});
}

static bool is_proto(slice text)
{
    return slice_equal_nocase(text, SLICE("https")) || slice_equal_nocase(text, SLICE("http")) ||
           slice_equal_nocase(text, SLICE("wss")) || slice_equal_nocase(text, SLICE("ws"));
}

static bool is_port(slice text)
{
    uint64_t number = 0;
    return slice_to_number(text, &number) && number >= 1 && number <= UINT16_MAX;
}

static slice default_port(slice proto)
{
    bool is_secure = slice_lower(proto.at[proto.len - 1]) == 's' && proto.len != 2; /* not "ws" */
    return is_secure ? SLICE("443") : SLICE("80");
}

/* The text after the colon that follows the host, if any. */
static slice port_of(slice authority_text, const struct authority *authority)
{
    if (!authority->has_port) {
        return SLICE("");
    }
    size_t at = authority_text.len;
    while (authority_text.at[at - 1] != ':') {
        at--;
    }
    return slice_from(authority_text, at);
}

static slice find_port(const struct request_facts *facts, const struct claims *claims,
                       const struct origin *origin, struct arena *arena)
{
    if (is_port(claims->port)) {
        return claims->port;
    }
    struct authority authority;
    if (origin->host.len > 0 && authority_parse(origin->host, &authority)) {
        slice port = port_of(origin->host, &authority);
        return port.len > 0 ? port : default_port(origin->proto);
    }
    return facts->listener_port > 0 ? write_port(facts->listener_port, arena) : SLICE("");
}

static slice find_address(const struct request_rules *rules, const struct request_facts *facts,
                          const struct claims *claims)
{
    struct cidr_address parsed;
    if (cidr_parse(claims->real_ip, &parsed)) {
        return claims->real_ip;
    }
    return forwarded_client(claims->forwarded_for, rules->trusted_proxies,
                            rules->trusted_proxy_count, known(facts->client_address));
}

static bool find_origin(const struct request_rules *rules, const struct request_facts *facts,
                        const struct claims *claims, slice authority, struct arena *arena,
                        struct origin *out)
{
    struct authority parsed;
    out->address = find_address(rules, facts, claims);
    out->proto = facts->is_tls ? SLICE("https") : SLICE("http");
    if (is_proto(claims->proto)) {
        out->proto = claims->proto;
    }
    out->host = known(authority);
    if (claims->host.len > 0 && authority_parse(claims->host, &parsed)) {
        out->host = claims->host;
    }
    out->port = find_port(facts, claims, out, arena);
    return out->port.at != NULL;
}

/* Nothing to say is said by no field. at == NULL: the arena is full. */
static enum status say(struct fields *fields, struct arena *arena, enum field_token token,
                       slice value)
{
    if (value.at == NULL) {
        return STATUS_NOMEM;
    }
    return value.len > 0 ? fields_add(fields, arena, token, value) : STATUS_OK;
}

/* `earlier, own`, or what there is of them. */
static slice append_member(slice earlier, slice own, struct arena *arena)
{
    if (earlier.len == 0) {
        return own;
    }
    if (own.len == 0) {
        return earlier;
    }
    slice parts[] = {earlier, SLICE(", "), own};
    return arena_join(arena, parts, 3);
}

static enum status say_forwarded(const struct request_rules *rules,
                                 const struct request_facts *facts, const struct claims *claims,
                                 struct message *request, struct arena *arena)
{
    if (!rules->forwarded) {
        return STATUS_OK;
    }
    slice proto = facts->is_tls ? SLICE("https") : SLICE("http");
    slice own = forwarded_element(facts->client_address, request->authority, proto, arena);
    if (own.at == NULL) {
        return STATUS_NOMEM;
    }
    return say(&request->fields, arena, FIELD_FORWARDED,
               append_member(claims->forwarded, own, arena));
}

static enum status say_origin(const struct request_rules *rules, const struct request_facts *facts,
                              const struct claims *claims, struct message *request,
                              struct arena *arena)
{
    struct origin origin;
    if (!find_origin(rules, facts, claims, request->authority, arena, &origin)) {
        return STATUS_NOMEM;
    }
    const struct {
        enum field_token token;
        slice value;
    } said[] = {
        {FIELD_X_FORWARDED_FOR,
         append_member(claims->forwarded_for, known(facts->client_address), arena)},
        {FIELD_X_FORWARDED_PROTO, origin.proto},
        {FIELD_X_FORWARDED_HOST, origin.host},
        {FIELD_X_FORWARDED_PORT, origin.port},
        {FIELD_X_REAL_IP, origin.address},
    };
    for (size_t i = 0; i < sizeof(said) / sizeof(said[0]); i++) {
        enum status status = say(&request->fields, arena, said[i].token, said[i].value);
        if (status != STATUS_OK) {
            return status;
        }
    }
    return STATUS_OK;
}

/* A dictionary of RFC 9651 §3.2. Names that are no token there are left out. */
static slice session_value(const struct request_facts *facts, struct arena *arena)
{
    const struct {
        slice key;
        slice value;
    } members[] = {
        {SLICE("version="), facts->tls_version},
        {SLICE("cipher="), facts->tls_cipher},
        {SLICE("group="), facts->tls_group},
    };
    slice parts[3 * 3 + 1];
    size_t count = 0;
    for (size_t i = 0; i < 3; i++) {
        slice value = members[i].value;
        bool is_token = field_is_token(value) && slice_lower(value.at[0]) >= 'a' &&
                        slice_lower(value.at[0]) <= 'z';
        if (is_token) {
            parts[count++] = members[i].key;
            parts[count++] = value;
            parts[count++] = SLICE(", ");
        }
    }
    parts[count++] = facts->tls_is_resumed ? SLICE("resumed=?1") : SLICE("resumed=?0");
    return arena_join(arena, parts, count);
}

static enum status say_tls(const struct request_rules *rules, const struct request_facts *facts,
                           struct fields *fields, struct arena *arena)
{
    if (!facts->is_tls) {
        return STATUS_OK;
    }
    if (facts->client_certificate.len > 0) {
        enum status status = say(fields, arena, FIELD_CLIENT_CERT, facts->client_certificate);
        if (status != STATUS_OK) {
            return status;
        }
    }
    if (!rules->session_header) {
        return STATUS_OK;
    }
    return say(fields, arena, FIELD_SALLYPORT_SESSION, session_value(facts, arena));
}

static enum status say_trace(const struct claims *claims, const struct random_source *random,
                             struct fields *fields, struct arena *arena, slice *trace_id)
{
    if (claims->traceparents == 1 && traceparent_parse(claims->traceparent, trace_id)) {
        return say(fields, arena, FIELD_TRACEPARENT, claims->traceparent);
    }
    char *made = arena_take(arena, TRACEPARENT_BYTES);
    if (made == NULL) {
        return STATUS_NOMEM;
    }
    traceparent_make(random, made);
    slice value = {made, TRACEPARENT_BYTES};
    if (!traceparent_parse(value, trace_id)) {
        return STATUS_REFUSED; /* not reached: what we make is valid */
    }
    /* It belongs to the trace that was refused, or to none (Trace Context §3.3). */
    fields_remove(fields, FIELD_TRACESTATE);
    return say(fields, arena, FIELD_TRACEPARENT, value);
}

static enum status say_identity(const struct request_facts *facts, const struct claims *claims,
                                const struct random_source *random, struct fields *fields,
                                struct arena *arena, struct request_identity *identity)
{
    identity->id = claims->id.len > 0 ? claims->id : facts->id;
    enum status status = say_trace(claims, random, fields, arena, &identity->trace_id);
    if (status != STATUS_OK || identity->id.len == 0) {
        return status;
    }
    return say(fields, arena, FIELD_X_REQUEST_ID, identity->id);
}

static void set_host(struct message *request, slice authority)
{
    request->authority = authority;
    struct field *host = fields_find(&request->fields, FIELD_HOST);
    if (host != NULL) {
        host->value = authority;
    }
}

enum status request_rules_apply(const struct request_rules *rules,
                                const struct request_facts *facts,
                                const struct random_source *random, struct message *request,
                                struct arena *arena, struct request_identity *identity)
{
    struct claims claims = {0};
    identity->client_authority = known(request->authority);
    enum status status = claims_take(&request->fields, facts->client_is_trusted, arena, &claims);
    if (status == STATUS_OK) {
        status = say_origin(rules, facts, &claims, request, arena);
    }
    if (status == STATUS_OK) {
        status = say_forwarded(rules, facts, &claims, request, arena);
    }
    if (status == STATUS_OK) {
        status = say_tls(rules, facts, &request->fields, arena);
    }
    if (status == STATUS_OK) {
        status = say_identity(facts, &claims, random, &request->fields, arena, identity);
    }
    if (status == STATUS_OK && rules->backend_authority.len > 0) {
        set_host(request, rules->backend_authority);
    }
    return status;
}
