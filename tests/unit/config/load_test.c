/* tests/unit/config/load_test.c · SPDX-License-Identifier: Apache-2.0
 *
 * The loader as the operator meets it: a file in, a model or sentences out. Files come from a
 * bundle laid over the file system, so that nothing is written to disk.
 */
#include "config/load.h"

#include <stdio.h>

#include "config/bundle.h"
#include "config/check.h"

struct file {
    const char *name;
    const char *text;
};

/* What most rows need: certificates, one listener with its backend. */
static const char HEAD[] = "certificates: [{name: chat, chain: chat.pem, key: chat.key}]\n"
                           "backends: {app: {servers: 'http://127.0.0.1:8065'}}\n";
static const char LISTENER[] =
    "listeners: [{name: web, address: '[::]:443', routes: [{backend: app}]}]\n";

static struct bundle *make_bundle(const struct file *files, size_t count)
{
    struct bundle *bundle = bundle_new();
    assert_non_null(bundle);
    for (size_t i = 0; i < count; i++) {
        assert_true(bundle_add(bundle, files[i].name, files[i].text, strlen(files[i].text)));
    }
    return bundle;
}

/* Loads "f" made of the parts; problems are joined with newlines into `problems`. */
static struct config *load_bundle(struct bundle *bundle, char *problems, size_t size)
{
    static const char *const EMPTY_FILES[] = {"chat.pem", "chat.key", "ca.pem",  "crl.pem",
                                              "both.pem", "password", "ocsp.der"};
    for (size_t i = 0; i < COUNT(EMPTY_FILES); i++) {
        assert_true(bundle_add(bundle, EMPTY_FILES[i], "", 0));
    }
    struct problem_list *list = problem_list_new();
    struct source source = source_files(bundle);
    struct config *config = config_load(&source, "f", list);
    problems[0] = '\0';
    for (size_t i = 0; problem_at(list, i) != NULL; i++) {
        char line[800];
        problem_format(problem_at(list, i), line, sizeof(line));
        size_t len = strlen(problems);
        (void)snprintf(problems + len, size - len, "%s%s", i == 0 ? "" : "\n", line);
    }
    assert_int_equal(config == NULL, problem_count(list) > 0);
    problem_list_free(list);
    return config;
}

static struct config *load_text(const char *first, const char *second, const char *third,
                                char *problems, size_t size)
{
    char text[4000];
    (void)snprintf(text, sizeof(text), "%s%s%s", first, second, third);
    struct bundle *bundle = make_bundle(&(struct file){"f", text}, 1);
    struct config *config = load_bundle(bundle, problems, size);
    bundle_free(bundle);
    return config;
}

static struct config *load_good(const char *first, const char *second, const char *third)
{
    char problems[4000];
    struct config *config = load_text(first, second, third, problems, sizeof(problems));
    assert_string_equal(problems, "");
    return config;
}

/* --- what is right -----------------------------------------------------------------------------
 */

static void a_short_file_gets_every_default(void **state)
{
    (void)state;
    struct config *config = load_good(HEAD, LISTENER, "");
    assert_int_equal(config->enforcement.mode, CONFIG_MODE_STRICT);
    assert_int_equal(config->enforcement.plaintext, CONFIG_PLAINTEXT_LOOPBACK);
    assert_int_equal(config->enforcement.minimum_rsa_bits, 2048);
    assert_int_equal(config->enforcement.cipher_policy, CONFIG_CIPHERS_AES256);
    assert_true(config->enforcement.verify_backends);
    assert_int_equal(config->workers, 0);
    assert_null(config->user);
    assert_int_equal(config->limits.header_bytes, 65536);
    assert_int_equal(config->limits.body_bytes, 104857600);
    assert_int_equal(config->limits.connections, 0);
    assert_int_equal(config->limits.requests_per_connection, 16384);
    assert_int_equal(config->limits.streams, 100);
    assert_int_equal(config->limits.connection_buffer_bytes, 4194304);
    assert_int_equal(config->timeouts.handshake_ms, 5000);
    assert_int_equal(config->timeouts.connect_ms, 10000);
    assert_int_equal(config->timeouts.tunnel_idle_ms, 3600000);
    assert_int_equal(config->timeouts.response_ms, 600000);
    assert_int_equal(config->timeouts.drain_ms, 30000);
    assert_int_equal(config->timeouts.minimum_rate, 240);
    assert_int_equal(config->timeouts.ping_ms, 15000);
    assert_string_equal(config->admin.address.path, "/run/sallyport/admin.sock");
    assert_string_equal(config->log.destination.word, "stderr");
    assert_int_equal(config->log.access, CONFIG_LOG_ACCESS_JSON);
    config_free(config);
}

static void http2_can_be_switched_off_and_made_the_only_one(void **state)
{
    static const struct {
        const char *alpn;
        const char *ids[2];
        size_t count;
    } ROWS[] = {
        {"[http/1.1]", {"http/1.1"}, 1},
        {"http/1.1", {"http/1.1"}, 1},
        {"h2", {"h2"}, 1},
        {"[http/1.1, h2]", {"http/1.1", "h2"}, 2},
    };
    (void)state;
    for (size_t i = 0; i < COUNT(ROWS); i++) {
        char text[200];
        (void)snprintf(text, sizeof(text),
                       "listeners: [{name: web, address: '[::]:443', tls: {alpn: %s},"
                       " default_backend: app}]\n",
                       ROWS[i].alpn);
        struct config *config = load_good(HEAD, text, "");
        const struct config_listener_tls *tls = &config->listeners[0].tls;
        assert_int_equal(tls->alpn_count, ROWS[i].count);
        for (size_t k = 0; k < ROWS[i].count; k++) {
            assert_string_equal(tls->alpn[k], ROWS[i].ids[k]);
        }
        config_free(config);
    }
}

