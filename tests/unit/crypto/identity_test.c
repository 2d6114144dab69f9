/* tests/unit/crypto/identity_test.c · SPDX-License-Identifier: Apache-2.0 */
#include "crypto/tls_rig.h"

#include "crypto/rig.h"

/* Identities whose private keys are in another process. */
struct fixture {
    struct rig_identity rsa;
    struct rig_identity ec;
    struct rig_keyholder keyholder;
    struct key_client *keys;
    struct key_provider *provider;
};

static int set_up(void **state)
{
    struct fixture *fixture = calloc(1, sizeof(*fixture));
    struct crypto_error error = {{0}};
    struct key_client_events events = {.self = fixture};
    rig_identity_init(&fixture->rsa, true);
    rig_identity_init(&fixture->ec, false);
    rig_keyholder_start(&fixture->keyholder, &fixture->rsa, &fixture->ec);
    fixture->keys = key_client_new(64, &events, &error);
    key_client_attach(fixture->keys, fixture->keyholder.worker);
    fixture->keyholder.worker = -1;
    fixture->provider = key_provider_load(fixture->keys, &error);
    assert_non_null(fixture->provider);
    *state = fixture;
    return 0;
}

static int tear_down(void **state)
{
    struct fixture *fixture = *state;
    key_client_detach(fixture->keys);
    key_provider_free(fixture->provider);
    key_client_free(fixture->keys);
    rig_keyholder_stop(&fixture->keyholder);
    rig_identity_fini(&fixture->rsa);
    rig_identity_fini(&fixture->ec);
    free(fixture);
    return 0;
}

static struct identity *remote_identity(const struct fixture *fixture, bool is_rsa)
{
    struct crypto_error error = {{0}};
    X509 *leaf = is_rsa ? fixture->rsa.certificate : fixture->ec.certificate;
    struct certificate *certificate = rig_certificate(leaf, NULL);
    EVP_PKEY *key = key_provider_key(fixture->provider, X509_get0_pubkey(leaf),
                                     is_rsa ? RIG_RSA_ID : RIG_EC_ID, &error);
    assert_non_null(key);
    struct identity *identity = identity_new(certificate, key, &error);
    if (identity == NULL) {
        fail_msg("%s", error.text);
    }
    EVP_PKEY_free(key);
    certificate_unref(certificate);
    return identity;
}

static const struct {
    int version;
    const char *signatures;
    bool expects_rsa;
} ROWS[] = {
    {TLS1_2_VERSION, "RSA+SHA256", true},
    {TLS1_2_VERSION, "ECDSA+SHA256", false},
    {TLS1_3_VERSION, "RSA-PSS+SHA256", true},
    {TLS1_3_VERSION, "ECDSA+SHA256", false},
    {TLS1_3_VERSION, "ECDSA+SHA256:RSA-PSS+SHA256", false},
};

static void serves_with_keys_that_are_elsewhere(void **state)
{
    struct fixture *fixture = *state;
    struct cert_store *store = cert_store_new();
    /* The first has another name: the choice then happens in each handshake. */
    struct rig_authority authority;
    rig_authority_init(&authority, "rig authority");
    EVP_PKEY *own = rig_ec_new();
    struct rig_wish wish = {.common_name = "first", .names = "DNS:first.example"};
    rig_store_take(store, rig_identity_new(&authority, &wish, own));
    rig_store_take(store, remote_identity(fixture, true));
    rig_store_take(store, remote_identity(fixture, false));
    struct tls_server_settings settings = {.name = "web", .certificates = store};
    struct tls_server *server = rig_tls_server(&settings);
    for (size_t i = 0; i < sizeof(ROWS) / sizeof(ROWS[0]); i++) {
        SSL_CTX *ctx = rig_lax_client();
        SSL_CTX_set_max_proto_version(ctx, ROWS[i].version);
        assert_int_equal(SSL_CTX_set1_sigalgs_list(ctx, ROWS[i].signatures), 1);
        struct rig_sides sides;
        rig_sides_init(&sides, tls_server_ssl_new(server), rig_lax_ssl(ctx, "localhost"));
        if (!rig_handshake(&sides)) {
            fail_msg("row %zu: %s %s", i, sides.server_reason, sides.client_reason);
        }
        X509 *shown = SSL_get0_peer_certificate(sides.client);
        assert_int_equal(EVP_PKEY_is_a(X509_get0_pubkey(shown), "RSA"), ROWS[i].expects_rsa);
        rig_sides_fini(&sides);
        SSL_CTX_free(ctx);
    }
    tls_server_free(server);
    cert_store_unref(store);
    rig_authority_fini(&authority);
    EVP_PKEY_free(own);
}

