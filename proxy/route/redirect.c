/* proxy/route/redirect.c · SPDX-License-Identifier: Apache-2.0 */
#include "proxy/route/redirect.h"

#include "proxy/http/uri.h"

enum { PORT_HTTPS = 443, PORT_DIGITS_MAX = 5 };

static const slice acme_prefix = SLICE("/.well-known/acme-challenge/");

void redirect_init(struct redirect *redirect, const struct config_listener *listener)
{
    *redirect = (struct redirect){.status = (unsigned)listener->redirect_status,
                                  .port = (uint16_t)listener->redirect_port};
}

/* ":8443", or nothing for the default port. */
static slice write_port(uint16_t port, char out[PORT_DIGITS_MAX + 1])
{
    if (port == PORT_HTTPS || port == 0) {
        return (slice){out, 0};
    }
    size_t start = PORT_DIGITS_MAX + 1;
    for (unsigned left = port; left > 0; left /= 10) {
        out[--start] = (char)('0' + left % 10);
    }
    out[--start] = ':';
    return (slice){out + start, PORT_DIGITS_MAX + 1 - start};
}

static unsigned status_for(const struct redirect *redirect, enum method method)
{
    bool may_lose_method = method == METHOD_GET || method == METHOD_HEAD;
    return redirect->status == 301 && may_lose_method ? 301 : 308;
}

enum fault_code redirect_answer(const struct redirect *redirect, const struct message *request,
                                struct message *response, struct arena *arena)
{
    if (request->method == METHOD_CONNECT || request->path.len == 0 || request->path.at[0] != '/') {
        return FAULT_METHOD_REFUSED;
    }
    if (slice_starts_with(request->path, acme_prefix)) {
        return FAULT_NO_ROUTE;
    }
    if (request->authority.len == 0) {
        return FAULT_HOST_MISSING;
    }
    struct authority authority;
    if (!authority_parse(request->authority, &authority) || authority.host.len == 0) {
        return FAULT_HOST_MALFORMED;
    }
    char port[PORT_DIGITS_MAX + 1];
    slice parts[] = {
        authority.is_ipv6 ? SLICE("https://[") : SLICE("https://"),
        authority.host,
        authority.is_ipv6 ? SLICE("]") : SLICE(""),
        write_port(redirect->port, port),
        request->path,
        request->query,
    };
    slice location = arena_join(arena, parts, sizeof(parts) / sizeof(parts[0]));
    *response = (struct message){.status = status_for(redirect, request->method),
                                 .framing = {.kind = FRAMING_LENGTH}};
    if (location.at == NULL ||
        fields_add(&response->fields, arena, FIELD_LOCATION, location) != STATUS_OK) {
        return FAULT_LIMIT_MEMORY;
    }
    return FAULT_NONE;
}
