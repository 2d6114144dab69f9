/* config/schema_backend.c: the vocabulary of a backend · SPDX-License-Identifier: Apache-2.0 */
#include "config/model.h"
#include "config/schema.h"

#define COUNT(array)     (sizeof(array) / sizeof((array)[0]))
#define CHOICES(array)   .choices = (array), .choice_count = COUNT(array)
#define AT(noun, member) .offset = offsetof(struct config_##noun, member)
#define LIST_AT(noun, member, counter)                                                             \
    .shape = SCHEMA_LIST, .offset = offsetof(struct config_##noun, member),                        \
    .beside = offsetof(struct config_##noun, counter),                                             \
    .item_size = sizeof(*((struct config_##noun *)0)->member)

static const struct schema_key TLS_KEYS[] = {
    {.name = "ca",
     .type = SCHEMA_FILE,
     .word = "system",
     .fallback = "system",
     AT(backend_tls, ca),
     .doc = "Who may have signed the server's certificate: the system's CAs, or a PEM file of CA "
            "certificates, which then replaces them."},
    {.name = "crl",
     .type = SCHEMA_FILE,
     .word = "none",
     .fallback = "none",
     AT(backend_tls, crl),
     .doc =
         "A PEM file of revocation lists that the server's chain is checked against: one list for "
         "each CA in it."},
    {.name = "server_name",
     .type = SCHEMA_HOST_NAME,
     .word = "auto",
     .fallback = "auto",
     AT(backend_tls, server_name),
     .doc = "The name sent as SNI and expected in the server's certificate. `auto` is the host of "
            "the server's URL."},
    {.name = "certificate",
     .type = SCHEMA_CERTIFICATE,
     .word = "none",
     .fallback = "none",
     LIST_AT(backend_tls, certificates, certificate_count),
     .doc = "The name of our certificate that is shown when the server asks for one (mutual TLS)."},
    {.name = "pin",
     .type = SCHEMA_PIN,
     .word = "none",
     .fallback = "none",
     LIST_AT(backend_tls, pins, pin_count),
     .doc = "SHA-256 of the public key (SubjectPublicKeyInfo) that the server must show, in "
            "base64. With several, one of them must match. The chain and the name are verified all "
            "the same."},
};

static const struct schema_section TLS = {
    .title = "a backend's TLS settings",
    .keys = TLS_KEYS,
    .key_count = COUNT(TLS_KEYS),
    .has_place = true,
    .place_offset = offsetof(struct config_backend_tls, place),
};

static const struct schema_choice BALANCES[] = {
    {"least_requests", CONFIG_BALANCE_LEAST_REQUESTS,
     "the server with the fewest requests and tunnels open", SCHEMA_NOW},
    {"round_robin", CONFIG_BALANCE_ROUND_ROBIN, "each server in turn", SCHEMA_NOW},
    {"random_two", 0, "the less busy of two picked at random", SCHEMA_LATER},
    {"client_hash", 0, "always the same server for one client address", SCHEMA_LATER},
};

static const struct schema_choice PROXY_PROTOCOLS[] = {
    {"off", CONFIG_PROXY_PROTOCOL_OFF, "nothing is sent", SCHEMA_NOW},
    {"v1", CONFIG_PROXY_PROTOCOL_V1, "the text form", SCHEMA_NOW},
    {"v2", CONFIG_PROXY_PROTOCOL_V2, "the binary form", SCHEMA_NOW},
};

static const struct schema_choice HOST_HEADERS[] = {
    {"pass", CONFIG_HOST_HEADER_PASS, "what the client sent, with its port", SCHEMA_NOW},
    {"backend", CONFIG_HOST_HEADER_BACKEND,
     "host and port in the URL of the backend's first server", SCHEMA_NOW},
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

static const struct schema_key HEALTH_KEYS[] = {
    {.name = "path",
     .type = SCHEMA_PATH,
     .fallback = "/",
     .doc = "What is asked for; a status below 400 is healthy."},
    {.name = "interval",
     .type = SCHEMA_DURATION,
     .fallback = "5s",
     .least = 100,
     .most = 3600000,
     .doc = "Time between two checks."},
};

static const struct schema_section HEALTH = {
    .title = "a backend's health check",
    .keys = HEALTH_KEYS,
    .key_count = COUNT(HEALTH_KEYS),
};

static const struct schema_key BACKEND_KEYS[] = {
    {.name = "servers",
     .type = SCHEMA_SERVER,
     .required = true,
     LIST_AT(backend, servers, server_count),
     .doc = "Where the backend's servers are: `http://HOST:PORT`, `https://HOST:PORT` (verified: "
            "chain and name; HTTP/2 or HTTP/1.1, as the server prefers), `h2://HOST:PORT` (the "
            "same, HTTP/2 only), `h2c://HOST:PORT` (HTTP/2 in plaintext, without asking first) or "
            "`unix:/PATH` (HTTP/1.1 over a unix socket). Without a port: 443 with TLS, else 80. "
            "Names are resolved again when their time to live ends."},
    {.name = "balance",
     .type = SCHEMA_CHOICE,
     CHOICES(BALANCES),
     .fallback = "least_requests",
     AT(backend, balance),
     .doc = "Which server takes the next request."},
    {.name = "tls",
     .type = SCHEMA_SECTION,
     .section = &TLS,
     AT(backend, tls),
     .doc = "How `https` and `h2` servers are verified."},
    {.name = "proxy_protocol",
     .type = SCHEMA_CHOICE,
     CHOICES(PROXY_PROTOCOLS),
     .fallback = "off",
     AT(backend, proxy_protocol),
     .doc = "Tells the server the client's address in the PROXY protocol, once a connection. "
            "Connections are then not shared between clients."},
    {.name = "host_header",
     .type = SCHEMA_CHOICE,
     CHOICES(HOST_HEADERS),
     .fallback = "pass",
     AT(backend, host_header),
     .doc = "The Host field that the server sees. X-Forwarded-Host always has the client's."},
    {.name = "max_connections",
     .type = SCHEMA_NUMBER,
     .word = "off",
     .fallback = "off",
     .least = 1,
     .most = 1000000,
     AT(backend, max_connections),
     .doc = "Connections to one server that a worker may have open at once, tunnels included."},
    {.name = "keepalive",
     .type = SCHEMA_NUMBER,
     .word = "off",
     .fallback = "256",
     .least = 1,
     .most = 100000,
     AT(backend, keepalive),
     .doc = "Idle connections to one server that a worker keeps for the next request."},
    {.name = "secure_cookies",
     .type = SCHEMA_FLAG,
     .fallback = "yes",
     AT(backend, secure_cookies),
     .doc = "Adds `Secure` to each cookie that the backend sets without it, when the client came "
            "over TLS."},
    {.name = "health",
     .type = SCHEMA_SECTION,
     .section = &HEALTH,
     .availability = SCHEMA_LATER,
     .accepted = "none",
     .doc = "Asks each server whether it is well, and leaves out those that are not."},
    {.name = "starttls",
     .type = SCHEMA_CHOICE,
     CHOICES(STARTTLS),
     .availability = SCHEMA_LATER,
     .accepted = "none",
     .doc = "The protocol inside which TLS to the server is begun."},
};

const struct schema_section SCHEMA_BACKEND_SECTION = {
    .title = "a backend",
    .keys = BACKEND_KEYS,
    .key_count = COUNT(BACKEND_KEYS),
    .has_place = true,
    .place_offset = offsetof(struct config_backend, place),
    .name_offset = offsetof(struct config_backend, name),
};
