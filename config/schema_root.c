/* config/schema_root.c: the vocabulary of the file itself, and of its smaller sections
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "config/model.h"
#include "config/schema.h"

#define COUNT(array)     (sizeof(array) / sizeof((array)[0]))
#define CHOICES(array)   .choices = (array), .choice_count = COUNT(array)
#define AT(noun, member) .offset = offsetof(struct config_##noun, member)
#define LIST_AT(noun, member, counter)                                                             \
    .shape = SCHEMA_LIST, .offset = offsetof(struct config_##noun, member),                        \
    .beside = offsetof(struct config_##noun, counter),                                             \
    .item_size = sizeof(*((struct config_##noun *)0)->member)
#define KIB    ((uint64_t)1024)
#define MIB    (1024 * KIB)
#define GIB    (1024 * MIB)
#define SECOND ((uint64_t)1000)
#define HOUR   (3600 * SECOND)
#define DAY    (24 * HOUR)

/* --- enforcement -------------------------------------------------------------------------------
 */

static const struct schema_choice MODES[] = {
    {"strict", CONFIG_MODE_STRICT, "a violation stops the start", SCHEMA_NOW},
    {"report", CONFIG_MODE_REPORT, "runs with violations, and says so everywhere", SCHEMA_NOW},
};

static const struct schema_choice PLAINTEXTS[] = {
    {"never", CONFIG_PLAINTEXT_NEVER, "none", SCHEMA_NOW},
    {"loopback", CONFIG_PLAINTEXT_LOOPBACK, "inside the machine: 127.0.0.0/8, ::1, unix sockets",
     SCHEMA_NOW},
    {"any", CONFIG_PLAINTEXT_ANY, "all", SCHEMA_NOW},
};

static const struct schema_choice TLS_VERSIONS[] = {
    {"1.2", CONFIG_TLS_1_2, "TLS 1.2 and 1.3", SCHEMA_NOW},
    {"1.3", CONFIG_TLS_1_3, "TLS 1.3 only", SCHEMA_NOW},
    {"1.1", 0, "TLS 1.1 is deprecated (RFC 8996)", SCHEMA_NEVER},
    {"1.0", 0, "TLS 1.0 is deprecated (RFC 8996)", SCHEMA_NEVER},
};

/* A closed list: everything else that OpenSSL knows lacks forward secrecy or authenticated
 * encryption, which the policy never allows. */
static const struct schema_choice CIPHERS[] = {
    {"aes256", CONFIG_CIPHERS_AES256, "AES-256-GCM with ECDHE only", SCHEMA_NOW},
    {"modern", CONFIG_CIPHERS_MODERN,
     "AES-256-GCM, ChaCha20-Poly1305 and AES-128-GCM with ECDHE, in that order", SCHEMA_NOW},
    {"TLS_AES_256_GCM_SHA384", CONFIG_CIPHERS_LIST, "TLS 1.3", SCHEMA_NOW},
    {"TLS_CHACHA20_POLY1305_SHA256", CONFIG_CIPHERS_LIST, "TLS 1.3", SCHEMA_NOW},
    {"TLS_AES_128_GCM_SHA256", CONFIG_CIPHERS_LIST, "TLS 1.3", SCHEMA_NOW},
    {"ECDHE-ECDSA-AES256-GCM-SHA384", CONFIG_CIPHERS_LIST, "TLS 1.2", SCHEMA_NOW},
    {"ECDHE-RSA-AES256-GCM-SHA384", CONFIG_CIPHERS_LIST, "TLS 1.2", SCHEMA_NOW},
    {"ECDHE-ECDSA-CHACHA20-POLY1305", CONFIG_CIPHERS_LIST, "TLS 1.2", SCHEMA_NOW},
    {"ECDHE-RSA-CHACHA20-POLY1305", CONFIG_CIPHERS_LIST, "TLS 1.2", SCHEMA_NOW},
    {"ECDHE-ECDSA-AES128-GCM-SHA256", CONFIG_CIPHERS_LIST, "TLS 1.2", SCHEMA_NOW},
    {"ECDHE-RSA-AES128-GCM-SHA256", CONFIG_CIPHERS_LIST, "TLS 1.2", SCHEMA_NOW},
};

