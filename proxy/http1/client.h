/* proxy/http1/client.h
 *
 * Our conn to a server that speaks HTTP/1: writes one request, reads its response, and is idle
 * again, or is closed when its end could not be proved (RFC 9112 §9.3: a conn is used again only
 * after a complete exchange).
 *
 * Owner: the pool it belongs to, which is told when it becomes idle and when it ends. It frees
 * itself after on_closed.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#pragma once

#include "proxy/http/exchange.h"
#include "proxy/http1/settings.h"
#include "proxy/net/stream.h"

struct http1_client;

struct http1_client_start {
    struct loop *loop;
    const struct http1_client_settings *settings; /* must outlive the conn */
    /* An exchange has ended and the conn can take the next one. */
    void (*on_idle)(void *self, struct http1_client *client);
    /* The conn is over, idle or not. Last call. */
    void (*on_closed)(void *self, struct http1_client *client);
    void *self;
};

/* Takes over an open stream; the conn is idle. NULL: no memory, the stream is closed. */
struct http1_client *http1_client_open(struct stream *stream,
                                       const struct http1_client_start *start);

/* For an idle conn: what an exchange calls. */
struct requester *http1_client_requester(struct http1_client *client);

/* Closes now. An exchange that runs is told (on_request_failed, or its body is cut). */
void http1_client_close(struct http1_client *client);