static void a_listener_gets_every_default(void **state)
{
    (void)state;
    struct config *config = load_good(HEAD, LISTENER, "");
    const struct config_listener *listener = &config->listeners[0];
    assert_string_equal(listener->name, "web");
    assert_int_equal(listener->addresses[0].port, 443);
    assert_true(listener->tls.on);
    assert_int_equal(listener->tls.certificate_count, 1);
    assert_int_equal(listener->tls.alpn_count, 2);
    assert_string_equal(listener->tls.alpn[0], "h2");
    assert_string_equal(listener->tls.alpn[1], "http/1.1");
    assert_true(listener->tls.session_tickets);
    assert_int_equal(listener->hsts_ms, 31536000000);
    assert_int_equal(listener->redirect_status, 308);
    assert_false(listener->has_default_backend);
    assert_int_equal(listener->routes[0].host_kind, CONFIG_HOST_ANY);
    assert_string_equal(listener->routes[0].path, "/");
    assert_int_equal(listener->routes[0].backend, 0);
    assert_int_equal(listener->routes[0].place.line, 3);
    const struct config_backend *backend = &config->backends[0];
    assert_string_equal(backend->name, "app");
    assert_int_equal(backend->keepalive, 256);
    assert_int_equal(backend->max_connections, 0);
    assert_true(backend->secure_cookies);
    assert_null(backend->tls.server_name);
    assert_string_equal(backend->tls.ca.word, "system");
    assert_int_equal(backend->tls.pin_count, 0);
    config_free(config);
}

/* With a value of its own for most keys. */
static struct config *load_everything(void)
{
    return load_good(
        "enforcement:\n"
        "  {mode: report, plaintext: never, minimum_tls: 1.3, minimum_rsa_bits: 3072,\n"
        "   ciphers: [TLS_AES_256_GCM_SHA384, ECDHE-RSA-AES256-GCM-SHA384],\n"
        "   verify_backends: no,\n"
        "   waivers: [{hop: backend/app/0, reason: soon, expires: 2027-03-31}]}\n"
        "certificates:\n"
        "  - {name: edge, chain: both.pem, password: {file: password}, ocsp: auto}\n"
        "  - {name: chat, chain: chat.pem, key: chat.key, ocsp: ocsp.der}\n"
        "  - {name: edge, chain: chat.pem, key: chat.key, password: {env: PATH}}\n",
        "backends:\n"
        "  app:\n"
        "    servers: [https://a, 'https://b:8443']\n"
        "    balance: round_robin\n"
        "    tls: {ca: ca.pem, crl: crl.pem, server_name: x.example, certificate: chat,\n"
        "          pin: sha256/47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=}\n"
        "    proxy_protocol: v2\n"
        "    max_connections: 10\n"
        "    keepalive: off\n"
        "    host_header: backend\n"
        "    secure_cookies: off\n",
        "listeners:\n"
        "  - name: web\n"
        "    address: ['[::]:443', 'unix:/run/web.sock']\n"
        "    tls: {certificates: edge, client_ca: ca.pem, client_crl: crl.pem,\n"
        "          client_auth: optional, session_tickets: no}\n"
        "    proxy_protocol: accept\n"
        "    trusted_proxies: [10.0.0.0/8]\n"
        "    default_backend: app\n"
        "    hsts: off\n"
        "    security_headers: strict\n"
        "    forwarded: on\n"
        "    session_header: on\n"
        "  - {name: plain, address: '[::]:80', mode: redirect, redirect_status: 301}\n"
        "admin: {address: off}\n"
        "log: {access: errors_only, level: debug, destination: x.log}\n"
        "limits: {body_bytes: off, connections: 1000}\n"
        "timeouts: {idle: 1m, minimum_rate: off}\n"
        "workers: 3\n"
        "user: www-data\n");
}

static void check_enforcement_and_certificates(const struct config *config)
{
    assert_int_equal(config->enforcement.minimum_tls, CONFIG_TLS_1_3);
    assert_int_equal(config->enforcement.cipher_name_count, 2);
    assert_int_equal(config->enforcement.waivers[0].expires, 20270331);
    assert_true(config->certificates[0].key_in_chain);
    assert_string_equal(config->certificates[0].ocsp.word, "auto");
    assert_string_equal(config->certificates[1].ocsp.path, "ocsp.der");
    assert_int_equal(config->certificates[2].password.kind, CONFIG_SECRET_ENVIRONMENT);
}

static void check_listeners(const struct config *config)
{
    const struct config_listener *web = &config->listeners[0];
    assert_int_equal(web->address_count, 2);
    assert_true(web->tls.on);
    assert_int_equal(web->tls.certificate_count, 2);
    assert_int_equal(web->tls.certificates[1], 2);
    assert_int_equal(web->tls.client_auth, CONFIG_CLIENT_AUTH_OPTIONAL);
    assert_true(web->has_default_backend);
    assert_int_equal(web->hsts_ms, 0);
    assert_true(web->forwarded && web->session_header && !web->tls.session_tickets);
    assert_false(config->listeners[1].tls.on);
    assert_int_equal(config->listeners[1].redirect_status, 301);
}