static const struct schema_key WAIVER_KEYS[] = {
    {.name = "hop",
     .type = SCHEMA_TEXT,
     .required = true,
     AT(waiver, hop),
     .doc = "The hop's name as `sallyport check` prints it, such as `backend/legacy/0`."},
    {.name = "reason",
     .type = SCHEMA_TEXT,
     .required = true,
     AT(waiver, reason),
     .doc = "Why the exception is there; it is shown wherever the hop is."},
    {.name = "expires",
     .type = SCHEMA_DAY,
     .required = true,
     AT(waiver, expires),
     .doc = "The last day on which the waiver holds (UTC). After it the hop is a violation again."},
};

static const struct schema_section WAIVER = {
    .title = "a waiver",
    .keys = WAIVER_KEYS,
    .key_count = COUNT(WAIVER_KEYS),
    .has_place = true,
    .place_offset = offsetof(struct config_waiver, place),
};

static const struct schema_key EXPIRY_KEYS[] = {
    {.name = "warn",
     .type = SCHEMA_DURATION,
     LIST_AT(expiry, warn_ms, warn_count),
     .fallback = "[30d, 14d, 3d]",
     .least = HOUR,
     .most = 3650 * DAY,
     .doc = "How long before its end a certificate is told of: in the posture, in `status` and in "
            "the log, there at the start, every day, and with each span more; within the shortest "
            "one as an error. Our certificates, the authorities in `client_ca` and a backend's "
            "`ca`, and what servers show."},
    {.name = "unready",
     .type = SCHEMA_FLAG,
     .fallback = "no",
     AT(expiry, unready),
     .doc = "Whether an instance says that it is not ready once a certificate of its own has "
            "expired. It goes on serving."},
};

static const struct schema_section EXPIRY = {
    .title = "expiry",
    .keys = EXPIRY_KEYS,
    .key_count = COUNT(EXPIRY_KEYS),
};

static const struct schema_key ENFORCEMENT_KEYS[] = {
    {.name = "mode",
     .type = SCHEMA_CHOICE,
     CHOICES(MODES),
     .fallback = "strict",
     AT(enforcement, mode),
     .doc = "What a violation does."},
    {.name = "plaintext",
     .type = SCHEMA_CHOICE,
     CHOICES(PLAINTEXTS),
     .fallback = "loopback",
     AT(enforcement, plaintext),
     .doc = "Which plaintext hops are acceptable."},
    {.name = "minimum_tls",
     .type = SCHEMA_CHOICE,
     CHOICES(TLS_VERSIONS),
     .fallback = "1.2",
     AT(enforcement, minimum_tls),
     .doc = "The oldest version of TLS that is spoken, on every hop."},
    {.name = "ciphers",
     .type = SCHEMA_CIPHERS,
     CHOICES(CIPHERS),
     .fallback = "aes256",
     .doc = "The cipher suites, on every hop: a set by name, or a list of OpenSSL's names in order "
            "of preference."},
    {.name = "minimum_rsa_bits",
     .type = SCHEMA_NUMBER,
     .fallback = "2048",
     .least = 2048,
     .most = 16384,
     AT(enforcement, minimum_rsa_bits),
     .doc = "The smallest RSA key, in our certificates and in every certificate that we verify."},
    {.name = "verify_backends",
     .type = SCHEMA_FLAG,
     .fallback = "yes",
     AT(enforcement, verify_backends),
     .doc = "Verifies the chain and the name of `https` and `h2` servers."},
    {.name = "waivers",
     .type = SCHEMA_SECTION,
     .section = &WAIVER,
     LIST_AT(enforcement, waivers, waiver_count),
     .doc = "Exceptions: hops that may break the policy until a day, for a reason."},
    {.name = "expiry",
     .type = SCHEMA_SECTION,
     .section = &EXPIRY,
     AT(enforcement, expiry),
     .doc = "What is done about certificates whose end is near. An expired one of ours is a "
            "violation in any case."},
};

static const struct schema_section ENFORCEMENT = {
    .title = "enforcement",
    .keys = ENFORCEMENT_KEYS,
    .key_count = COUNT(ENFORCEMENT_KEYS),
    .has_place = true,
    .place_offset = offsetof(struct config_enforcement, place),
};

/* --- certificates ------------------------------------------------------------------------------
 */

