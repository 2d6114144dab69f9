/* tests/unit/crypto/trust_test.c · SPDX-License-Identifier: Apache-2.0 */
#include "crypto/tls_rig.h"

#include "crypto/tickets.h"

#include <time.h>

/* Clients' certificates: mutual TLS, revocation. */
struct fixture {
    struct rig_authority authority;
    struct rig_authority stranger;
    EVP_PKEY *ec;
    EVP_PKEY *rsa;
    struct cert_store *store;
    struct tickets *tickets;
};

enum { SERIAL_FINE = 70, SERIAL_REVOKED = 71 };

static int set_up(void **state)
{
    struct fixture *fixture = calloc(1, sizeof(*fixture));
    rig_authority_init(&fixture->authority, "rig authority");
    rig_authority_init(&fixture->stranger, "stranger");
    fixture->ec = rig_ec_new();
    fixture->rsa = rig_rsa_new();
    fixture->store = cert_store_new();
    fixture->tickets = tickets_new(3600, (uint64_t)time(NULL));
    struct rig_wish wish = {.common_name = "web", .names = "DNS:web.example"};
    rig_store_take(fixture->store, rig_identity_new(&fixture->authority, &wish, fixture->ec));
    *state = fixture;
    return 0;
}

static int tear_down(void **state)
{
    struct fixture *fixture = *state;
    cert_store_unref(fixture->store);
    tickets_free(fixture->tickets);
    rig_authority_fini(&fixture->authority);
    rig_authority_fini(&fixture->stranger);
    EVP_PKEY_free(fixture->ec);
    EVP_PKEY_free(fixture->rsa);
    free(fixture);
    return 0;
}

/* A list that revokes SERIAL_REVOKED; PEM or DER. `next_days` 0: no next update. */
static BIO *make_list(const struct rig_authority *authority, int next_days, bool is_pem)
{
    X509_CRL *list = X509_CRL_new();
    assert_int_equal(X509_CRL_set_version(list, 1), 1);
    X509_CRL_set_issuer_name(list, X509_get_subject_name(authority->certificate));
    ASN1_TIME *time = ASN1_TIME_new();
    X509_time_adj_ex(time, -10, 0, NULL);
    X509_CRL_set1_lastUpdate(list, time);
    X509_REVOKED *revoked = X509_REVOKED_new();
    X509_REVOKED_set_revocationDate(revoked, time);
    if (next_days != 0) {
        X509_time_adj_ex(time, next_days, 0, NULL);
        X509_CRL_set1_nextUpdate(list, time);
    }
    ASN1_INTEGER *serial = ASN1_INTEGER_new();
    ASN1_INTEGER_set(serial, SERIAL_REVOKED);
    X509_REVOKED_set_serialNumber(revoked, serial);
    assert_int_equal(X509_CRL_add0_revoked(list, revoked), 1);
    X509_CRL_sort(list);
    assert_true(X509_CRL_sign(list, authority->key, EVP_sha256()) > 0);
    BIO *bio = BIO_new(BIO_s_mem());
    assert_int_equal(is_pem ? PEM_write_bio_X509_CRL(bio, list) : i2d_X509_CRL_bio(bio, list), 1);
    ASN1_INTEGER_free(serial);
    ASN1_TIME_free(time);
    X509_CRL_free(list);
    return bio;
}

static struct bytes bytes_of(BIO *bio)
{
    char *text = NULL;
    long len = BIO_get_mem_data(bio, &text);
    return (struct bytes){(const uint8_t *)text, (size_t)len};
}

enum list { LIST_NONE, LIST_CURRENT, LIST_CURRENT_DER, LIST_STALE, LIST_OF_STRANGER };

static struct trust *trust_of(const struct fixture *fixture, enum list list)
{
    if (list == LIST_NONE) {
        return trust_ref(fixture->authority.trust);
    }
    const struct rig_authority *issuer =
        list == LIST_OF_STRANGER ? &fixture->stranger : &fixture->authority;
    BIO *bio = make_list(issuer, list == LIST_STALE ? -1 : 10, list != LIST_CURRENT_DER);
    struct trust *trust = rig_trust_with(fixture->authority.certificate, bytes_of(bio));
    BIO_free(bio);
    return trust;
}

enum shown { SHOWN_NONE, SHOWN_FINE, SHOWN_REVOKED, SHOWN_EXPIRED, SHOWN_STRANGER, SHOWN_RSA };

