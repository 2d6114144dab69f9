/* proxy/route/location.h
 *
 * Location fields of backends that do not know that their clients use https. Without this, a
 * backend that builds absolute redirects from its own scheme sends the client to http, our
 * redirect listener sends it back, and so on without end.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#pragma once

#include "proxy/base/arena.h"
#include "proxy/base/slice.h"

/* Rewrites `http://AUTHORITY…` to `https://CLIENT_AUTHORITY…` where AUTHORITY is the client's own
 * (default ports are equal: http://example.com:80 is https://example.com), or, for either scheme,
 * the backend's name when that was sent as Host (else `backend_authority` is empty). Every other
 * value, and one that does not parse, comes back as it is. at == NULL: the arena is full. */
slice location_rewrite(slice location, slice client_authority, slice backend_authority,
                       struct arena *arena);