static const struct schema_key ACME_KEYS[] = {
    {.name = "domains",
     .type = SCHEMA_HOST_NAME,
     .shape = SCHEMA_LIST,
     .required = true,
     .doc = "The names that the certificate is for."},
    {.name = "email", .type = SCHEMA_TEXT, .doc = "Where the CA writes to."},
};

static const struct schema_section ACME = {
    .title = "an ACME order",
    .keys = ACME_KEYS,
    .key_count = COUNT(ACME_KEYS),
};

static const struct schema_key CERTIFICATE_KEYS[] = {
    {.name = "name",
     .type = SCHEMA_NAME,
     .required = true,
     AT(certificate, name),
     .doc = "What listeners and backends call it. Several entries may share a name: an RSA and an "
            "ECDSA certificate then serve side by side."},
    {.name = "chain",
     .type = SCHEMA_FILE,
     AT(certificate, chain),
     .doc = "The certificate and its intermediates: PEM with the leaf first, or PKCS#12. Needed "
            "unless `acme` is there."},
    {.name = "key",
     .type = SCHEMA_FILE,
     AT(certificate, key),
     .doc = "The private key in PEM. Left out when the chain's file holds it as well."},
    {.name = "password",
     .type = SCHEMA_SECRET,
     AT(certificate, password),
     .doc = "The password of an encrypted key or of a PKCS#12 file."},
    {.name = "ocsp",
     .type = SCHEMA_FILE,
     .word = "off",
     .second_word = "auto",
     .fallback = "off",
     AT(certificate, ocsp),
     .doc = "The OCSP response that is stapled: `auto` asks the certificate's responder and keeps "
            "the response fresh, a file holds one in DER. Only what says \"good\" is stapled: "
            "\"revoked\" ends it at once, and is a violation that the running instance reports."},
    {.name = "acme",
     .type = SCHEMA_SECTION,
     .section = &ACME,
     .availability = SCHEMA_LATER,
     .accepted = "none",
     .doc = "Orders and renews the certificate from an ACME CA instead of reading files."},
};

static const struct schema_section CERTIFICATE = {
    .title = "a certificate",
    .keys = CERTIFICATE_KEYS,
    .key_count = COUNT(CERTIFICATE_KEYS),
    .has_place = true,
    .place_offset = offsetof(struct config_certificate, place),
    .name_offset = offsetof(struct config_certificate, name),
};

/* --- tickets, secrets, admin, log --------------------------------------------------------------
 */

static const struct schema_key TICKETS_KEYS[] = {
    {.name = "secret",
     .type = SCHEMA_SECRET,
     AT(tickets, secret),
     .doc = "At least 32 bytes, such as `openssl rand -hex 32` prints. Instances with the same "
            "secret resume each other's sessions on listeners of the same name, policy and client "
            "CAs. Their ticket keys follow from it and from the time, so they change every 12 h on "
            "all of them without a word between them; clocks may differ by hours. Who knows the "
            "secret can open every ticket that was ever sealed with it: give all instances another "
            "one from time to time. Left out: random at each start, known to nobody."},
    {.name = "single_use",
     .type = SCHEMA_FLAG,
     .fallback = "no",
     AT(tickets, single_use),
     .doc =
         "Whether a ticket of TLS 1.3 resumes one session only (RFC 8446 C.4); the second time it "
         "is shown there is a full handshake. All workers of this instance share the list of what "
         "was used, over reloads too; instances with the same `secret` do not share theirs, so "
         "that each of them takes a ticket once. Tickets of TLS 1.2 are meant to be used again: "
         "refuse that version, or `tls.session_tickets`, where that must not be."},
    {.name = "spent_max",
     .type = SCHEMA_NUMBER,
     .fallback = "1000000",
     .least = 64,
     .most = 67108864,
     AT(tickets, spent_max),
     .doc =
         "With `single_use`: used tickets that are remembered at the same time, at least; each "
         "for as long as it would last (`timeouts.session`, at most 12 h). While there is no room "
         "the handshakes are full ones. 16 to 32 bytes of memory each, taken when first used. It "
         "cannot change while the instance runs."},
};

static const struct schema_section TICKETS = {
    .title = "tickets",
    .keys = TICKETS_KEYS,
    .key_count = COUNT(TICKETS_KEYS),
};

static const struct schema_key SECRETS_KEYS[] = {
    {.name = "provider",
     .type = SCHEMA_TEXT,
     .doc = "Where sealed credentials are kept: a file, or the KMS that seals them."},
};

