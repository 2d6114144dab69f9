/* proxy/route/response_rules.c · SPDX-License-Identifier: Apache-2.0 */
#include "proxy/route/response_rules.h"

#include "proxy/route/cookie.h"
#include "proxy/route/location.h"
#include "proxy/route/security_headers.h"

struct found {
    bool has_date;
    bool has_hsts;
};

void response_rules_init(struct response_rules *rules, const struct config_listener *listener)
{
    *rules = (struct response_rules){.security_headers = listener->security_headers};
    hsts_init(&rules->hsts, listener->hsts_ms / 1000, listener->hsts_subdomains);
}

static bool is_dropped(const struct response_rules *rules, const struct field *field,
                       const struct found *found)
{
    if (field->token == FIELD_SERVER) {
        return rules->removes_server;
    }
    return field->token == FIELD_STRICT_TRANSPORT_SECURITY && found->has_hsts;
}

/* at == NULL: the arena is full. */
static slice changed_value(const struct response_facts *facts, const struct field *field,
                           struct arena *arena)
{
    if (!facts->is_tls) {
        return field->value;
    }
    if (field->token == FIELD_SET_COOKIE && facts->secure_cookies) {
        return cookie_make_secure(field->value, arena);
    }
    if (field->token == FIELD_LOCATION) {
        return location_rewrite(field->value, facts->client_authority, facts->backend_authority,
                                arena);
    }
    return field->value;
}

/* One walk over the backend's fields: drops, changes, and notes what is there. */
static enum status walk(const struct response_rules *rules, const struct response_facts *facts,
                        struct fields *fields, struct arena *arena, struct found *found)
{
    size_t kept = 0;
    for (size_t i = 0; i < fields->count; i++) {
        struct field field = fields->at[i];
        if (field.token != FIELD_OTHER) {
            if (is_dropped(rules, &field, found)) {
                continue;
            }
            bool was_empty = field.value.len == 0;
            field.value = changed_value(facts, &field, arena);
            if (field.value.at == NULL && !was_empty) {
                return STATUS_NOMEM;
            }
            found->has_date |= field.token == FIELD_DATE;
            found->has_hsts |= field.token == FIELD_STRICT_TRANSPORT_SECURITY;
        }
        fields->at[kept++] = field;
    }
    fields->count = kept;
    return STATUS_OK;
}

static bool wants_hsts(const struct response_rules *rules, const struct response_facts *facts,
                       const struct found *found)
{
    return rules->hsts.len > 0 && facts->is_tls && !found->has_hsts &&
           !hsts_is_loopback_name(facts->client_authority);
}

enum status response_rules_apply(const struct response_rules *rules,
                                 const struct response_facts *facts, struct message *response,
                                 struct arena *arena)
{
    struct fields *fields = &response->fields;
    struct found found = {0};
    enum status status = walk(rules, facts, fields, arena, &found);
    if (status == STATUS_OK && !found.has_date && facts->date.len > 0 && response->status >= 200) {
        status = fields_add(fields, arena, FIELD_DATE, facts->date);
    }
    if (status == STATUS_OK && wants_hsts(rules, facts, &found)) {
        status =
            fields_add(fields, arena, FIELD_STRICT_TRANSPORT_SECURITY, hsts_value(&rules->hsts));
    }
    if (status == STATUS_OK) {
        status = security_headers_add(rules->security_headers, fields, arena);
    }
    return status;
}
