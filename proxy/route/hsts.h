/* proxy/route/hsts.h
 *
 * Strict-Transport-Security (RFC 6797): the value, and the hosts for which it is never said.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "proxy/base/slice.h"

/* The value, written once when the configuration is loaded. Zero is a valid "off". */
struct hsts {
    char text[64];
    size_t len;
};

/* max_age_s == 0: off. */
void hsts_init(struct hsts *hsts, uint64_t max_age_s, bool include_subdomains);

static inline slice hsts_value(const struct hsts *hsts)
{
    return (slice){hsts->text, hsts->len};
}

/* localhost, *.localhost, 127.0.0.0/8, ::1: a browser would remember the pin for every other
 * program that a developer runs there. `authority` is host[:port]. */
bool hsts_is_loopback_name(slice authority);
