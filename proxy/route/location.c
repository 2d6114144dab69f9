/* proxy/route/location.c · SPDX-License-Identifier: Apache-2.0 */
#include "proxy/route/location.h"

#include "proxy/http/uri.h"

enum { PORT_HTTP = 80, PORT_HTTPS = 443 };

struct absolute {
    bool is_https;
    slice authority;
    slice rest; /* path, query, fragment */
};

static bool starts_with_nocase(slice text, slice start)
{
    return text.len >= start.len && slice_equal_nocase(slice_first(text, start.len), start);
}

static bool split(slice location, struct absolute *out)
{
    size_t scheme_len = 0;
    if (starts_with_nocase(location, SLICE("http://"))) {
        scheme_len = 7;
    } else if (starts_with_nocase(location, SLICE("https://"))) {
        scheme_len = 8;
    } else {
        return false;
    }
    slice after = slice_from(location, scheme_len);
    size_t end = 0;
    while (end < after.len && after.at[end] != '/' && after.at[end] != '?' &&
           after.at[end] != '#') {
        end++;
    }
    *out = (struct absolute){scheme_len == 8, slice_first(after, end), slice_from(after, end)};
    return end > 0;
}

/* Equal host, and equal port when each scheme's own port counts as none. */
static bool names_same_place(slice text, uint16_t default_port, slice other_text,
                             uint16_t other_default_port)
{
    struct authority one;
    struct authority other;
    if (!authority_parse(text, &one) || !authority_parse(other_text, &other)) {
        return false;
    }
    uint16_t port = one.has_port && one.port != default_port ? one.port : 0;
    uint16_t other_port = other.has_port && other.port != other_default_port ? other.port : 0;
    return port == other_port && slice_equal_nocase(one.host, other.host);
}

slice location_rewrite(slice location, slice client_authority, slice backend_authority,
                       struct arena *arena)
{
    struct absolute absolute;
    if (client_authority.len == 0 || !split(location, &absolute)) {
        return location;
    }
    uint16_t port = absolute.is_https ? PORT_HTTPS : PORT_HTTP;
    bool is_ours = !absolute.is_https &&
                   names_same_place(absolute.authority, port, client_authority, PORT_HTTPS);
    bool is_the_backends = backend_authority.len > 0 &&
                           names_same_place(absolute.authority, port, backend_authority, port);
    if (!is_ours && !is_the_backends) {
        return location;
    }
    slice parts[] = {SLICE("https://"), client_authority, absolute.rest};
    return arena_join(arena, parts, 3);
}
