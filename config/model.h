/* config/model.h
 *
 * The configuration as plain structs: what the YAML says, with each default filled in, each unit
 * converted (durations in ms, sizes in bytes, rates in bytes per second), each name resolved to an
 * index, each relative path joined to the folder of the file that names it.
 *
 * Why it exists: the rooms of the proxy read this and nothing else of config/. Keys that are known
 * but not available yet have no member here: a config that uses them does not load.
 *
 * Owner: whoever called config_load. All strings and arrays live as long as the config and are
 * freed at once by config_free. Immutable after loading, so sharing needs no lock.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "config/place.h"

struct memory;

/* --- pieces ------------------------------------------------------------------------------------
 */

/* A file that the configuration names. path NULL: `word` was written (or is the default) instead.
 */
struct config_file {
    const char *path;
    const char *word; /* "none", "system", "off", "auto"; NULL when there is a path */
    struct place place;
};

enum config_secret_kind {
    CONFIG_SECRET_NONE,
    CONFIG_SECRET_FILE, /* `value` is a path: the secret is the content, one last newline off */
    CONFIG_SECRET_ENVIRONMENT, /* `value` is the name of an environment variable */
};

/* Where a secret is to be read, never the secret itself. */
struct config_secret {
    enum config_secret_kind kind;
    const char *value;
    struct place place;
};

enum config_address_kind {
    CONFIG_ADDRESS_NONE, /* the word `off` */
    CONFIG_ADDRESS_IP4,
    CONFIG_ADDRESS_IP6, /* [::] takes IPv4 as well (dual stack) */
    CONFIG_ADDRESS_UNIX,
};

/* Where to listen. */
struct config_address {
    enum config_address_kind kind;
    const char *text; /* as written */
    uint8_t ip[16];   /* 4 or 16 bytes, network order */
    uint16_t port;    /* host order; 0: the kernel chooses */
    const char *path; /* unix only */
    struct place place;
};

/* An IP network. IPv4 is held as IPv4-mapped IPv6 (prefix + 96), so one comparison serves both. */
struct config_network {
    uint8_t ip[16];
    unsigned prefix_bits; /* 0..128 */
    const char *text;
    struct place place;
};

/* A day of the calendar as year × 10000 + month × 100 + day; comparable. 0: none. */
typedef int32_t config_day;

/* --- enforcement -------------------------------------------------------------------------------
 */

enum config_mode { CONFIG_MODE_STRICT, CONFIG_MODE_REPORT };
enum config_plaintext { CONFIG_PLAINTEXT_NEVER, CONFIG_PLAINTEXT_LOOPBACK, CONFIG_PLAINTEXT_ANY };
enum config_tls_version { CONFIG_TLS_1_2, CONFIG_TLS_1_3 };
enum config_cipher_policy {
    CONFIG_CIPHERS_AES256, /* AES-256-GCM with ECDHE only */
    CONFIG_CIPHERS_MODERN, /* every AEAD with ECDHE, AES-256 first */
    CONFIG_CIPHERS_LIST,   /* `cipher_names` */
};

struct config_waiver {
    const char *hop; /* name of the hop, as `sallyport check` prints it */
    const char *reason;
    config_day expires; /* the last day on which it holds */
    struct place place;
};

/* How early the end of a certificate is told, and what follows. */
struct config_expiry {
    uint64_t *warn_ms; /* before the end, in any order */
    size_t warn_count;
    bool unready; /* an instance with an expired certificate of its own is not ready */
};

struct config_enforcement {
    enum config_mode mode;
    enum config_plaintext plaintext;
    enum config_tls_version minimum_tls;
    enum config_cipher_policy cipher_policy;
    const char *
        *cipher_names; /* OpenSSL's names, TLS 1.2 and 1.3 mixed; CONFIG_CIPHERS_LIST only */
    size_t cipher_name_count;
    uint64_t minimum_rsa_bits;
    bool verify_backends;
    struct config_waiver *waivers;
    size_t waiver_count;
    struct config_expiry expiry;
    struct place place;
};

/* --- certificates ------------------------------------------------------------------------------
 */

/* One chain with its key. Several with the same name serve as one certificate (RSA and ECDSA). */
struct config_certificate {
    const char *name;
    struct config_file chain; /* PEM, leaf first; or PKCS#12 */
    struct config_file key;   /* the chain's own path when the file holds both */
    bool key_in_chain;        /* one file holds both: it must not reach a worker as it is */
    struct config_secret password;
    struct config_file ocsp; /* word "off" or "auto" (ask the responder), or a DER response */
    struct place place;
};

