/* proxy/route/route_table.h
 *
 * Which backend serves this host and path? Built once from one listener's routes, then immutable,
 * so that any number of exchanges may ask without a lock.
 *
 * Of the routes that match both host and path the most specific host wins (exact, then the longest
 * wildcard, then any host), and among those the longest path. When none matches, the listener's
 * default backend answers, if it has one.
 *
 *   host   Compared without port, without case, without one trailing dot. "*.example.com" matches
 *          every name below example.com at any depth, not example.com itself.
 *   path   A prefix on whole segments: /api matches /api, /api/ and /api/x, not /apix. A trailing
 *          slash in the configuration changes nothing. Compared with the normalised path
 *          (uri_normalise_path); "*" of OPTIONS counts as "/".
 *
 * Owner: the snapshot that owns the configuration, which must outlive the table.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#pragma once

#include "config/model.h"
#include "proxy/base/fault.h"
#include "proxy/base/slice.h"
#include "proxy/base/status.h"
#include "proxy/http/message.h"

struct route_table;

struct route_match {
    size_t backend;                   /* index into the configuration's backends */
    const struct config_route *route; /* NULL: the default backend answered */
};

/* Of two routes with the same host and path the first counts. STATUS_NOMEM. */
MUST_CHECK enum status route_table_new(struct route_table **out,
                                       const struct config_listener *listener);
void route_table_free(struct route_table *table);

/* `host` without port and brackets; `path` normalised. False: no route and no default backend. */
bool route_table_match(const struct route_table *table, slice host, slice path,
                       struct route_match *out);

/* The same for a request as the codec made it: takes the host from its authority and normalises
 * its path. FAULT_NONE, FAULT_NO_ROUTE, FAULT_HOST_MALFORMED, FAULT_URI_MALFORMED (the path climbs
 * above the root: refused even where every path goes to one backend), FAULT_LIMIT_MEMORY. */
MUST_CHECK enum fault_code route_table_find(const struct route_table *table,
                                            const struct message *request, struct arena *arena,
                                            struct route_match *out);
