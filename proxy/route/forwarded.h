/* proxy/route/forwarded.h
 *
 * The values of X-Forwarded-For and Forwarded (RFC 7239): what earlier proxies said, and the
 * element that we add.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#pragma once

#include "config/model.h"
#include "proxy/base/arena.h"
#include "proxy/base/slice.h"
#include "proxy/http/field.h"

/* All fields of that name as one list, in order. Empty: there is none. at == NULL: the arena is
 * full. */
slice forwarded_join(const struct fields *fields, enum field_token token, struct arena *arena);

/* The element of RFC 7239 §4 for one hop: `for=192.0.2.1;host=example.com;proto=https`. An IPv6
 * address is bracketed and quoted (§6), an empty one is `unknown`, a host with a port is quoted.
 * at == NULL: the arena is full. */
slice forwarded_element(slice client_address, slice host, slice proto, struct arena *arena);

/* The client that the proxies we trust speak of: the last address in X-Forwarded-For that is not
 * one of theirs. `peer` (who connected to us) when the list is empty or does not parse. */
slice forwarded_client(slice forwarded_for, const struct config_network *trusted, size_t count,
                       slice peer);