static void shows_itself_to_backends_with_a_key_that_is_elsewhere(void **state)
{
    struct fixture *fixture = *state;
    struct rig_authority authority;
    rig_authority_init(&authority, "rig authority");
    EVP_PKEY *own = rig_ec_new();
    struct rig_wish wish = {.common_name = "backend", .names = "DNS:backend.example"};
    struct cert_store *store = cert_store_new();
    rig_store_take(store, rig_identity_new(&authority, &wish, own));
    struct trust *clients = rig_trust_with(fixture->rsa.certificate, (struct bytes){0});
    struct tls_server_settings server_settings = {.name = "backend",
                                                  .certificates = store,
                                                  .client_auth = TLS_CLIENT_AUTH_REQUIRED,
                                                  .clients = clients};
    struct tls_server *server = rig_tls_server(&server_settings);
    struct identity *identity = remote_identity(fixture, true);
    struct tls_client_settings client_settings = {
        .servers = authority.trust, .identities = &identity, .identity_count = 1};
    struct tls_client *client = rig_tls_client(&client_settings);
    struct rig_sides sides;
    rig_sides_init(&sides, tls_server_ssl_new(server),
                   tls_client_ssl_new(client, "backend.example"));
    if (!rig_handshake(&sides)) {
        fail_msg("%s %s", sides.server_reason, sides.client_reason);
    }
    rig_sides_fini(&sides);
    tls_client_free(client);
    tls_server_free(server);
    identity_unref(identity);
    trust_unref(clients);
    cert_store_unref(store);
    rig_authority_fini(&authority);
    EVP_PKEY_free(own);
}

static void says_that_no_signature_could_be_made(void **state)
{
    struct fixture *fixture = *state;
    struct cert_store *store = cert_store_new();
    rig_store_take(store, remote_identity(fixture, true));
    struct tls_server_settings settings = {.name = "web", .certificates = store};
    struct tls_server *server = rig_tls_server(&settings);
    key_client_detach(fixture->keys);
    SSL_CTX *ctx = rig_lax_client();
    struct rig_sides sides;
    rig_sides_init(&sides, tls_server_ssl_new(server), rig_lax_ssl(ctx, "localhost"));
    assert_false(rig_handshake(&sides));
    assert_string_equal(sides.server_reason, "crypto");
    rig_sides_fini(&sides);
    SSL_CTX_free(ctx);
    tls_server_free(server);
    cert_store_unref(store);
}

static void refuses_the_key_of_another_certificate(void **state)
{
    struct fixture *fixture = *state;
    struct crypto_error error = {{0}};
    struct certificate *certificate = rig_certificate(fixture->rsa.certificate, NULL);
    EVP_PKEY *rsa = rig_rsa_new();
    EVP_PKEY *ec = rig_ec_new();
    assert_null(identity_new(certificate, rsa, &error));
    assert_non_null(strstr(error.text, "the key is not that of the certificate of CN=localhost"));
    assert_null(identity_new(certificate, ec, &error));
    EVP_PKEY_free(rsa);
    EVP_PKEY_free(ec);
    certificate_unref(certificate);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(serves_with_keys_that_are_elsewhere),
        cmocka_unit_test(shows_itself_to_backends_with_a_key_that_is_elsewhere),
        cmocka_unit_test(refuses_the_key_of_another_certificate),
        cmocka_unit_test(says_that_no_signature_could_be_made), /* last: the keys are gone */
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
