/* proxy/route/request_rules.h
 *
 * What changes in a request between client and backend: claims about the client that the client
 * has no right to make are removed, and what we know is said in their place.
 *
 * Removed from everyone: Client-Cert, Client-Cert-Chain (RFC 9440 §4), Sallyport-Session,
 * Early-Data, Proxy (a CGI program would read it as HTTP_PROXY), and every spelling of a framing or
 * forwarding field with `_` for `-`, which many backends cannot tell from the real one.
 * Removed unless the peer is a trusted proxy: X-Forwarded-*, Forwarded, X-Real-IP, X-Client-IP,
 * X-Cluster-Client-IP, True-Client-IP, Front-End-Https, X-Url-Scheme.
 *
 * Set: X-Forwarded-For (appended to a trusted proxy's), X-Forwarded-Proto, -Host, -Port and
 * X-Real-IP (a trusted proxy's own values stay), traceparent and X-Request-Id where the request
 * has no valid one; by option Forwarded, Sallyport-Session, Client-Cert. Via is not added.
 *
 * X-Forwarded-Port is the port in Host, else the default port of the scheme: what the client
 * sees, which a container's published port makes differ from the listener's. Without Host it is
 * the listener's.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "config/model.h"
#include "proxy/base/arena.h"
#include "proxy/base/status.h"
#include "proxy/http/message.h"
#include "proxy/route/random_source.h"

/* What is known about who asks. All slices borrowed for as long as the request lives. */
struct request_facts {
    slice client_address;   /* text without brackets and port; empty: a unix socket */
    bool client_is_trusted; /* inside the listener's trusted_proxies */
    uint16_t listener_port; /* 0: a unix socket */
    bool is_tls;            /* TLS between client and us */
    slice tls_version;      /* "TLSv1.3" */
    slice tls_cipher;       /* "TLS_AES_256_GCM_SHA384" */
    slice tls_group;        /* "X25519"; empty: unknown */
    bool tls_is_resumed;
    slice client_certificate; /* verified leaf as RFC 9440 value (":BASE64:"); empty: none */
    slice id;                 /* ours, for X-Request-Id when the request has none */
};

/* What the configuration wants. Zero is a valid "nothing special". */
struct request_rules {
    bool forwarded;      /* send Forwarded (RFC 7239) too */
    bool session_header; /* send Sallyport-Session */
    const struct config_network *trusted_proxies;
    size_t trusted_proxy_count;
    slice backend_authority; /* sent as Host; empty: the client's Host goes on, with its port */
};

/* What the exchange goes by in logs and in the rules of its response. */
struct request_identity {
    slice id;       /* X-Request-Id as sent to the backend */
    slice trace_id; /* 32 hex digits */
    slice
        client_authority; /* as the client sent it; the request's own is the backend's by option */
};

/* Changes `request` in place; call once, after routing. STATUS_NOMEM: the arena is full; the
 * request must not be sent then. */
MUST_CHECK enum status request_rules_apply(const struct request_rules *rules,
                                           const struct request_facts *facts,
                                           const struct random_source *random,
                                           struct message *request, struct arena *arena,
                                           struct request_identity *identity);