static void check_backend(const struct config *config)
{
    const struct config_backend *app = &config->backends[0];
    assert_int_equal(app->server_count, 2);
    assert_int_equal(app->tls.certificates[0], 1);
    assert_int_equal(app->tls.pin_count, 1);
    assert_int_equal(app->keepalive, 0);
    assert_int_equal(app->proxy_protocol, CONFIG_PROXY_PROTOCOL_V2);
}

static void check_the_rest(const struct config *config)
{
    assert_int_equal(config->admin.address.kind, CONFIG_ADDRESS_NONE);
    assert_string_equal(config->log.destination.path, "x.log");
    assert_int_equal(config->limits.body_bytes, 0);
    assert_int_equal(config->timeouts.minimum_rate, 0);
    assert_int_equal(config->workers, 3);
    assert_string_equal(config->user, "www-data");
}

static void everything_that_is_written_arrives(void **state)
{
    (void)state;
    struct config *config = load_everything();
    check_enforcement_and_certificates(config);
    check_listeners(config);
    check_backend(config);
    check_the_rest(config);
    config_free(config);
}

static void tls_is_on_unless_it_is_said_to_be_off(void **state)
{
    static const struct {
        const char *tls;
        bool on;
    } ROWS[] = {
        {"tls: {}", true},     {"tls: {client_auth: none}", true},
        {"tls: on", true},     {"tls: yes", true},
        {"tls:", true},        {"mode: http", true},
        {"tls: off", false},   {"tls: no", false},
        {"tls: false", false},
    };
    (void)state;
    for (size_t i = 0; i < COUNT(ROWS); i++) {
        char line[200];
        (void)snprintf(line, sizeof(line),
                       "listeners: [{name: a, address: '[::]:1', default_backend: app, %s }]\n",
                       ROWS[i].tls);
        struct config *config = load_good(HEAD, line, "");
        assert_int_equal(config->listeners[0].tls.on, ROWS[i].on);
        config_free(config);
    }
}

static void keys_that_ask_for_nothing_are_fine(void **state)
{
    (void)state;
    config_free(load_good(HEAD, LISTENER,
                          "admin: {metrics: off, dashboard: no}\n"
                          "x-own: &limits {uri_bytes: 8KiB}\n"
                          "limits: {<<: *limits}\n"
                          "timeouts:\n"));
}

/* --- what is wrong -----------------------------------------------------------------------------
 */

struct wrong_row {
    const char *text;
    const char *problems;
};

static void check_wrong(const char *first, const char *second, const struct wrong_row *rows,
                        size_t count)
{
    for (size_t i = 0; i < count; i++) {
        char problems[4000];
        struct config *config = load_text(first, second, rows[i].text, problems, sizeof(problems));
        config_free(config);
        assert_string_equal(problems, rows[i].problems);
    }
}

static void refuses_keys(void **state)
{
    static const struct wrong_row ROWS[] = {
        {"timeuots: {}\n", "f:4:1: 'timeuots' is not a key of the configuration; did you mean "
                           "'timeouts'?"},
        {"log: {idle: 5s}\n", "f:4:7: 'idle' is not a key of log; did you mean 'timeouts.idle'?"},
        {"log: {frobnicate: 5s}\n", "f:4:7: 'frobnicate' is not a key of log; expected one that "
                                    "`sallyport config reference` lists"},
        {"log: {}\nlog: {}\n",
         "f:5:1: 'log' is given twice; expected once, the first is at line 4"},
        {"secrets: {provider: {file: x}}\n",
         "f:4:1: 'secrets' is not available yet; expected it to be left out"},
        {"admin: {dashboard: true}\n",
         "f:4:9: 'dashboard' is not available yet; expected it to be left out"},
        {"admin: {metrics: '127.0.0.1:9090'}\n",
         "f:4:9: 'metrics' is not available yet; expected it to be left out"},
        {"log: info\n", "f:4:6: log is a single value; expected a group of keys"},
        {"log: {level: [info]}\n", "f:4:14: level is a list; expected error, warn, info or debug"},
    };
    (void)state;
    check_wrong(HEAD, LISTENER, ROWS, COUNT(ROWS));
}