static const struct schema_section SECRETS = {
    .title = "secrets",
    .keys = SECRETS_KEYS,
    .key_count = COUNT(SECRETS_KEYS),
};

static const struct schema_key ADMIN_KEYS[] = {
    {.name = "address",
     .type = SCHEMA_ADDRESS,
     .word = "off",
     .fallback = "unix:/run/sallyport/admin.sock",
     AT(admin, address),
     .doc = "The unix socket (mode 0600) that `status`, `wait`, `drain` and `stop` talk to."},
    {.name = "metrics",
     .type = SCHEMA_ADDRESS,
     .availability = SCHEMA_LATER,
     .accepted = "off",
     .doc = "Where Prometheus reads the metrics."},
    {.name = "dashboard",
     .type = SCHEMA_FLAG,
     .availability = SCHEMA_LATER,
     .accepted = "off",
     .doc = "A page about the running instance, beside the metrics."},
};

static const struct schema_section ADMIN = {
    .title = "admin",
    .keys = ADMIN_KEYS,
    .key_count = COUNT(ADMIN_KEYS),
};

static const struct schema_choice SANDBOXES[] = {
    {"general", CONFIG_SANDBOX_GENERAL,
     "what any configuration needs: backends may be on any port after a reload", SCHEMA_NOW},
    {"exact", CONFIG_SANDBOX_EXACT,
     "what the configuration at the start needs: TCP to the ports of its backends alone (Linux 6.7 "
     "and later); a reload that needs more is refused",
     SCHEMA_NOW},
};
static const struct schema_choice ACCESSES[] = {
    {"json", CONFIG_LOG_ACCESS_JSON, "one JSON object an exchange or tunnel", SCHEMA_NOW},
    {"text", CONFIG_LOG_ACCESS_TEXT, "one readable line", SCHEMA_NOW},
    {"errors_only", CONFIG_LOG_ACCESS_ERRORS_ONLY,
     "only status 400 and above, and faults; in the form that `format` says", SCHEMA_NOW},
    {"off", CONFIG_LOG_ACCESS_OFF, "none", SCHEMA_NOW},
};

static const struct schema_choice FORMATS[] = {
    {"auto", CONFIG_LOG_FORMAT_AUTO, "text on a terminal, JSON elsewhere", SCHEMA_NOW},
    {"json", CONFIG_LOG_FORMAT_JSON, "one JSON object a line", SCHEMA_NOW},
    {"text", CONFIG_LOG_FORMAT_TEXT, "readable lines", SCHEMA_NOW},
};

static const struct schema_choice LEVELS[] = {
    {"error", CONFIG_LOG_LEVEL_ERROR, "the operator must act", SCHEMA_NOW},
    {"warn", CONFIG_LOG_LEVEL_WARN, "the operator may act", SCHEMA_NOW},
    {"info", CONFIG_LOG_LEVEL_INFO, "life-cycle", SCHEMA_NOW},
    {"debug", CONFIG_LOG_LEVEL_DEBUG, "for developers", SCHEMA_NOW},
};

static const struct schema_key LOG_KEYS[] = {
    {.name = "access",
     .type = SCHEMA_CHOICE,
     CHOICES(ACCESSES),
     .fallback = "json",
     AT(log, access),
     .doc = "The access log. Never holds cookies, credentials or bodies."},
    {.name = "format",
     .type = SCHEMA_CHOICE,
     CHOICES(FORMATS),
     .fallback = "auto",
     AT(log, format),
     .doc = "The form of the event log."},
    {.name = "level",
     .type = SCHEMA_CHOICE,
     CHOICES(LEVELS),
     .fallback = "info",
     AT(log, level),
     .doc = "The least important events that are still logged."},
    {.name = "destination",
     .type = SCHEMA_OUTPUT,
     .word = "stderr",
     .second_word = "stdout",
     .fallback = "stderr",
     AT(log, destination),
     .doc = "Where both logs go. A file is appended to, and opened anew upon SIGUSR1."},
};

static const struct schema_section LOG = {
    .title = "log",
    .keys = LOG_KEYS,
    .key_count = COUNT(LOG_KEYS),
};

/* --- limits and timeouts -----------------------------------------------------------------------
 */