struct row {
    enum tls_client_auth auth;
    enum shown shown;
    enum list list;
    unsigned minimum_rsa_bits;
    const char *reason; /* of the server; "": accepted */
    bool is_verified;
};

#define NONE     TLS_CLIENT_AUTH_NONE
#define OPTIONAL TLS_CLIENT_AUTH_OPTIONAL
#define REQUIRED TLS_CLIENT_AUTH_REQUIRED

static const struct row ROWS[] = {
    {NONE, SHOWN_NONE, LIST_NONE, 0, "", false},
    {NONE, SHOWN_FINE, LIST_NONE, 0, "", false},
    {OPTIONAL, SHOWN_NONE, LIST_NONE, 0, "", false},
    {OPTIONAL, SHOWN_FINE, LIST_NONE, 0, "", true},
    {OPTIONAL, SHOWN_STRANGER, LIST_NONE, 0, "unknown_ca", false},
    {OPTIONAL, SHOWN_EXPIRED, LIST_NONE, 0, "expired", false},
    {REQUIRED, SHOWN_NONE, LIST_NONE, 0, "no_client_certificate", false},
    {REQUIRED, SHOWN_FINE, LIST_NONE, 0, "", true},
    {REQUIRED, SHOWN_RSA, LIST_NONE, 0, "", true},
    {REQUIRED, SHOWN_RSA, LIST_NONE, 3072, "weak_key", false},
    {REQUIRED, SHOWN_REVOKED, LIST_NONE, 0, "", true},
    {REQUIRED, SHOWN_FINE, LIST_CURRENT, 0, "", true},
    {REQUIRED, SHOWN_FINE, LIST_CURRENT_DER, 0, "", true},
    {REQUIRED, SHOWN_REVOKED, LIST_CURRENT, 0, "revoked", false},
    {REQUIRED, SHOWN_REVOKED, LIST_CURRENT_DER, 0, "revoked", false},
    {REQUIRED, SHOWN_FINE, LIST_STALE, 0, "crl_expired", false},
    {REQUIRED, SHOWN_FINE, LIST_OF_STRANGER, 0, "crl_missing", false},
    {OPTIONAL, SHOWN_NONE, LIST_STALE, 0, "", false},
};

static struct identity *identity_of(const struct fixture *fixture, enum shown shown)
{
    struct rig_wish wish = {.common_name = "J\xc3\xb6rg, client",
                            .serial = shown == SHOWN_REVOKED ? SERIAL_REVOKED : SERIAL_FINE,
                            .from_days = shown == SHOWN_EXPIRED ? -20 : 0,
                            .to_days = shown == SHOWN_EXPIRED ? -10 : 0};
    const struct rig_authority *issuer =
        shown == SHOWN_STRANGER ? &fixture->stranger : &fixture->authority;
    return shown == SHOWN_NONE
               ? NULL
               : rig_identity_new(issuer, &wish, shown == SHOWN_RSA ? fixture->rsa : fixture->ec);
}

static struct tls_server *server_of(const struct fixture *fixture, const struct row *row)
{
    struct trust *trust = trust_of(fixture, row->list);
    struct tls_server_settings settings = {
        .name = "web",
        .policy = {.minimum_rsa_bits = row->minimum_rsa_bits},
        .certificates = fixture->store,
        .tickets = fixture->tickets,
        .client_auth = row->auth,
        .clients = row->auth == NONE ? NULL : trust,
    };
    struct tls_server *server = rig_tls_server(&settings);
    trust_unref(trust);
    return server;
}

static struct tls_client *client_of(const struct fixture *fixture, enum shown shown)
{
    struct identity *identity = identity_of(fixture, shown);
    struct tls_client_settings settings = {.servers = fixture->authority.trust,
                                           .identities = &identity,
                                           .identity_count = identity != NULL ? 1 : 0};
    struct tls_client *client = rig_tls_client(&settings);
    identity_unref(identity);
    return client;
}