static void refuses_values(void **state)
{
    static const struct wrong_row ROWS[] = {
        {"timeouts: {idle: 75}\n", "f:4:18: idle: '75' has no unit; expected a duration such as "
                                   "500ms, 5s, 10m, 1h or 1d, from 1s to 1d"},
        {"timeouts: {idle: 64KiB}\n",
         "f:4:18: idle: '64KiB' has an unknown unit; expected a duration such as 500ms, 5s, 10m, "
         "1h or 1d, from 1s to 1d"},
        {"timeouts: {idle: 2d}\n", "f:4:18: idle: '2d' is out of range; expected a duration such "
                                   "as 500ms, 5s, 10m, 1h or 1d, from 1s to 1d"},
        {"timeouts: {idle: }\n", "f:4:18: idle has no value; expected a duration such as 500ms, "
                                 "5s, 10m, 1h or 1d, from 1s to 1d"},
        {"timeouts: {minimum_rate: 240B}\n",
         "f:4:26: minimum_rate: '240B' has no /s at its end; expected a rate such as 240B/s or "
         "1KiB/s, from 1B/s to 1GiB/s, or off"},
        {"limits: {body_bytes: 100MB}\n",
         "f:4:22: body_bytes: '100MB' has an unknown unit; expected a size such as 512B, 64KiB or "
         "100MiB, from 1B to 1024GiB, or off"},
        {"limits: {streams: 1001}\n", "f:4:19: streams: '1001' is out of range; expected a whole "
                                      "number, from 1 to 1000"},
        {"limits: {connection_buffer_bytes: 64KiB}\n",
         "f:4:35: connection_buffer_bytes: '64KiB' is out of range; expected a size such as 512B, "
         "64KiB or 100MiB, from 256KiB to 64MiB"},
        {"timeouts: {ping: 500ms}\n",
         "f:4:18: ping: '500ms' is out of range; expected a duration such as 500ms, 5s, 10m, 1h or "
         "1d, from 1s to 1h"},
        {"workers: many\n", "f:4:10: workers: 'many' is not a whole number; expected a whole "
                            "number, from 1 to 1024, or auto"},
        {"workers: 0\n", "f:4:10: workers: '0' is out of range; expected a whole number, from 1 "
                         "to 1024, or auto"},
        {"log: {level: inof}\n", "f:4:14: level: 'inof' is not one of the choices; expected "
                                 "error, warn, info or debug; did you mean 'info'?"},
        {"log: {level: loud}\n", "f:4:14: level: 'loud' is not one of the choices; expected "
                                 "error, warn, info or debug"},
        {"enforcement: {minimum_tls: '1.1'}\n",
         "f:4:28: minimum_tls: '1.1' can never be allowed: TLS 1.1 is deprecated (RFC 8996); "
         "expected 1.2 or 1.3"},
        {"enforcement: {minimum_rsa_bits: 1024}\n",
         "f:4:33: minimum_rsa_bits: '1024' is out of range; expected a whole number, from 2048 to "
         "16384"},
        {"enforcement: {verify_backends: maybe}\n",
         "f:4:32: verify_backends: 'maybe' is neither yes nor no; expected yes or no"},
        {"admin: {address: '0.0.0.0:9000'}\n",
         "f:4:18: the admin socket would be open to the network; expected unix:/PATH or a "
         "loopback address"},
        {"admin: {address: 'localhost:9000'}\n",
         "f:4:18: address: 'localhost:9000' is not an IP address; expected IP:PORT, [IP6]:PORT or "
         "unix:/PATH, or off"},
        {"limits: {uri_bytes: 64KiB, header_bytes: 32KiB}\n",
         "f: limits: uri_bytes is larger than header_bytes, which counts it; expected it to be "
         "smaller"},
        {"user: 'a b'\n",
         "f:4:7: user: 'a b' holds something else than letters, digits, '-', '_' and '.'; "
         "expected a name of letters, digits, '-', '_' and '.', or auto"},
    };
    (void)state;
    check_wrong(HEAD, LISTENER, ROWS, COUNT(ROWS));
}

static void refuses_waivers(void **state)
{
    static const struct wrong_row ROWS[] = {
        {"enforcement: {waivers: [{hop: backend/ap/0, reason: x, expires: 2027-01-01}]}\n",
         "f:4:25: there is no hop 'backend/ap/0'; expected a name that `sallyport check` prints; "
         "did you mean 'backend/app/0'?"},
        {"enforcement: {waivers: [{hop: nothing/like/it, reason: x, expires: 2027-01-01}]}\n",
         "f:4:25: there is no hop 'nothing/like/it'; expected a name that `sallyport check` "
         "prints"},
        {"enforcement: {waivers: [{hop: backend/app/0, reason: x, expires: 2027-02-30}]}\n",
         "f:4:66: expires: '2027-02-30' is not a day of the calendar; expected a date as "
         "YYYY-MM-DD"},
        {"enforcement: {waivers: [{hop: backend/app/0, reason: x, expires: soon}]}\n",
         "f:4:66: expires: 'soon' is not a date; expected a date as YYYY-MM-DD"},
        {"enforcement: {waivers: [{hop: backend/app/0, expires: 2027-01-01}]}\n",
         "f:4:25: 'reason' is missing in a waiver; expected text"},
        {"enforcement: {waivers: [{hop: backend/app/0, reason: '', expires: 2027-01-01}]}\n",
         "f:4:54: reason: '' is empty; expected text"},
        {"enforcement: {waivers: [{hop: backend/app/0, reason: x}]}\n",
         "f:4:25: 'expires' is missing in a waiver; expected a date as YYYY-MM-DD"},
        {"enforcement: {waivers: {hop: backend/app/0}}\n",
         "f:4:24: waivers is a group of keys; expected a list of groups of keys"},
    };
    (void)state;
    check_wrong(HEAD, LISTENER, ROWS, COUNT(ROWS));
}