static const struct schema_key LIMITS_KEYS[] = {
    {.name = "connections",
     .type = SCHEMA_NUMBER,
     .word = "auto",
     .fallback = "auto",
     .least = 1,
     .most = 10000000,
     AT(limits, connections),
     .doc =
         "Client connections of one worker. `auto`: half of what its descriptor limit allows, the "
         "other half is for backends. At the limit new connections wait to be accepted."},
    {.name = "header_bytes",
     .type = SCHEMA_SIZE,
     .fallback = "64KiB",
     .least = 1 * KIB,
     .most = 1 * MIB,
     AT(limits, header_bytes),
     .doc = "All fields of a request together, with its request line. Beyond: 431."},
    {.name = "header_count",
     .type = SCHEMA_NUMBER,
     .fallback = "128",
     .least = 8,
     .most = 1000,
     AT(limits, header_count),
     .doc = "Fields of a request. Beyond: 431."},
    {.name = "uri_bytes",
     .type = SCHEMA_SIZE,
     .fallback = "16KiB",
     .least = 256,
     .most = 1 * MIB,
     AT(limits, uri_bytes),
     .doc = "The request target. Beyond: 414."},
    {.name = "body_bytes",
     .type = SCHEMA_SIZE,
     .word = "off",
     .fallback = "100MiB",
     .least = 1,
     .most = 1024 * GIB,
     AT(limits, body_bytes),
     .doc = "The body of a request; it is streamed, never stored. Beyond: 413. Of a gRPC call, "
            "which may be open for days, each message."},
    {.name = "chunk_overhead_bytes",
     .type = SCHEMA_SIZE,
     .fallback = "64KiB",
     .least = 1 * KIB,
     .most = 64 * MIB,
     AT(limits, chunk_overhead_bytes),
     .doc = "What a chunked body may spend on chunk extensions and needlessly long chunk sizes."},
    {.name = "trailer_bytes",
     .type = SCHEMA_SIZE,
     .fallback = "16KiB",
     .least = 256,
     .most = 1 * MIB,
     AT(limits, trailer_bytes),
     .doc = "The trailer fields of a body."},
    {.name = "requests_per_connection",
     .type = SCHEMA_NUMBER,
     .word = "off",
     .fallback = "16384",
     .least = 1,
     .most = 1000000000,
     AT(limits, requests_per_connection),
     .doc = "Requests on one client connection; it is closed after the last."},
    {.name = "streams",
     .type = SCHEMA_NUMBER,
     .fallback = "100",
     .least = 1,
     .most = 1000,
     AT(limits, streams),
     .doc = "Exchanges that one HTTP/2 connection of a client may have at the same time."},
    {.name = "connection_buffer_bytes",
     .type = SCHEMA_SIZE,
     .fallback = "4MiB",
     .least = 256 * KIB,
     .most = 64 * MIB,
     AT(limits, connection_buffer_bytes),
     .doc = "Bytes of bodies that are held for one HTTP/2 connection, all its streams together, "
            "each way. At the limit the sender waits."},
    {.name = "response_header_bytes",
     .type = SCHEMA_SIZE,
     .fallback = "64KiB",
     .least = 1 * KIB,
     .most = 1 * MIB,
     AT(limits, response_header_bytes),
     .doc = "All fields of a backend's response together. Beyond: 502."},
    {.name = "response_header_count",
     .type = SCHEMA_NUMBER,
     .fallback = "256",
     .least = 8,
     .most = 1000,
     AT(limits, response_header_count),
     .doc = "Fields of a backend's response. Beyond: 502."},
};

static const struct schema_section LIMITS = {
    .title = "limits",
    .keys = LIMITS_KEYS,
    .key_count = COUNT(LIMITS_KEYS),
};