static void accepts_clients_as_the_listener_says(void **state)
{
    struct fixture *fixture = *state;
    static const int VERSIONS[] = {TLS1_2_VERSION, TLS1_3_VERSION};
    for (size_t i = 0; i < 2 * sizeof(ROWS) / sizeof(ROWS[0]); i++) {
        const struct row *row = &ROWS[i / 2];
        struct tls_server *server = server_of(fixture, row);
        struct tls_client *client = client_of(fixture, row->shown);
        SSL *ssl = tls_client_ssl_new(client, "web.example");
        SSL_set_max_proto_version(ssl, VERSIONS[i % 2]);
        struct rig_sides sides;
        rig_sides_init(&sides, tls_server_ssl_new(server), ssl);
        (void)rig_handshake(&sides);
        if (strcmp(sides.server_reason, row->reason) != 0) {
            fail_msg("row %zu: \"%s\", expected \"%s\"", i / 2, sides.server_reason, row->reason);
        }
        struct tls_facts facts;
        tls_facts_read(&facts, sides.server);
        assert_int_equal(facts.is_peer_verified && sides.server_done, row->is_verified);
        if (row->is_verified) {
            assert_string_equal(facts.peer_subject, "CN=J\\C3\\B6rg\\, client");
            assert_int_equal(strlen(facts.peer_sha256), 64);
        }
        rig_sides_fini(&sides);
        tls_client_free(client);
        tls_server_free(server);
    }
}

static void passes_the_verified_certificate_on_as_rfc_9440_writes_it(void **state)
{
    struct fixture *fixture = *state;
    struct row row = {.auth = REQUIRED, .shown = SHOWN_FINE};
    struct tls_server *server = server_of(fixture, &row);
    struct tls_client *client = client_of(fixture, SHOWN_FINE);
    struct rig_sides sides;
    rig_sides_init(&sides, tls_server_ssl_new(server), tls_client_ssl_new(client, "web.example"));
    assert_true(rig_handshake(&sides));
    size_t len = 0;
    char *value = tls_client_cert_value(sides.server, &len);
    assert_non_null(value);
    assert_int_equal(strlen(value), len);
    assert_int_equal(value[0], ':');
    assert_int_equal(value[len - 1], ':');
    unsigned char *der = malloc(len);
    int der_len = EVP_DecodeBlock(der, (unsigned char *)value + 1, (int)len - 2);
    assert_true(der_len > 0);
    const unsigned char *at = der;
    X509 *shown = d2i_X509(NULL, &at, der_len);
    assert_int_equal(X509_cmp(shown, SSL_get0_peer_certificate(sides.server)), 0);
    X509_free(shown);
    free(der);
    free(value);
    rig_sides_fini(&sides);
    tls_client_free(client);
    tls_server_free(server);
}

static void a_session_is_not_resumed_under_other_revocation_lists(void **state)
{
    struct fixture *fixture = *state;
    struct row without = {.auth = REQUIRED, .shown = SHOWN_REVOKED};
    struct row with = {.auth = REQUIRED, .shown = SHOWN_REVOKED, .list = LIST_CURRENT};
    struct tls_server *before = server_of(fixture, &without);
    struct tls_server *after = server_of(fixture, &with);
    struct tls_client *client = client_of(fixture, SHOWN_REVOKED);
    struct tls_server *const SERVERS[] = {before, before, after};
    static const char *const REASONS[] = {"", "", "revoked"};
    for (size_t i = 0; i < 3; i++) {
        struct rig_sides sides;
        rig_sides_init(&sides, tls_server_ssl_new(SERVERS[i]),
                       tls_client_ssl_new(client, "web.example"));
        (void)rig_handshake(&sides);
        assert_string_equal(sides.server_reason, REASONS[i]);
        assert_int_equal(SSL_session_reused(sides.server), i == 1);
        SSL_shutdown(sides.client);
        rig_sides_fini(&sides);
    }
    tls_client_free(client);
    tls_server_free(before);
    tls_server_free(after);
}