static void refuses_certificates(void **state)
{
    static const struct wrong_row ROWS[] = {
        {"certificates: [{name: a, chain: nope.pem}]\n",
         "f:3:33: chain: 'nope.pem' does not exist; expected a file that can be read"},
        {"certificates: [{name: a, chain: /}]\n",
         "f:3:33: chain: '/' cannot be read; expected a file that can be read"},
        {"certificates: [{chain: chat.pem}]\n",
         "f:3:16: 'name' is missing in a certificate; expected a name of letters, digits, '-', "
         "'_' and '.'"},
        {"certificates: [{name: a}]\n",
         "f:3:16: 'chain' is missing in a certificate; expected a PEM or PKCS#12 file"},
        {"certificates: [{name: a, chain: chat.pem, password: hunter2}]\n",
         "f:3:53: password: a secret cannot stand in the file; expected a reference: {file: PATH} "
         "or {env: NAME}"},
        {"certificates: [{name: a, chain: chat.pem, password: {file: nope}}]\n",
         "f:3:60: password: 'nope' does not exist; expected a file that can be read"},
        {"certificates: [{name: a, chain: chat.pem, password: {env: SALLYPORT_NOT_SET}}]\n",
         "f:3:59: password: the environment variable SALLYPORT_NOT_SET is not set; expected it to "
         "hold the secret"},
        {"certificates: [{name: a, chain: chat.pem, password: {env: 'A B'}}]\n",
         "f:3:59: password: not the name of an environment variable; expected a name such as "
         "KEY_PASSWORD"},
        {"certificates: [{name: a, chain: chat.pem, password: {secret: 1234}}]\n",
         "f:3:54: password: sealed secrets are not available yet; expected {file: PATH} or {env: "
         "NAME}"},
        {"certificates: [{name: a, chain: chat.pem, password: {vault: x}}]\n",
         "f:3:54: password: not a kind of reference; expected {file: PATH} or {env: NAME}"},
        {"certificates: [{name: a, acme: {domains: [a.b]}}]\n",
         "f:3:26: 'acme' is not available yet; expected it to be left out"},
        {"", "f:2:13: listener 'web' has TLS but no certificate; expected one under "
             "'certificates', or 'tls: off'"},
    };
    (void)state;
    check_wrong("backends: {app: {servers: 'http://127.0.0.1:8065'}}\n", LISTENER, ROWS,
                COUNT(ROWS));
}

static void refuses_listeners(void **state)
{
    static const struct wrong_row ROWS[] = {
        {"",
         "f: no listener; expected at least one under 'listeners', or a cluster under 'gossip'"},
        {"listeners: []\n",
         "f: no listener; expected at least one under 'listeners', or a cluster under 'gossip'"},
        {"listeners: [{address: '[::]:1', default_backend: app}]\n",
         "f:3:13: 'name' is missing in a listener; expected a name of letters, digits, '-', '_' "
         "and '.'"},
        {"listeners: [{name: a, default_backend: app}]\n",
         "f:3:13: 'address' is missing in a listener; expected IP:PORT, [IP6]:PORT or unix:/PATH"},
        {"listeners: [{name: a, address: [], default_backend: app}]\n",
         "f:3:32: address is an empty list; expected IP:PORT, [IP6]:PORT or unix:/PATH"},
        {"listeners: [{name: a, address: ':443', default_backend: app}]\n",
         "f:3:32: address: ':443' has no usable host; expected IP:PORT, [IP6]:PORT or unix:/PATH"},
        {"listeners: [{name: a, address: '[::]:1'}]\n",
         "f:3:13: listener 'a' leads nowhere; expected 'routes' or 'default_backend'"},
        {"listeners: [{name: a, address: '[::]:1', mode: tcp, tls: off}]\n",
         "f:3:48: mode: 'tcp' is not available yet; expected http or redirect"},
        {"listeners: [{name: a, address: '[::]:1', mode: redirect, default_backend: app}]\n",
         "f:3:13: listener 'a' redirects everything, so its routes would never be used; expected "
         "'mode: http', or no routes"},
        {"listeners: [{name: a, address: '[::]:1', default_backend: app},\n"
         "            {name: a, address: '[::]:2', default_backend: app}]\n",
         "f:4:13: a second listener is called 'a'; expected each name once, the first is at line "
         "3"},
        {"listeners: [{name: a, address: '[::]:1', default_backend: app},\n"
         "            {name: b, address: '127.0.0.1:1', default_backend: app}]\n",
         "f:4:32: '127.0.0.1:1' clashes with '[::]:1' of 'a' at line 3; expected another address "
         "or port"},
        {"listeners: [{name: a, address: 'unix:/run/sallyport/admin.sock', default_backend: "
         "app}]\n",
         "f:3:32: 'unix:/run/sallyport/admin.sock' clashes with 'unix:/run/sallyport/admin.sock' "
         "of 'a' at line 3; expected another address or port"},
        {"listeners: [{name: a, address: '[::]:1', default_backend: app, starttls: ldap}]\n",
         "f:3:64: 'starttls' is not available yet; expected it to be left out"},
        {"listeners: [{name: a, address: '[::]:1', default_backend: app, require: ssh}]\n",
         "f:3:64: 'require' is not available yet; expected it to be left out"},
        {"listeners: [{name: a, address: '[::]:1', default_backend: app, "
         "proxy_protocol: accept}]\n",
         "f:3:13: proxy_protocol is accepted from nobody; expected networks as "
         "'trusted_proxies'"},
        {"listeners: [{name: a, address: '[::]:1', default_backend: app, "
         "trusted_proxies: [10.0.0.1/8]}]\n",
         "f:3:82: trusted_proxies: '10.0.0.1/8' has bits set beyond its prefix; expected a "
         "network such as 10.0.0.0/8, 2001:db8::/32 or 192.0.2.7"},
    };
    (void)state;
    check_wrong(HEAD, "", ROWS, COUNT(ROWS));
}

