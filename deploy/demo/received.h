/* deploy/demo/received.h
 *
 * What arrived with a request, as JSON: its line, and its fields in so far as libwebsockets keeps
 * them. Exists so that a person (or a test) sees what a backend behind the proxy is told. Values
 * of Cookie and Authorization are never shown, only that they came.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#pragma once

#include <jansson.h>

struct lws;

/* A new object {"method", "path", "version", "peer", "encrypted", "headers": {...}}, owned by the
 * caller; NULL when out of memory. `encrypted` says whether the proxy named the TLS session. */
json_t *received_json(struct lws *wsi);
