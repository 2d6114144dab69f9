/* proxy/http1/server.h
 *
 * A client's conn that speaks HTTP/1.0 or 1.1: reads requests, writes responses, one exchange at a
 * time (pipelined requests wait in the conn). After an upgrade the same conn carries the tunnel:
 * both bodies then go on as bytes without framing.
 *
 *   rx:  HEAD ──► BODY ──► DONE          tx:  NONE ──► BODY ──► DONE
 *          └──────────────► DONE                └─────────────► (tunnel: half-closed)
 *   both DONE ──► next HEAD, or close
 *
 * Owner: itself, once open; it frees itself after on_closed.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#pragma once

#include "proxy/http/exchange.h"
#include "proxy/http1/settings.h"
#include "proxy/net/stream.h"

struct http1_server;

struct http1_server_start {
    struct loop *loop;
    const struct http1_server_settings *settings; /* must outlive the conn */
    struct exchange_source source;
    slice scheme; /* a literal: what the client used with us */
    /* The conn is over; called once, from the loop or from inside an abandon. `fault` is for a conn
     * that ended outside any exchange; those inside are the exchange's. */
    void (*on_closed)(void *self, enum fault_code fault);
    void *self;
};

/* Takes over an open stream. NULL: no memory, the stream is closed. */
struct http1_server *http1_server_open(struct stream *stream,
                                       const struct http1_server_start *start);

/* The current exchange is the last one; an idle conn closes now. */
void http1_server_drain(struct http1_server *server);

/* Closes now; an exchange that runs ends with `fault`. */
void http1_server_close(struct http1_server *server, enum fault_code fault);