/* root ← middle ← client: both authorities need a list. */
static void looks_up_the_whole_chain(void **state)
{
    struct fixture *fixture = *state;
    struct rig_authority middle = {.key = rig_ec_new()};
    struct rig_wish middle_wish = {
        .common_name = "middle", .is_ca = true, .serial = SERIAL_REVOKED};
    middle.certificate =
        rig_issue(&middle_wish, middle.key, fixture->authority.certificate, fixture->authority.key);
    struct rig_wish wish = {.common_name = "client", .serial = SERIAL_FINE};
    struct identity *identity = rig_identity_new(&middle, &wish, fixture->ec);
    BIO *of_root = make_list(&fixture->authority, 10, true);
    BIO *of_middle = make_list(&middle, 10, true);
    BIO *of_both = make_list(&fixture->authority, 10, true);
    assert_true(BIO_write(of_both, bytes_of(of_middle).at, (int)bytes_of(of_middle).len) > 0);
    const struct {
        struct bytes lists;
        const char *reason;
    } LISTS[] = {{{NULL, 0}, ""},
                 {bytes_of(of_root), "crl_missing"},
                 {bytes_of(of_middle), "crl_missing"},
                 {bytes_of(of_both), "revoked"}};
    for (size_t i = 0; i < sizeof(LISTS) / sizeof(LISTS[0]); i++) {
        struct trust *trust = rig_trust_with(fixture->authority.certificate, LISTS[i].lists);
        struct tls_server_settings settings = {.name = "web",
                                               .certificates = fixture->store,
                                               .client_auth = REQUIRED,
                                               .clients = trust};
        struct tls_server *server = rig_tls_server(&settings);
        struct tls_client_settings client_settings = {
            .servers = fixture->authority.trust, .identities = &identity, .identity_count = 1};
        struct tls_client *client = rig_tls_client(&client_settings);
        struct rig_sides sides;
        rig_sides_init(&sides, tls_server_ssl_new(server),
                       tls_client_ssl_new(client, "web.example"));
        (void)rig_handshake(&sides);
        assert_string_equal(sides.server_reason, LISTS[i].reason);
        rig_sides_fini(&sides);
        tls_client_free(client);
        tls_server_free(server);
        trust_unref(trust);
    }
    BIO_free(of_root);
    BIO_free(of_middle);
    BIO_free(of_both);
    identity_unref(identity);
    X509_free(middle.certificate);
    EVP_PKEY_free(middle.key);
}

static void tells_when_each_authority_ends(void **state)
{
    const struct fixture *fixture = *state;
    BIO *file = BIO_new(BIO_s_mem());
    assert_int_equal(PEM_write_bio_X509(file, fixture->authority.certificate), 1);
    assert_int_equal(PEM_write_bio_X509(file, fixture->stranger.certificate), 1);
    BIO *list = make_list(&fixture->authority, 10, true); /* which is no authority */
    struct crypto_error error;
    struct trust *trust = trust_read(bytes_of(file), bytes_of(list), &error);
    assert_non_null(trust);
    bool is_found[2] = {false, false};
    char name[64];
    time_t not_after = 0;
    for (size_t i = 0; i < 2; i++) {
        assert_true(trust_authority_at(trust, i, name, sizeof(name), &not_after));
        assert_true(not_after > time(NULL));
        is_found[0] |= strcmp(name, "CN=rig authority") == 0;
        is_found[1] |= strcmp(name, "CN=stranger") == 0;
    }
    assert_true(is_found[0] && is_found[1]);
    assert_false(trust_authority_at(trust, 2, name, sizeof(name), &not_after));
    trust_unref(trust);
    BIO_free(file);
    BIO_free(list);
}

static void says_what_is_wrong_with_a_file(void **state)
{
    struct fixture *fixture = *state;
    struct crypto_error error = {{0}};
    struct rig_pem authority = rig_pem_new();
    rig_pem_add(&authority, fixture->authority.certificate);
    struct bytes fine = rig_pem_bytes(&authority);
    BIO *undated = make_list(&fixture->authority, 0, true);
    static const char CUT[] = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
    const struct {
        struct bytes authorities;
        struct bytes revoked;
        const char *expected;
    } FILES[] = {
        {{NULL, 0}, {NULL, 0}, "no certificate in the file"},
        {{(const uint8_t *)"hello", 5}, {NULL, 0}, "no certificate in the file"},
        {{(const uint8_t *)CUT, sizeof(CUT) - 1}, {NULL, 0}, "certificate 1 of the file"},
        {fine, {(const uint8_t *)"hello", 5}, "not a revocation list"},
        {fine, fine, "no revocation list"},
        {fine, bytes_of(undated), "without a next update"},
    };
    for (size_t i = 0; i < sizeof(FILES) / sizeof(FILES[0]); i++) {
        assert_null(trust_read(FILES[i].authorities, FILES[i].revoked, &error));
        if (strstr(error.text, FILES[i].expected) == NULL) {
            fail_msg("row %zu: %s", i, error.text);
        }
    }
    BIO_free(undated);
    rig_pem_free(&authority);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(accepts_clients_as_the_listener_says),
        cmocka_unit_test(passes_the_verified_certificate_on_as_rfc_9440_writes_it),
        cmocka_unit_test(a_session_is_not_resumed_under_other_revocation_lists),
        cmocka_unit_test(looks_up_the_whole_chain),
        cmocka_unit_test(tells_when_each_authority_ends),
        cmocka_unit_test(says_what_is_wrong_with_a_file),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
