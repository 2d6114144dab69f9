/* config/schema_listener.c: the vocabulary of a listener · SPDX-License-Identifier: Apache-2.0 */
#include "config/model.h"
#include "config/schema.h"

#define COUNT(array)     (sizeof(array) / sizeof((array)[0]))
#define CHOICES(array)   .choices = (array), .choice_count = COUNT(array)
#define AT(noun, member) .offset = offsetof(struct config_##noun, member)
#define LIST_AT(noun, member, counter)                                                             \
    .shape = SCHEMA_LIST, .offset = offsetof(struct config_##noun, member),                        \
    .beside = offsetof(struct config_##noun, counter),                                             \
    .item_size = sizeof(*((struct config_##noun *)0)->member)

static const struct schema_choice CLIENT_AUTHS[] = {
    {"none", CONFIG_CLIENT_AUTH_NONE, "clients are not asked for a certificate", SCHEMA_NOW},
    {"optional", CONFIG_CLIENT_AUTH_OPTIONAL, "asked; one that is shown must be valid", SCHEMA_NOW},
    {"required", CONFIG_CLIENT_AUTH_REQUIRED, "no handshake without a valid one", SCHEMA_NOW},
};

static const struct schema_choice ALPNS[] = {
    {"h2", 0, "HTTP/2", SCHEMA_NOW},
    {"http/1.1", 0, "HTTP/1.1, and WebSocket over it", SCHEMA_NOW},
};

static const struct schema_key TLS_KEYS[] = {
    {.name = "certificates",
     .type = SCHEMA_CERTIFICATE,
     .word = "all",
     .fallback = "all",
     LIST_AT(listener_tls, certificates, certificate_count),
     .doc = "Names from `certificates`, the first is for clients that name no host or an unknown "
            "one. The client's SNI selects among them; RSA and ECDSA under one name both serve."},
    {.name = "client_ca",
     .type = SCHEMA_FILE,
     .word = "none",
     .fallback = "none",
     AT(listener_tls, client_ca),
     .doc = "A PEM file of the CAs whose client certificates are accepted (mutual TLS)."},
    {.name = "client_crl",
     .type = SCHEMA_FILE,
     .word = "none",
     .fallback = "none",
     AT(listener_tls, client_crl),
     .doc = "A PEM file of revocation lists that client certificates are checked against."},
    {.name = "client_auth",
     .type = SCHEMA_CHOICE,
     CHOICES(CLIENT_AUTHS),
     .fallback = "none",
     AT(listener_tls, client_auth),
     .doc = "Whether clients show a certificate. A verified one goes to the backend as Client-Cert "
            "(RFC 9440), a field that is stripped from everyone else."},
    {.name = "alpn",
     .type = SCHEMA_CHOICE_TEXT,
     CHOICES(ALPNS),
     .fallback = "[h2, http/1.1]",
     LIST_AT(listener_tls, alpn, alpn_count),
     .doc = "Protocols offered to clients, the preferred one first. `http/1.1` alone switches "
            "HTTP/2 off. A client that asks for none of them is refused; one that does not speak "
            "ALPN gets HTTP/1.1."},
    {.name = "session_tickets",
     .type = SCHEMA_FLAG,
     .fallback = "yes",
     AT(listener_tls, session_tickets),
     .doc = "Lets clients resume their sessions; see `timeouts.session` for how long."},
};

static const struct schema_section TLS = {
    .title = "a listener's TLS settings",
    .keys = TLS_KEYS,
    .key_count = COUNT(TLS_KEYS),
    .has_place = true,
    .place_offset = offsetof(struct config_listener_tls, place),
};

static const struct schema_key ROUTE_KEYS[] = {
    {.name = "host",
     .type = SCHEMA_HOST,
     .fallback = "*",
     AT(route, host),
     .beside = offsetof(struct config_route, host_kind),
     .doc = "A host name, `*.example.com` for any name one or more levels below it, or `*` for "
            "any host. Exact names go before wildcards, longer wildcards before shorter ones. "
            "Without port: the port in a request's Host plays no part."},
    {.name = "path",
     .type = SCHEMA_PATH,
     .fallback = "/",
     AT(route, path),
     .doc = "A path and everything below it: `/app` serves `/app` and `/app/x`, not `/apple`. The "
            "longest one wins among the routes of a host."},
    {.name = "backend",
     .type = SCHEMA_BACKEND,
     .required = true,
     AT(route, backend),
     .doc = "The name of the backend that answers."},
};

static const struct schema_section ROUTE = {
    .title = "a route",
    .keys = ROUTE_KEYS,
    .key_count = COUNT(ROUTE_KEYS),
    .has_place = true,
    .place_offset = offsetof(struct config_route, place),
};

static const struct schema_choice MODES[] = {
    {"http", CONFIG_LISTENER_HTTP, "HTTP and WebSocket, by `routes`", SCHEMA_NOW},
    {"redirect", CONFIG_LISTENER_REDIRECT, "answers everything with a redirect to https",
     SCHEMA_NOW},
    {"tcp", 0, "joins each connection to a server", SCHEMA_LATER},
    {"udp", 0, "passes datagrams to a server", SCHEMA_LATER},
};

static const struct schema_choice PROXY_PROTOCOLS[] = {
    {"off", CONFIG_PROXY_PROTOCOL_OFF, "not spoken", SCHEMA_NOW},
    {"accept", CONFIG_PROXY_PROTOCOL_ACCEPT,
     "each connection begins with it, version 1 or 2; only `trusted_proxies` may connect",
     SCHEMA_NOW},
};

static const struct schema_choice REDIRECT_STATUSES[] = {
    {"308", 308, "Permanent Redirect for every method", SCHEMA_NOW},
    {"301", 301, "Moved Permanently for GET and HEAD, 308 for the rest", SCHEMA_NOW},
};

static const struct schema_choice SECURITY_HEADERS[] = {
    {"off", CONFIG_SECURITY_HEADERS_OFF, "none are added", SCHEMA_NOW},
    {"basic", CONFIG_SECURITY_HEADERS_BASIC,
     "X-Content-Type-Options: nosniff, X-Frame-Options: SAMEORIGIN, Referrer-Policy: "
     "strict-origin-when-cross-origin",
     SCHEMA_NOW},
    {"strict", CONFIG_SECURITY_HEADERS_STRICT,
     "those of `basic`, X-Permitted-Cross-Domain-Policies: none, Cross-Origin-Opener-Policy: "
     "same-origin-allow-popups, and a Permissions-Policy that leaves camera, microphone, "
     "geolocation and display-capture to the own origin, payment and usb to nobody",
     SCHEMA_NOW},
};

static const struct schema_choice STARTTLS[] = {
    {"postgresql", 0, "PostgreSQL's SSLRequest", SCHEMA_LATER},
    {"mysql", 0, "MySQL's SSL request", SCHEMA_LATER},
    {"ldap", 0, "LDAP's StartTLS operation", SCHEMA_LATER},
    {"smtp", 0, "SMTP's STARTTLS", SCHEMA_LATER},
    {"imap", 0, "IMAP's STARTTLS", SCHEMA_LATER},
    {"pop3", 0, "POP3's STLS", SCHEMA_LATER},
    {"nats", 0, "NATS's upgrade after INFO", SCHEMA_LATER},
};

static const struct schema_choice REQUIRES[] = {
    {"ssh", 0, "SSH-2 with strong algorithms", SCHEMA_LATER},
    {"snmpv3", 0, "SNMPv3 with privacy", SCHEMA_LATER},
    {"dtls-srtp", 0, "DTLS and SRTP", SCHEMA_LATER},
};

static const struct schema_key LISTENER_KEYS[] = {
    {.name = "name",
     .type = SCHEMA_NAME,
     .required = true,
     AT(listener, name),
     .doc = "What the listener is called in hops, waivers and logs."},
    {.name = "address",
     .type = SCHEMA_ADDRESS,
     .required = true,
     LIST_AT(listener, addresses, address_count),
     .doc = "Where to listen: `IP:PORT`, `[IP6]:PORT` or `unix:/PATH`. `[::]` takes IPv4 as "
            "well. A unix socket may be connected to by every local user, as a loopback address "
            "may; the mode of its folder says who gets that far."},
    {.name = "mode",
     .type = SCHEMA_CHOICE,
     CHOICES(MODES),
     .fallback = "http",
     AT(listener, mode),
     .doc = "What is done with a connection."},
    {.name = "tls",
     .type = SCHEMA_SECTION,
     .section = &TLS,
     .word = "off",
     AT(listener, tls),
     .beside = offsetof(struct config_listener, tls) + offsetof(struct config_listener_tls, on),
     .doc = "The listener's TLS. On with all certificates when left out (off in mode `redirect`). "
            "`off` makes a plaintext hop, which is judged as one."},
    {.name = "routes",
     .type = SCHEMA_SECTION,
     .section = &ROUTE,
     LIST_AT(listener, routes, route_count),
     .doc = "Which backend answers for which host and path."},
    {.name = "default_backend",
     .type = SCHEMA_BACKEND,
     .word = "none",
     .fallback = "none",
     AT(listener, default_backend),
     .beside = offsetof(struct config_listener, has_default_backend),
     .doc = "The backend for requests that no route matches. Without it they get 404."},
    {.name = "proxy_protocol",
     .type = SCHEMA_CHOICE,
     CHOICES(PROXY_PROTOCOLS),
     .fallback = "off",
     AT(listener, proxy_protocol),
     .doc = "Whether a load balancer in front tells the client's address in the PROXY protocol."},
    {.name = "trusted_proxies",
     .type = SCHEMA_NETWORK,
     LIST_AT(listener, trusted_proxies, trusted_proxy_count),
     .doc = "Networks whose X-Forwarded-* and Forwarded fields, and PROXY protocol, are believed. "
            "From everyone else they are stripped."},
    {.name = "redirect_status",
     .type = SCHEMA_CHOICE,
     CHOICES(REDIRECT_STATUSES),
     .fallback = "308",
     AT(listener, redirect_status),
     .doc = "Mode `redirect`: the status. 308 keeps a POST a POST; 301 is for clients that are too "
            "old to know 308."},
    {.name = "redirect_port",
     .type = SCHEMA_NUMBER,
     .fallback = "443",
     .least = 1,
     .most = 65535,
     AT(listener, redirect_port),
     .doc = "Mode `redirect`: the port of the https address that clients are sent to."},
    {.name = "hsts",
     .type = SCHEMA_DURATION,
     .word = "off",
     .fallback = "365d",
     .least = 1000,
     .most = 157680000000,
     AT(listener, hsts_ms),
     .doc = "Strict-Transport-Security on every response over TLS, errors included: how long "
            "browsers insist on https. Never sent for loopback names and addresses."},
    {.name = "hsts_subdomains",
     .type = SCHEMA_FLAG,
     .fallback = "no",
     AT(listener, hsts_subdomains),
     .doc = "Adds `includeSubDomains`."},
    {.name = "security_headers",
     .type = SCHEMA_CHOICE,
     CHOICES(SECURITY_HEADERS),
     .fallback = "off",
     AT(listener, security_headers),
     .doc = "A preset of response fields for browsers, where the backend has not set them."},
    {.name = "forwarded",
     .type = SCHEMA_FLAG,
     .fallback = "off",
     AT(listener, forwarded),
     .doc = "Sends Forwarded (RFC 7239) to the backend, beside X-Forwarded-For, -Proto, -Host, "
            "-Port and X-Real-IP, which are always sent."},
    {.name = "session_header",
     .type = SCHEMA_FLAG,
     .fallback = "off",
     AT(listener, session_header),
     .doc = "Tells the backend the negotiated TLS session (version, cipher, group, resumed) in "
            "Sallyport-Session; stripped from clients either way."},
    {.name = "backend",
     .type = SCHEMA_BACKEND,
     .availability = SCHEMA_LATER,
     .doc = "Modes `tcp` and `udp`: the backend that connections are joined to."},
    {.name = "starttls",
     .type = SCHEMA_CHOICE,
     CHOICES(STARTTLS),
     .availability = SCHEMA_LATER,
     .accepted = "none",
     .doc = "Mode `tcp`: the protocol inside which the client begins TLS."},
    {.name = "require",
     .type = SCHEMA_CHOICE,
     CHOICES(REQUIRES),
     .availability = SCHEMA_LATER,
     .accepted = "none",
     .doc = "Modes `tcp` and `udp`: passes the traffic through, but only if it encrypts itself."},
};

const struct schema_section SCHEMA_LISTENER_SECTION = {
    .title = "a listener",
    .keys = LISTENER_KEYS,
    .key_count = COUNT(LISTENER_KEYS),
    .has_place = true,
    .place_offset = offsetof(struct config_listener, place),
    .name_offset = offsetof(struct config_listener, name),
};