static void refuses_listener_tls(void **state)
{
    static const struct wrong_row ROWS[] = {
        {"{certificates: [chta]}",
         "f:3:85: certificates: there is no certificate 'chta'; expected a name under "
         "'certificates'; did you mean 'chat'?"},
        {"{certificates: []}",
         "f:3:84: certificates is an empty list; expected the name of a certificate, or all"},
        {"{client_auth: required}",
         "f:3:69: client_auth asks for certificates that nobody could have signed; expected a "
         "file as client_ca"},
        {"{client_ca: ca.pem}",
         "f:3:81: client_ca has no effect without client_auth; expected 'client_auth: required' "
         "or 'optional' beside it"},
        {"{client_crl: crl.pem}",
         "f:3:82: client_crl has no effect without client_ca; expected client_ca beside it"},
        {"{alpn: [h3]}", "f:3:77: alpn: 'h3' is not one of the choices; expected h2 or http/1.1"},
        {"maybe", "f:3:69: tls: 'maybe' is neither off nor a group of keys; expected a group of "
                  "keys, or off"},
        {"[a]", "f:3:69: tls is a list; expected a group of keys, or off"},
    };
    (void)state;
    for (size_t i = 0; i < COUNT(ROWS); i++) {
        char line[300];
        (void)snprintf(line, sizeof(line),
                       "listeners: [{name: a, address: '[::]:1', default_backend: app, tls: %s}]\n",
                       ROWS[i].text);
        const struct wrong_row row = {line, ROWS[i].problems};
        check_wrong(HEAD, "", &row, 1);
    }
}

static void refuses_routes(void **state)
{
    static const struct wrong_row ROWS[] = {
        {"{backend: ap}", "f:3:61: backend: there is no backend 'ap'; expected a name under "
                          "'backends'; did you mean 'app'?"},
        {"{host: a.b}", "f:3:51: 'backend' is missing in a route; expected the name of a backend"},
        {"{backend: app, host: 'a.b:443'}",
         "f:3:72: host: 'a.b:443' is more than a host name; expected a host name, *.NAME, an IP "
         "address or *"},
        {"{backend: app, path: app}",
         "f:3:72: path: 'app' does not start with a slash; expected a path such as / or /app"},
        {"{backend: app, host: A.b}, {backend: app, host: a.B, path: /}",
         "f:3:78: this route has the same host and path as the one at line 3; expected each "
         "once"},
    };
    (void)state;
    for (size_t i = 0; i < COUNT(ROWS); i++) {
        char line[300];
        (void)snprintf(line, sizeof(line),
                       "listeners: [{name: a, address: '[::]:1', routes: [%s]}]\n", ROWS[i].text);
        const struct wrong_row row = {line, ROWS[i].problems};
        check_wrong(HEAD, "", &row, 1);
    }
}

static void refuses_backends(void **state)
{
    static const struct wrong_row ROWS[] = {
        {"{}", "f:3:12: 'servers' is missing in a backend; expected http://HOST:PORT, "
               "https://HOST:PORT, h2://HOST:PORT, h2c://HOST:PORT or unix:/PATH"},
        {"{servers: []}", "f:3:25: servers is an empty list; expected http://HOST:PORT, "
                          "https://HOST:PORT, h2://HOST:PORT, h2c://HOST:PORT or unix:/PATH"},
        {"{servers: 'x:80'}", "f:3:25: servers: 'x:80' has no scheme; expected http://HOST:PORT, "
                              "https://HOST:PORT, h2://HOST:PORT, h2c://HOST:PORT or unix:/PATH"},
        {"{servers: 'http://u:secret@x'}",
         "f:3:25: servers: this URL holds a user name or password; expected http://HOST:PORT, "
         "https://HOST:PORT, h2://HOST:PORT, h2c://HOST:PORT or unix:/PATH"},
        {"{servers: 'tcp://x:1'}",
         "f:3:25: servers: 'tcp://x:1' has a scheme that is not available yet; expected "
         "http://HOST:PORT, https://HOST:PORT, h2://HOST:PORT, h2c://HOST:PORT or unix:/PATH"},
        {"{servers: 'h3://x'}",
         "f:3:25: servers: 'h3://x' has an unknown scheme; expected "
         "http://HOST:PORT, https://HOST:PORT, h2://HOST:PORT, h2c://HOST:PORT or unix:/PATH"},
        {"{servers: 'h2c://x', tls: {ca: ca.pem}}",
         "f:3:41: no server of backend 'b' speaks TLS; expected an https:// or h2:// server, or no "
         "'tls'"},
        {"{servers: ['http://x', 'https://X:80']}",
         "f:3:38: 'https://X:80' is the same server as 'http://x'; expected each once"},
        {"{servers: 'http://x', tls: {ca: ca.pem}}",
         "f:3:42: no server of backend 'b' speaks TLS; expected an https:// or h2:// server, or no "
         "'tls'"},
        {"{servers: 'http://x', balance: random_two}",
         "f:3:46: balance: 'random_two' is not available yet; expected least_requests or "
         "round_robin"},
        {"{servers: 'http://x', health: {path: /}}",
         "f:3:37: 'health' is not available yet; expected it to be left out"},
        {"{servers: 'https://x', tls: {pin: abc}}",
         "f:3:49: pin: 'abc' is not a pin; expected sha256/ and 32 bytes in base64, or none"},
        {"{servers: 'https://x', tls: {server_name: 'a b'}}",
         "f:3:57: server_name: 'a b' is not a host name; expected a host name, or auto"},
    };
    (void)state;
    for (size_t i = 0; i < COUNT(ROWS); i++) {
        char line[300];
        (void)snprintf(line, sizeof(line), "backends: {b: %s}\n", ROWS[i].text);
        const struct wrong_row row = {line, ROWS[i].problems};
        check_wrong("certificates: [{name: chat, chain: chat.pem, key: chat.key}]\n",
                    "listeners: [{name: a, address: '[::]:1', default_backend: b}]\n", &row, 1);
    }
}

