/* proxy/http1/settings.h
 *
 * What conns that speak HTTP/1 are held to. Plain values, filled from the configuration by the
 * snapshot that owns them.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#pragma once

#include <stdint.h>

#include "proxy/http1/head.h"

struct http1_server_settings {
    struct http1_limits limits;
    uint64_t body_bytes;        /* 0: no limit */
    uint64_t requests_per_conn; /* 0: no limit */
    uint64_t header_ms;         /* from a request's first byte to the end of its head */
    uint64_t idle_ms;           /* between requests */
    uint64_t minimum_rate;      /* bytes per second of a body, either way; 0: off */
    uint64_t rate_grace_ms;     /* before the rate counts */
};

struct http1_client_settings {
    struct http1_limits limits; /* of responses */
    uint64_t response_ms;       /* to the response head, and between two reads of a body */
    uint64_t minimum_rate;      /* how slowly a server may take a request body */
    uint64_t rate_grace_ms;
};