/* --- listeners ---------------------------------------------------------------------------------
 */

enum config_listener_mode { CONFIG_LISTENER_HTTP, CONFIG_LISTENER_REDIRECT };
enum config_client_auth {
    CONFIG_CLIENT_AUTH_NONE,
    CONFIG_CLIENT_AUTH_OPTIONAL,
    CONFIG_CLIENT_AUTH_REQUIRED
};
enum config_proxy_protocol {
    CONFIG_PROXY_PROTOCOL_OFF,
    CONFIG_PROXY_PROTOCOL_ACCEPT, /* listeners: expected from trusted_proxies, from nobody else
                                   */
    CONFIG_PROXY_PROTOCOL_V1,     /* backends: sent */
    CONFIG_PROXY_PROTOCOL_V2,
};
enum config_security_headers {
    CONFIG_SECURITY_HEADERS_OFF,
    CONFIG_SECURITY_HEADERS_BASIC,
    CONFIG_SECURITY_HEADERS_STRICT
};

/* The server side of TLS. */
struct config_listener_tls {
    bool on;
    size_t *certificates; /* indexes into config.certificates; all entries of each name */
    size_t certificate_count;
    struct config_file client_ca;  /* word "none" */
    struct config_file client_crl; /* word "none" */
    enum config_client_auth client_auth;
    const char **alpn; /* protocol ids, preferred first */
    size_t alpn_count;
    bool session_tickets;
    struct place place;
};

enum config_host_kind {
    CONFIG_HOST_ANY,      /* "*", or no host given */
    CONFIG_HOST_EXACT,    /* "chat.example.com", "[::1]", "10.0.0.1" */
    CONFIG_HOST_WILDCARD, /* "*.example.com": `host` is ".example.com" */
};

struct config_route {
    enum config_host_kind host_kind;
    const char *host; /* lower case, without port; NULL for CONFIG_HOST_ANY */
    const char *path; /* prefix on whole segments; starts with a slash */
    size_t backend;   /* index into config.backends */
    struct place place;
};

struct config_listener {
    const char *name;
    struct config_address *addresses;
    size_t address_count;
    enum config_listener_mode mode;
    struct config_listener_tls tls;
    enum config_proxy_protocol proxy_protocol;
    struct config_network *trusted_proxies;
    size_t trusted_proxy_count;
    struct config_route *routes;
    size_t route_count;
    bool has_default_backend;
    size_t default_backend;   /* index into config.backends; where no route matches */
    unsigned redirect_status; /* 308, or 301 for GET and HEAD (308 for the rest) */
    uint64_t redirect_port; /* port of the https listener in the Location; 443 is left out of it */
    uint64_t hsts_ms;       /* max-age; 0: off. Never sent for loopback names */
    bool hsts_subdomains;
    enum config_security_headers security_headers;
    bool forwarded;      /* send Forwarded (RFC 7239) beside X-Forwarded-* */
    bool session_header; /* tell the backend the negotiated session in Sallyport-Session */
    struct place place;
};

/* --- backends ----------------------------------------------------------------------------------
 */

enum config_scheme {
    CONFIG_SCHEME_HTTP,  /* HTTP/1.1 in plaintext; a unix socket too */
    CONFIG_SCHEME_HTTPS, /* TLS, the version of HTTP is agreed by ALPN */
    CONFIG_SCHEME_H2C,   /* HTTP/2 in plaintext, by prior knowledge (RFC 9113 §3.3) */
    CONFIG_SCHEME_H2,    /* TLS, HTTP/2 alone is offered */
};
enum config_balance { CONFIG_BALANCE_LEAST_REQUESTS, CONFIG_BALANCE_ROUND_ROBIN };
enum config_host_header { CONFIG_HOST_HEADER_PASS, CONFIG_HOST_HEADER_BACKEND };

struct config_server {
    enum config_scheme scheme;
    const char *url;  /* as written; for logs and for `status` */
    const char *host; /* lower case; IPv6 without brackets; NULL for a unix socket */
    bool host_is_ip;
    uint16_t port;
    const char *unix_path; /* NULL unless unix:/path */
    struct place place;
};

/* SHA-256 of a certificate's SubjectPublicKeyInfo. */
struct config_pin {
    uint8_t sha256[32];
    struct place place;
};