static const struct schema_key TIMEOUTS_KEYS[] = {
    {.name = "handshake",
     .type = SCHEMA_DURATION,
     .fallback = "5s",
     .least = 100,
     .most = 10 * 60 * SECOND,
     AT(timeouts, handshake_ms),
     .doc = "A client's TLS handshake, PROXY protocol included."},
    {.name = "connect",
     .type = SCHEMA_DURATION,
     .fallback = "10s",
     .least = 10,
     .most = 10 * 60 * SECOND,
     AT(timeouts, connect_ms),
     .doc = "Connecting to a server, TLS handshake included."},
    {.name = "resolve",
     .type = SCHEMA_DURATION,
     .fallback = "5s",
     .least = 100,
     .most = 60 * SECOND,
     AT(timeouts, resolve_ms),
     .doc = "Looking up a server's name."},
    {.name = "header",
     .type = SCHEMA_DURATION,
     .fallback = "10s",
     .least = 100,
     .most = 10 * 60 * SECOND,
     AT(timeouts, header_ms),
     .doc =
         "From the first byte of a request to the end of its head. Beyond: 408. A new connection "
         "that says nothing for as long is closed."},
    {.name = "idle",
     .type = SCHEMA_DURATION,
     .fallback = "75s",
     .least = 1 * SECOND,
     .most = DAY,
     AT(timeouts, idle_ms),
     .doc = "How long a client connection may wait for its next request."},
    {.name = "tunnel_idle",
     .type = SCHEMA_DURATION,
     .fallback = "1h",
     .least = 1 * SECOND,
     .most = 7 * DAY,
     AT(timeouts, tunnel_idle_ms),
     .doc = "How long a WebSocket or another tunnel may be silent in both directions."},
    {.name = "response",
     .type = SCHEMA_DURATION,
     .fallback = "600s",
     .least = 100,
     .most = DAY,
     AT(timeouts, response_ms),
     .doc = "From the request sent to the head of its response, and between two pieces of the "
            "response. Beyond: 504."},
    {.name = "drain",
     .type = SCHEMA_DURATION,
     .fallback = "30s",
     .least = 0,
     .most = DAY,
     AT(timeouts, drain_ms),
     .doc = "After SIGTERM, how long running exchanges and tunnels may go on."},
    {.name = "linger",
     .type = SCHEMA_DURATION,
     .fallback = "2s",
     .least = 0,
     .most = 60 * SECOND,
     AT(timeouts, linger_ms),
     .doc = "After our last byte, how long a client may go on reading before the connection is "
            "cut."},
    {.name = "minimum_rate",
     .type = SCHEMA_RATE,
     .word = "off",
     .fallback = "240B/s",
     .least = 1,
     .most = 1 * GIB,
     AT(timeouts, minimum_rate),
     .doc = "The slowest body that is still waited for. Beyond: 408, or the connection is cut."},
    {.name = "rate_grace",
     .type = SCHEMA_DURATION,
     .fallback = "10s",
     .least = 100,
     .most = HOUR,
     AT(timeouts, rate_grace_ms),
     .doc = "The time over which `minimum_rate` is measured."},
    {.name = "backend_idle",
     .type = SCHEMA_DURATION,
     .fallback = "60s",
     .least = 100,
     .most = DAY,
     AT(timeouts, backend_idle_ms),
     .doc = "How long an idle connection to a server is kept for the next request."},
    {.name = "ping",
     .type = SCHEMA_DURATION,
     .fallback = "15s",
     .least = 1 * SECOND,
     .most = HOUR,
     AT(timeouts, ping_ms),
     .doc = "How long a server's HTTP/2 connection may be silent while exchanges wait on it before "
            "it is asked with PING; it is closed when the answer takes as long again."},
    {.name = "dead_peer",
     .type = SCHEMA_DURATION,
     .fallback = "60s",
     .least = 5 * SECOND,
     .most = HOUR,
     AT(timeouts, dead_peer_ms),
     .doc = "How soon a peer that has vanished without a word is noticed (TCP keep-alive and user "
            "timeout)."},
    {.name = "session",
     .type = SCHEMA_DURATION,
     .fallback = "12h",
     .least = 60 * SECOND,
     .most = 12 * HOUR,
     AT(timeouts, session_ms),
     .doc = "How long a client can resume a TLS session; ticket keys are replaced every 12 h."},
};

static const struct schema_section TIMEOUTS = {
    .title = "timeouts",
    .keys = TIMEOUTS_KEYS,
    .key_count = COUNT(TIMEOUTS_KEYS),
};

/* --- the file ----------------------------------------------------------------------------------
 */

