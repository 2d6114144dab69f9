/* tests/unit/proxy/relay/relay_tls_test.c
 *
 * What is offered to the servers of a backend, read from the ClientHello that each would get, and
 * by what they are verified.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "proxy/relay/relay_tls.h"

#include "config/load.h"
#include "crypto/tls_rig.h"

enum { HELLO_BYTES = 4096 };

static const char TEXT[] =
    "enforcement: {verify_backends: no}\n"
    "listeners: [{name: web, address: '127.0.0.1:1', tls: off, default_backend: app}]\n"
    "backends:\n"
    "  plain: {servers: ['http://a', 'h2c://b', 'unix:/c']}\n"
    "  app: {servers: ['https://a', 'h2://b', 'http://c', 'h2c://d', 'unix:/e', 'https://f'],\n"
    "        tls: {ca: ca.pem}}\n"
    "  first: {servers: ['https://g']}\n"
    "  second: {servers: ['https://h']}\n";

struct stage {
    struct rig_authority authority;
    struct bundle *bundle;
    struct config *config;
    struct relay_tls *tls;
};

static void add_authority(struct stage *stage)
{
    char pem[HELLO_BYTES];
    rig_authority_init(&stage->authority, "rig authority");
    BIO *bio = BIO_new(BIO_s_mem());
    assert_int_equal(PEM_write_bio_X509(bio, stage->authority.certificate), 1);
    int len = BIO_read(bio, pem, sizeof(pem));
    assert_true(len > 0);
    BIO_free(bio);
    assert_true(bundle_add(stage->bundle, "ca.pem", pem, (size_t)len));
    assert_true(bundle_add(stage->bundle, RELAY_SYSTEM_CA, pem, (size_t)len));
}

static int stage_init(void **state)
{
    struct stage *stage = calloc(1, sizeof(*stage));
    stage->bundle = bundle_new();
    add_authority(stage);
    assert_true(bundle_add(stage->bundle, "f", TEXT, strlen(TEXT)));
    struct problem_list *problems = problem_list_new();
    struct source source = source_bundle(stage->bundle);
    stage->config = config_load(&source, "f", problems);
    problem_list_print(problems, stderr);
    problem_list_free(problems);
    assert_non_null(stage->config);
    const struct relay_start start = {.config = stage->config, .bundle = stage->bundle};
    struct relay_error error = {{0}};
    enum status status = relay_tls_open(&stage->tls, &start, &error);
    if (status != STATUS_OK) {
        fail_msg("relay_tls_open: %d %s", (int)status, error.text);
    }
    *state = stage;
    return 0;
}

static int stage_fini(void **state)
{
    struct stage *stage = *state;
    relay_tls_close(stage->tls);
    config_free(stage->config);
    bundle_free(stage->bundle);
    rig_authority_fini(&stage->authority);
    free(stage);
    return 0;
}

/* The protocols in the ClientHello's ALPN extension (RFC 7301 §3.1) as "h2 http/1.1 ". */
static void read_offer(struct tls_client *client, char out[HELLO_BYTES])
{
    uint8_t hello[HELLO_BYTES];
    SSL *ssl = tls_client_ssl_new(client, "a");
    assert_non_null(ssl);
    BIO *sent = BIO_new(BIO_s_mem());
    SSL_set_bio(ssl, BIO_new(BIO_s_mem()), sent);
    assert_int_equal(SSL_do_handshake(ssl), -1);
    ERR_clear_error();
    int len = BIO_read(sent, hello, sizeof(hello));
    assert_true(len > 0);
    SSL_free(ssl);
    out[0] = '\0';
    /* Type 16, its length, the length of the list: told from other bytes by agreeing. */
    for (const uint8_t *at = hello; at + 6 < hello + len; at++) {
        size_t whole = (size_t)at[2] << 8 | at[3];
        size_t list = (size_t)at[4] << 8 | at[5];
        if (at[0] != 0 || at[1] != 16 || whole != list + 2 || list < 3 ||
            at + 6 + list > hello + len || at[7] != 'h') {
            continue;
        }
        for (const uint8_t *id = at + 6; id < at + 6 + list; id += 1 + *id) {
            size_t used = strlen(out);
            (void)snprintf(out + used, HELLO_BYTES - used, "%.*s ", (int)*id, (const char *)id + 1);
        }
        return;
    }
}

static void expect_offer(struct tls_client *client, const char *expected)
{
    char offer[HELLO_BYTES];
    if (expected == NULL) {
        assert_null(client);
        return;
    }
    assert_non_null(client);
    read_offer(client, offer);
    assert_string_equal(offer, expected);
}

static void each_scheme_offers_what_it_promises(void **state)
{
    static const struct {
        const char *offer; /* NULL: not spoken to in TLS */
        const char *tunnel_offer;
    } ROWS[] = {
        {"h2 http/1.1 ", "http/1.1 "}, /* https */
        {"h2 ", NULL},                 /* h2 */
        {NULL, NULL},                  /* http */
        {NULL, NULL},                  /* h2c */
        {NULL, NULL},                  /* unix */
        {"h2 http/1.1 ", "http/1.1 "}, /* https */
    };
    struct stage *stage = *state;
    assert_string_equal(stage->config->backends[1].name, "app");
    struct tls_client *const *clients = relay_tls_clients(stage->tls, 1);
    struct tls_client *const *tunnel_clients = relay_tls_tunnel_clients(stage->tls, 1);
    assert_int_equal(stage->config->backends[1].server_count, sizeof(ROWS) / sizeof(ROWS[0]));
    for (size_t i = 0; i < sizeof(ROWS) / sizeof(ROWS[0]); i++) {
        expect_offer(clients[i], ROWS[i].offer);
        expect_offer(tunnel_clients[i], ROWS[i].tunnel_offer);
    }
}

static void a_backend_in_plaintext_has_no_tls(void **state)
{
    struct stage *stage = *state;
    for (size_t i = 0; i < stage->config->backends[0].server_count; i++) {
        assert_null(relay_tls_clients(stage->tls, 0)[i]);
        assert_null(relay_tls_tunnel_clients(stage->tls, 0)[i]);
    }
}

static X509_STORE *store_of(const struct stage *stage, size_t backend)
{
    X509_STORE *store = NULL;
    SSL *ssl = tls_client_ssl_new(relay_tls_clients(stage->tls, backend)[0], "a");
    assert_non_null(ssl);
    assert_int_equal(SSL_get0_verify_cert_store(ssl, &store), 1);
    SSL_free(ssl);
    assert_non_null(store); /* the client holds it still */
    return store;
}

static void the_systems_authorities_are_read_once(void **state)
{
    struct stage *stage = *state;
    X509_STORE *own = store_of(stage, 1);
    X509_STORE *first = store_of(stage, 2);
    X509_STORE *second = store_of(stage, 3);
    assert_ptr_equal(first, second);
    assert_ptr_not_equal(first, own);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_scheme_offers_what_it_promises),
        cmocka_unit_test(a_backend_in_plaintext_has_no_tls),
        cmocka_unit_test(the_systems_authorities_are_read_once),
    };
    return cmocka_run_group_tests(tests, stage_init, stage_fini);
}