static void tells_everything_at_once(void **state)
{
    char problems[4000];
    (void)state;
    struct config *config = load_text(HEAD, LISTENER,
                                      "log: {level: x, acess: json}\n"
                                      "workers: -1\n"
                                      "limits: {uri_bytes: 1}\n",
                                      problems, sizeof(problems));
    assert_null(config);
    size_t lines = 1;
    for (const char *at = problems; *at != '\0'; at++) {
        lines += *at == '\n' ? 1 : 0;
    }
    assert_int_equal(lines, 4);
}

static void a_secret_is_never_repeated(void **state)
{
    char problems[4000];
    (void)state;
    struct config *config = load_text(
        "certificates: [{name: a, chain: chat.pem, password: hunter2}]\n",
        "backends: {b: {servers: 'http://u:hunter2@x'}}\n", "", problems, sizeof(problems));
    assert_null(config);
    assert_null(strstr(problems, "hunter2"));
}

/* --- files -------------------------------------------------------------------------------------
 */

static void included_files_are_joined(void **state)
{
    static const struct file FILES[] = {
        {"f", "include: [conf.d/*.yaml, more.yaml]\n"
              "certificates: [{name: chat, chain: chat.pem, key: chat.key}]\n"
              "limits: {uri_bytes: 1KiB}\n"},
        {"conf.d/b.yaml", "backends: {b: {servers: 'http://127.0.0.1:2'}}\n"
                          "limits: {body_bytes: 1MiB}\n"},
        {"conf.d/a.yaml", "backends: {a: {servers: 'http://127.0.0.1:1'}}\n"
                          "listeners: [{name: a, address: '[::]:1', default_backend: b}]\n"},
        {"conf.d/.hidden.yaml", "nonsense: 1\n"},
        {"conf.d/deep/c.yaml", "nonsense: 1\n"},
        {"more.yaml", "listeners: [{name: b, address: '[::]:2', default_backend: a}]\n"},
    };
    (void)state;
    struct bundle *bundle = make_bundle(FILES, COUNT(FILES));
    assert_true(bundle_add(bundle, "chat.pem", "", 0));
    struct problem_list *problems = problem_list_new();
    struct source source = source_bundle(bundle);
    struct config *config = config_load(&source, "f", problems);
    assert_int_equal(problem_count(problems), 0);
    assert_non_null(config);
    assert_int_equal(config->file_count, 4);
    assert_string_equal(config->files[1], "conf.d/a.yaml");
    assert_int_equal(config->listener_count, 2);
    assert_string_equal(config->listeners[1].name, "b");
    assert_string_equal(config->listeners[1].place.file, "more.yaml");
    assert_int_equal(config->backend_count, 2);
    assert_int_equal(config->limits.uri_bytes, 1024);
    assert_int_equal(config->limits.body_bytes, 1048576);
    config_free(config);
    problem_list_free(problems);
    bundle_free(bundle);
}

static void check_includes(const struct file *files, size_t count, const char *expected)
{
    char problems[2000];
    struct bundle *bundle = make_bundle(files, count);
    struct problem_list *list = problem_list_new();
    struct source source = source_bundle(bundle);
    assert_null(config_load(&source, "f", list));
    problem_format(problem_at(list, 0), problems, sizeof(problems));
    assert_string_equal(problems, expected);
    problem_list_free(list);
    bundle_free(bundle);
}

static void refuses_includes(void **state)
{
    (void)state;
    const struct file circle[] = {{"f", "include: g\n"}, {"g", "include: f\n"}};
    check_includes(circle, 2, "g:1:10: includes 'f', which includes this file; expected no circle");
    const struct file self[] = {{"f", "include: f\n"}};
    check_includes(self, 1, "f:1:10: includes 'f', which includes this file; expected no circle");
    const struct file twice[] = {{"f", "include: [g, g]\n"}, {"g", "log: {}\n"}};
    check_includes(twice, 2, "f:1:14: 'g' is included already; expected once");
    const struct file missing[] = {{"f", "include: g\n"}};
    check_includes(missing, 1, "f:1:10: 'g' does not exist; expected a file or a pattern");
    const struct file group[] = {{"f", "include: {a: b}\n"}};
    check_includes(group, 1,
                   "f:1:10: not a file name; expected a name or a pattern such as "
                   "conf.d/*.yaml");
    const struct file list[] = {{"f", "include: g\n"}, {"g", "- a\n"}};
    check_includes(list, 2, "g:1:1: a list; expected keys such as 'listeners:'");
    const struct file both[] = {{"f", "include: g\nworkers: 1\n"}, {"g", "workers: 2\n"}};
    check_includes(both, 2, "g:1:1: 'workers' is given twice; expected once, the first is at f:2");
    const struct file nested[] = {{"f", "include: g\nlog: {level: info}\n"},
                                  {"g", "log: {level: warn}\n"}};
    check_includes(nested, 2, "g:1:7: 'level' is given twice; expected once, the first is at f:2");
}

