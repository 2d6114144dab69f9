/* proxy/relay/client_conn.h
 *
 * One client's conn from accept to close: PROXY header if the listener takes one, TLS if it speaks
 * it, then the codec that ALPN (or, in plaintext, the first bytes) chose. It keeps what is known
 * about the client for all exchanges.
 *
 *      PROXY ──► TLS, or a look at the first bytes ──► CODEC ──► closed
 *
 * Owner: its entry's list; it frees itself at its end.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#pragma once

#include "crypto/tls_facts.h"
#include "proxy/http/codec.h"
#include "proxy/net/proxy_protocol.h"
#include "proxy/net/stream.h"
#include "proxy/relay/entry.h"
#include "proxy/route/cidr.h"

/* What the handshake agreed on, without the parts that are not there. */
struct client_tls {
    const char *version; /* NULL: plaintext */
    const char *cipher;
    char group[TLS_GROUP_TEXT];
    bool is_resumed;
    char *server_name;    /* NULL: none was sent */
    char *client_cert;    /* RFC 9440 value of the verified certificate; NULL: none */
    char *client_subject; /* NULL: none */
};

struct client_conn {
    struct list_link link; /* in its entry */
    struct entry *entry;
    struct stream *stream;      /* before the codec takes it over */
    struct server_codec *codec; /* NULL: not yet, or no more */
    struct deadline deadline;
    struct cidr_address address;
    bool has_address; /* false: a unix socket */
    bool is_trusted;  /* inside trusted_proxies */
    char address_text[CIDR_TEXT_BYTES];
    slice address_slice;
    struct cidr_address own_address;
    bool has_own_address;
    uint16_t port;
    uint16_t listener_port;
    struct client_tls tls;
    uint64_t accepted_us;
    uint64_t tls_us; /* how long the handshake took; logged with the first exchange */
    bool is_first;   /* no exchange has begun yet */
    struct loop_post post_reap;
    struct buffer first; /* of a PROXY header or a plaintext request, while they arrive */
    bool is_sniffing;    /* which codec a plaintext conn needs */
};

/* Takes over an accepted socket. Whatever goes wrong closes and counts it. */
void client_conn_accept(struct entry *entry, int descriptor);

/* What a PROXY header to a backend says about this client; slices live as long as the conn. */
void client_conn_describe(const struct client_conn *conn, struct proxy_protocol *out);

/* The codec has given up its stream for a tunnel, which is counted in this conn's place: the object
 * goes, the count stays. */
void client_conn_dissolve(struct client_conn *conn);

/* Goes over to the successor of its entry, unless it is still in its handshake (then it does so
 * after it). Exchanges that run stay where they began. */
void client_conn_follow(struct client_conn *conn);

void client_conn_drain(struct client_conn *conn);

/* The same, but for one exchange more, if the client begins it. */
void client_conn_wind_down(struct client_conn *conn);
void client_conn_close(struct client_conn *conn, enum fault_code fault);