static const struct schema_key ROOT_KEYS[] = {
    {.name = "include",
     .type = SCHEMA_TEXT,
     .shape = SCHEMA_LIST,
     .doc =
         "More files, by name or pattern (`conf.d/*.yaml`), relative to this one. Their lists are "
         "appended, their groups are joined; a key that two files set is an error."},
    {.name = "enforcement",
     .type = SCHEMA_SECTION,
     .section = &ENFORCEMENT,
     .offset = offsetof(struct config, enforcement),
     .doc = "The policy that every hop is judged by."},
    {.name = "certificates",
     .type = SCHEMA_SECTION,
     .shape = SCHEMA_LIST,
     .section = &CERTIFICATE,
     .offset = offsetof(struct config, certificates),
     .beside = offsetof(struct config, certificate_count),
     .item_size = sizeof(struct config_certificate),
     .doc = "Our certificates with their keys. The files are read at the start."},
    {.name = "backends",
     .type = SCHEMA_SECTION,
     .shape = SCHEMA_NAMED,
     .section = &SCHEMA_BACKEND_SECTION,
     .offset = offsetof(struct config, backends),
     .beside = offsetof(struct config, backend_count),
     .item_size = sizeof(struct config_backend),
     .doc = "Named sets of servers that requests go to."},
    {.name = "listeners",
     .type = SCHEMA_SECTION,
     .shape = SCHEMA_LIST,
     .section = &SCHEMA_LISTENER_SECTION,
     .offset = offsetof(struct config, listeners),
     .beside = offsetof(struct config, listener_count),
     .item_size = sizeof(struct config_listener),
     .doc = "Addresses that clients connect to, and what is done there."},
    {.name = "gossip",
     .type = SCHEMA_SECTION,
     .shape = SCHEMA_LIST,
     .section = &SCHEMA_GOSSIP_SECTION,
     .offset = offsetof(struct config, gossip),
     .beside = offsetof(struct config, gossip_count),
     .item_size = sizeof(struct config_gossip),
     .doc = "Clusters whose gossip (memberlist) is encrypted with a shared key."},
    {.name = "tickets",
     .type = SCHEMA_SECTION,
     .section = &TICKETS,
     .offset = offsetof(struct config, tickets),
     .doc = "What session tickets are sealed with. Whether there are any is said by a listener's "
            "`tls.session_tickets`, and how long they last by `timeouts.session`."},
    {.name = "secrets",
     .type = SCHEMA_SECTION,
     .section = &SECRETS,
     .availability = SCHEMA_LATER,
     .doc = "Sealed credentials."},
    {.name = "admin",
     .type = SCHEMA_SECTION,
     .section = &ADMIN,
     .offset = offsetof(struct config, admin),
     .doc = "How the running instance is talked to."},
    {.name = "log",
     .type = SCHEMA_SECTION,
     .section = &LOG,
     .offset = offsetof(struct config, log),
     .doc = "What is logged, and where."},
    {.name = "limits",
     .type = SCHEMA_SECTION,
     .section = &LIMITS,
     .offset = offsetof(struct config, limits),
     .doc = "How much of everything is taken from a peer."},
    {.name = "timeouts",
     .type = SCHEMA_SECTION,
     .section = &TIMEOUTS,
     .offset = offsetof(struct config, timeouts),
     .doc = "How long everything is waited for."},
    {.name = "workers",
     .type = SCHEMA_NUMBER,
     .word = "auto",
     .fallback = "auto",
     .least = 1,
     .most = 1024,
     .offset = offsetof(struct config, workers),
     .doc = "Worker processes. `auto`: one a core."},
    {.name = "keyholders",
     .type = SCHEMA_NUMBER,
     .word = "auto",
     .fallback = "auto",
     .least = 1,
     .most = 1024,
     .offset = offsetof(struct config, keyholders),
     .doc = "Processes that hold the private keys and sign, all of them the same keys. Never more "
            "than workers. `auto`: one for every two workers."},
    {.name = "sandbox",
     .type = SCHEMA_CHOICE,
     CHOICES(SANDBOXES),
     .fallback = "general",
     .offset = offsetof(struct config, sandbox),
     .doc = "What the sandbox of workers lets pass."},
    {.name = "user",
     .type = SCHEMA_NAME,
     .word = "auto",
     .fallback = "auto",
     .offset = offsetof(struct config, user),
     .doc = "The account that the children run as when started by root. `auto`: `sallyport` if "
            "there is one, else `nobody`."},
};

static const struct schema_section ROOT = {
    .title = "the configuration",
    .keys = ROOT_KEYS,
    .key_count = COUNT(ROOT_KEYS),
};

const struct schema_section *schema_root(void)
{
    return &ROOT;
}