static void too_deep_includes_are_refused(void **state)
{
    struct file files[12];
    char names[12][8];
    char texts[12][32];
    (void)state;
    for (size_t i = 0; i < COUNT(files); i++) {
        (void)snprintf(names[i], sizeof(names[i]), i == 0 ? "f" : "g%zu", i);
        (void)snprintf(texts[i], sizeof(texts[i]), "include: g%zu\n", i + 1);
        files[i] = (struct file){names[i], texts[i]};
    }
    check_includes(files, COUNT(files),
                   "g7:1:10: too many files; expected at most 100, included "
                   "at most 8 levels deep");
}

static void a_missing_file_is_told(void **state)
{
    (void)state;
    struct problem_list *list = problem_list_new();
    struct source source = source_files(NULL);
    assert_null(config_load(&source, "/nonexistent/sallyport.yaml", list));
    char line[200];
    problem_format(problem_at(list, 0), line, sizeof(line));
    assert_string_equal(line, "/nonexistent/sallyport.yaml: '/nonexistent/sallyport.yaml' does "
                              "not exist; expected a YAML file");
    problem_list_free(list);
}

struct listed {
    char text[2000];
};

static void list_file(void *self, enum config_file_kind kind, const char *path,
                      const struct place *place)
{
    struct listed *listed = self;
    size_t len = strlen(listed->text);
    assert_non_null(place);
    (void)snprintf(listed->text + len, sizeof(listed->text) - len, "%d:%s ", (int)kind, path);
}

static void every_file_is_listed_with_its_kind(void **state)
{
    (void)state;
    struct config *config =
        load_good("certificates:\n"
                  "  - {name: a, chain: chat.pem, key: chat.key, password: {file: password}}\n"
                  "  - {name: b, chain: both.pem, ocsp: ocsp.der}\n"
                  "  - {name: c, chain: chat.pem, key: both.pem}\n",
                  "backends: {app: {servers: https://x, tls: {ca: ca.pem, crl: crl.pem}}}\n",
                  "listeners: [{name: a, address: '[::]:1', default_backend: app,\n"
                  "             tls: {client_ca: ca.pem, client_auth: required}}]\n");
    struct listed listed = {{0}};
    config_files(config, list_file, &listed);
    assert_string_equal(listed.text, "0:f 1:chat.pem 2:chat.key 4:password 3:both.pem 7:ocsp.der "
                                     "2:both.pem 5:ca.pem 6:crl.pem ");
    assert_true(config_path_is_private(config, "chat.key"));
    assert_true(config_path_is_private(config, "both.pem"));
    assert_true(config_path_is_private(config, "password"));
    assert_false(config_path_is_private(config, "chat.pem"));
    assert_false(config_path_is_private(config, "ca.pem"));
    config_free(config);
}

static void a_bundle_without_private_files_loads_the_same(void **state)
{
    (void)state;
    const struct file files[] = {
        {"/etc/s/f", "certificates: [{name: chat, chain: chat.pem, key: chat.key,\n"
                     "                password: {env: SALLYPORT_NOT_SET}}]\n"
                     "backends: {app: {servers: 'http://127.0.0.1:8065'}}\n"
                     "listeners: [{name: web, address: '[::]:443', default_backend: app}]\n"}};
    struct bundle *bundle = make_bundle(files, 1);
    struct problem_list *list = problem_list_new();
    struct source source = source_bundle(bundle);
    struct config *config = config_load(&source, "/etc/s/f", list);
    assert_int_equal(problem_count(list), 0);
    assert_string_equal(config->certificates[0].key.path, "/etc/s/chat.key");
    config_free(config);
    problem_list_free(list);
    bundle_free(bundle);
}

static void the_example_loads(void **state)
{
    (void)state;
    const struct file files[] = {{"deploy/examples/chat.pem", ""},
                                 {"deploy/examples/chat.key", ""},
                                 {"deploy/examples/internal-ca.pem", ""}};
    struct bundle *bundle = make_bundle(files, COUNT(files));
    struct problem_list *list = problem_list_new();
    struct source source = source_files(bundle);
    struct config *config = config_load(&source, "deploy/examples/sallyport.yaml", list);
    problem_list_print(list, stderr);
    assert_int_equal(problem_count(list), 0);
    config_free(config);
    problem_list_free(list);
    bundle_free(bundle);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_short_file_gets_every_default),
        cmocka_unit_test(a_listener_gets_every_default),
        cmocka_unit_test(http2_can_be_switched_off_and_made_the_only_one),
        cmocka_unit_test(everything_that_is_written_arrives),
        cmocka_unit_test(tls_is_on_unless_it_is_said_to_be_off),
        cmocka_unit_test(keys_that_ask_for_nothing_are_fine),
        cmocka_unit_test(refuses_keys),
        cmocka_unit_test(refuses_values),
        cmocka_unit_test(refuses_waivers),
        cmocka_unit_test(refuses_certificates),
        cmocka_unit_test(refuses_listeners),
        cmocka_unit_test(refuses_listener_tls),
        cmocka_unit_test(refuses_routes),
        cmocka_unit_test(refuses_backends),
        cmocka_unit_test(tells_everything_at_once),
        cmocka_unit_test(a_secret_is_never_repeated),
        cmocka_unit_test(included_files_are_joined),
        cmocka_unit_test(refuses_includes),
        cmocka_unit_test(too_deep_includes_are_refused),
        cmocka_unit_test(a_missing_file_is_told),
        cmocka_unit_test(every_file_is_listed_with_its_kind),
        cmocka_unit_test(a_bundle_without_private_files_loads_the_same),
        cmocka_unit_test(the_example_loads),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
