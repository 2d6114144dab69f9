/* proxy/route/forwarded.c · SPDX-License-Identifier: Apache-2.0 */
#include "proxy/route/forwarded.h"

#include "proxy/route/cidr.h"

slice forwarded_join(const struct fields *fields, enum field_token token, struct arena *arena)
{
    slice joined = {"", 0};
    for (size_t i = 0; i < fields->count; i++) {
        const struct field *field = &fields->at[i];
        if (field->token != token || field->value.len == 0) {
            continue;
        }
        if (joined.len == 0) {
            joined = field->value;
            continue;
        }
        /* Quadratic in the number of fields of that name, which a trusted proxy sent: rarely two.
         */
        slice parts[] = {joined, SLICE(", "), field->value};
        joined = arena_join(arena, parts, 3);
        if (joined.at == NULL) {
            return joined;
        }
    }
    return joined;
}

static bool is_quotable(slice text)
{
    for (size_t i = 0; i < text.len; i++) {
        unsigned char c = (unsigned char)text.at[i];
        if (c < 0x20 || c > 0x7e || c == '"' || c == '\\') {
            return false;
        }
    }
    return true;
}

slice forwarded_element(slice client_address, slice host, slice proto, struct arena *arena)
{
    slice parts[8];
    size_t count = 0;
    bool is_ip6 = slice_find(client_address, ':') < client_address.len;
    parts[count++] = is_ip6 ? SLICE("for=\"[") : SLICE("for=");
    parts[count++] = client_address.len > 0 ? client_address : SLICE("unknown");
    if (is_ip6) {
        parts[count++] = SLICE("]\"");
    }
    if (host.len > 0 && is_quotable(host)) {
        bool is_token = field_is_token(host);
        parts[count++] = is_token ? SLICE(";host=") : SLICE(";host=\"");
        parts[count++] = host;
        parts[count++] = is_token ? SLICE(";proto=") : SLICE("\";proto=");
    } else {
        parts[count++] = SLICE(";proto=");
    }
    parts[count++] = proto;
    return arena_join(arena, parts, count);
}

/* The last member of a comma-separated list, which is then shortened by it. */
static bool take_last_member(slice *list, slice *member)
{
    if (list->len == 0) {
        return false;
    }
    size_t start = list->len;
    while (start > 0 && list->at[start - 1] != ',') {
        start--;
    }
    *member = slice_trim(slice_from(*list, start));
    list->len = start > 0 ? start - 1 : 0;
    return true;
}

/* Some proxies write the port too: 192.0.2.1:4711, [2001:db8::1]:4711. */
static slice without_port(slice member)
{
    if (member.len > 0 && member.at[0] == '[') {
        slice inside = slice_from(member, 1);
        return slice_first(inside, slice_find(inside, ']'));
    }
    size_t colon = slice_find(member, ':');
    if (colon < member.len &&
        slice_find(slice_from(member, colon + 1), ':') + colon + 1 == member.len) {
        return slice_first(member, colon);
    }
    return member;
}

slice forwarded_client(slice forwarded_for, const struct config_network *trusted, size_t count,
                       slice peer)
{
    slice client = peer;
    slice member;
    while (take_last_member(&forwarded_for, &member)) {
        slice text = without_port(member);
        struct cidr_address address;
        if (!cidr_parse(text, &address)) {
            return client;
        }
        client = text;
        if (!cidr_any_has(trusted, count, &address)) {
            return client;
        }
    }
    return client;
}
