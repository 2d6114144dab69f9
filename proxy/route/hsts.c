/* proxy/route/hsts.c · SPDX-License-Identifier: Apache-2.0 */
#include "proxy/route/hsts.h"

#include <inttypes.h>
#include <stdio.h>

#include "proxy/base/assert.h"
#include "proxy/http/uri.h"
#include "proxy/route/cidr.h"

void hsts_init(struct hsts *hsts, uint64_t max_age_s, bool include_subdomains)
{
    *hsts = (struct hsts){0};
    if (max_age_s == 0) {
        return;
    }
    int len = snprintf(hsts->text, sizeof(hsts->text), "max-age=%" PRIu64 "%s", max_age_s,
                       include_subdomains ? "; includeSubDomains" : "");
    assert_always(len > 0 && (size_t)len < sizeof(hsts->text));
    hsts->len = (size_t)len;
}

static bool ends_with_nocase(slice text, slice end)
{
    return text.len >= end.len && slice_equal_nocase(slice_from(text, text.len - end.len), end);
}

/* Cheap refusal for the many hosts that cannot be loopback: only names ending in "t" (localhost)
 * and those beginning as a loopback address does are looked at. */
static bool may_be_loopback(slice host)
{
    char first = host.at[0];
    char last = slice_lower(host.at[host.len - 1]);
    return last == 't' || first == '1' || first == ':' || first == '0';
}

bool hsts_is_loopback_name(slice authority_text)
{
    struct authority authority;
    if (!authority_parse(authority_text, &authority)) {
        return false;
    }
    slice host = authority.host;
    if (host.len > 0 && host.at[host.len - 1] == '.') {
        host.len--;
    }
    if (host.len == 0 || !may_be_loopback(host)) {
        return false;
    }
    if (slice_equal_nocase(host, SLICE("localhost")) ||
        ends_with_nocase(host, SLICE(".localhost"))) {
        return true;
    }
    struct cidr_address address;
    return cidr_parse(host, &address) && cidr_is_loopback(&address);
}