/* The client side of TLS, for https and h2 servers. */
struct config_backend_tls {
    struct config_file ca;   /* word "system" */
    struct config_file crl;  /* word "none" */
    const char *server_name; /* sent as SNI and checked; NULL: the server's host */
    size_t *certificates;    /* indexes into config.certificates: ours, shown to the server */
    size_t certificate_count;
    struct config_pin *pins; /* one must match when there are any */
    size_t pin_count;
    struct place place;
};

struct config_backend {
    const char *name;
    struct config_server *servers;
    size_t server_count;
    enum config_balance balance;
    struct config_backend_tls tls;
    enum config_proxy_protocol proxy_protocol; /* OFF, V1 or V2 */
    uint64_t max_connections;                  /* per server and worker; 0: no limit */
    uint64_t keepalive;                        /* idle conns kept per server and worker; 0: none */
    enum config_host_header host_header;
    bool secure_cookies; /* add Secure to the backend's Set-Cookie on a TLS listener */
    struct place place;
};

/* --- gossip ------------------------------------------------------------------------------------
 */

enum config_gossip_mode {
    CONFIG_GOSSIP_TRANSPARENT, /* the node's own packets are intercepted */
    CONFIG_GOSSIP_RELAY,       /* loopback addresses stand for the peers */
};
enum config_gossip_rules {
    CONFIG_GOSSIP_RULES_MANAGE,   /* installed at the start, removed at an orderly end */
    CONFIG_GOSSIP_RULES_KEEP,     /* installed at the start, and left */
    CONFIG_GOSSIP_RULES_EXTERNAL, /* somebody else's */
};

/* A member of the cluster in relay mode: the loopback address that stands for it, and where it
 * really is; both IPv4 with a port. */
struct config_gossip_peer {
    struct config_address stand_in;
    struct config_address address;
    struct place place;
};

struct config_gossip {
    const char *name;
    struct config_file keyring; /* path NULL: `key` was given */
    struct config_secret key;   /* one key in base64 */
    uint16_t *ports;            /* the cluster's, UDP and TCP; at least one */
    size_t port_count;
    enum config_gossip_mode mode;
    enum config_gossip_rules rules;
    const char *user;     /* the account that its process runs as, started by root; NULL: choose */
    uint16_t own_port;    /* transparent: where the rules steer packets to */
    bool takes_plaintext; /* incoming: any */
    bool sends_plaintext; /* outgoing: plaintext */
    unsigned version;     /* 0 or 1: of what is sent */
    const char *label;    /* what everything must carry; NULL: whatever the node has */
    uint64_t replay_window;           /* nonces remembered; 0: none */
    struct config_gossip_peer node;   /* relay: ourselves */
    struct config_gossip_peer *peers; /* relay: the others */
    size_t peer_count;
    struct place place;
};

/* --- the rest ----------------------------------------------------------------------------------
 */

struct config_tickets {
    struct config_secret secret; /* what ticket keys follow from; NONE: random at each start */
    bool single_use;             /* a ticket of TLS 1.3 resumes one session */
    uint64_t spent_max;          /* tickets that the instance remembers as used, at least */
};

struct config_admin {
    struct config_address address; /* CONFIG_ADDRESS_NONE: no admin socket */
};

enum config_log_access {
    CONFIG_LOG_ACCESS_JSON,
    CONFIG_LOG_ACCESS_TEXT,
    CONFIG_LOG_ACCESS_ERRORS_ONLY, /* status 400 and above, and faults; in the form of `format` */
    CONFIG_LOG_ACCESS_OFF
};
enum config_log_format {
    CONFIG_LOG_FORMAT_AUTO, /* text on a terminal, JSON elsewhere */
    CONFIG_LOG_FORMAT_JSON,
    CONFIG_LOG_FORMAT_TEXT
};
enum config_log_level {
    CONFIG_LOG_LEVEL_ERROR,
    CONFIG_LOG_LEVEL_WARN,
    CONFIG_LOG_LEVEL_INFO,
    CONFIG_LOG_LEVEL_DEBUG
};

struct config_log {
    enum config_log_access access;
    enum config_log_format format; /* of the error log, and of access: errors_only */
    enum config_log_level level;
    struct config_file destination; /* word "stderr" or "stdout", or a file that is appended to */
};

