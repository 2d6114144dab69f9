/* proxy/upstream/dial.h
 *
 * One attempt to get a stream to one server: its name is resolved, its addresses are tried in
 * turn, the PROXY header is sent, TLS is agreed on and the certificate checked; all within one
 * deadline. Not a byte of the server's is read before its handshake has ended.
 *
 *      RESOLVING ──► CONNECTING ──► (HANDSHAKE) ──► done
 *                      ▲      │ refused, unreachable: next address
 *                      └──────┘
 *
 * Owner: itself; it is gone when on_done was called or dial_cancel returned.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#pragma once

#include "proxy/base/fault.h"
#include "proxy/net/proxy_protocol.h"
#include "proxy/net/resolver.h"
#include "proxy/net/stream.h"

struct conn_need;
struct dial;
struct server;

struct dial_events {
    /* An open stream, whose ownership moves; or NULL and the reason. */
    void (*on_done)(void *self, struct stream *stream, enum fault_code fault);
    void *self;
};

/* What `need` points at is borrowed for the dial. NULL: no memory. */
struct dial *dial_begin(struct server *server, const struct conn_need *need,
                        const struct dial_events *events);
void dial_cancel(struct dial *dial);