struct config_limits {
    uint64_t connections; /* client conns per worker; 0: from the descriptor limit */
    uint64_t header_bytes;
    uint64_t header_count;
    uint64_t uri_bytes;
    uint64_t body_bytes;           /* 0: no limit */
    uint64_t chunk_overhead_bytes; /* chunk sizes and extensions of one body */
    uint64_t trailer_bytes;
    uint64_t requests_per_connection; /* 0: no limit */
    uint64_t streams;                 /* concurrent exchanges of one HTTP/2 conn of a client */
    uint64_t connection_buffer_bytes; /* bodies held for one HTTP/2 conn, each way */
    uint64_t response_header_bytes;
    uint64_t response_header_count;
};

struct config_timeouts {
    uint64_t handshake_ms;
    uint64_t connect_ms; /* TCP and TLS to a server, together */
    uint64_t resolve_ms;
    uint64_t header_ms;
    uint64_t idle_ms;
    uint64_t tunnel_idle_ms;
    uint64_t response_ms; /* from the request sent to the response head, and between two reads */
    uint64_t drain_ms;
    uint64_t linger_ms;       /* after our last byte, for the client to read it */
    uint64_t rate_grace_ms;   /* before minimum_rate is applied */
    uint64_t minimum_rate;    /* bytes per second of a body, either way; 0: off */
    uint64_t backend_idle_ms; /* an idle conn to a server is closed after this */
    uint64_t ping_ms;         /* silence after which a server's HTTP/2 conn is asked, and closed */
    uint64_t dead_peer_ms;    /* TCP user timeout, and keep-alive probes within it */
    uint64_t session_ms;      /* how long a TLS session can be resumed, in whole seconds */
};

/* What a worker's sandbox is made for. */
enum config_sandbox {
    CONFIG_SANDBOX_EXACT,   /* what the configuration at its start needs */
    CONFIG_SANDBOX_GENERAL, /* what any configuration needs, so that it can be reloaded */
};

struct config {
    const char *file; /* the main file, as given */
    struct config_enforcement enforcement;
    struct config_certificate *certificates;
    size_t certificate_count;
    struct config_listener *listeners;
    size_t listener_count;
    struct config_backend *backends;
    size_t backend_count;
    struct config_gossip *gossip; /* one a cluster */
    size_t gossip_count;
    struct config_tickets tickets;
    struct config_admin admin;
    struct config_log log;
    struct config_limits limits;
    struct config_timeouts timeouts;
    uint64_t workers;    /* 0: one a core */
    uint64_t keyholders; /* 0: one for every two workers */
    enum config_sandbox sandbox;
    const char *user;   /* the account that children run as when started by root; NULL: choose */
    const char **files; /* every YAML file read, the main one first */
    size_t file_count;
    struct memory *memory; /* private to config/ */
};

/* Frees everything the config holds. NULL is fine. */
void config_free(struct config *config);

/* True if what is said to a server of this scheme is encrypted. Everything that has to know asks
 * here, so that a new scheme is judged the same everywhere. */
bool config_scheme_is_tls(enum config_scheme scheme);

/* Whether an OCSP response is to be stapled to it, from a file or from the responder. */
bool config_certificate_staples(const struct config_certificate *certificate);

/* --- files -------------------------------------------------------------------------------------
 */

enum config_file_kind {
    CONFIG_FILE_YAML,
    CONFIG_FILE_CHAIN,     /* certificates only: fit for workers */
    CONFIG_FILE_KEY,       /* private: never for workers */
    CONFIG_FILE_CHAIN_KEY, /* chain and key in one file (PKCS#12, or PEM): never for workers */
    CONFIG_FILE_PASSWORD,  /* private: never for workers */
    CONFIG_FILE_CA,
    CONFIG_FILE_CRL,
    CONFIG_FILE_OCSP,
    CONFIG_FILE_KEYRING,       /* keys of gossip: never for workers */
    CONFIG_FILE_TICKET_SECRET, /* private: never for workers */
};

/* True if the content of files of this kind is secret. */
bool config_file_kind_is_private(enum config_file_kind kind);

/* Calls back for each file that the config refers to, in the order of the model; each path and kind
 * once (repeats only when memory is short). */
typedef void config_file_callback(void *self, enum config_file_kind kind, const char *path,
                                  const struct place *place);
void config_files(const struct config *config, config_file_callback *on_file, void *self);

/* True if that path is listed under a private kind anywhere, whatever else it is listed as: such a
 * file never goes to a worker. */
bool config_path_is_private(const struct config *config, const char *path);
