/* tests/unit/crypto/ocsp_test.c · SPDX-License-Identifier: Apache-2.0 */
#include "crypto/tls_rig.h"

#include "crypto/ocsp.h"

#include <openssl/ocsp.h>
#include <time.h>

struct fixture {
    struct rig_authority authority;
    struct rig_authority stranger;
    EVP_PKEY *key;
    X509 *leaf;
    X509 *other_leaf;
    X509 *delegate;         /* of the authority, for OCSP signing */
    X509 *impostor;         /* of the authority, but not for OCSP signing */
    X509 *weak_delegate;    /* whose certificate is signed with SHA-1 */
    X509 *foreign_delegate; /* of another authority */
    struct certificate *certificate;
    struct identity *identity;
};

static X509 *issue_signer(struct fixture *fixture, const struct rig_authority *authority,
                          bool may_sign, const EVP_MD *digest)
{
    struct rig_wish wish = {.common_name = "responder"};
    X509 *signer = rig_issue(&wish, fixture->key, authority->certificate, authority->key);
    if (may_sign) {
        rig_extend(signer, authority->certificate, NID_ext_key_usage, "OCSPSigning");
        assert_true(X509_sign(signer, authority->key, digest) > 0);
    }
    return signer;
}

static int set_up(void **state)
{
    struct fixture *fixture = calloc(1, sizeof(*fixture));
    struct crypto_error error = {{0}};
    rig_authority_init(&fixture->authority, "rig authority");
    rig_authority_init(&fixture->stranger, "stranger");
    fixture->key = rig_ec_new();
    struct rig_wish wish = {.common_name = "web",
                            .names = "DNS:web.example",
                            .ocsp_url = "OCSP;URI:http://ocsp.example/"};
    fixture->leaf =
        rig_issue(&wish, fixture->key, fixture->authority.certificate, fixture->authority.key);
    fixture->other_leaf =
        rig_issue(&wish, fixture->key, fixture->authority.certificate, fixture->authority.key);
    const struct rig_authority *authority = &fixture->authority;
    fixture->delegate = issue_signer(fixture, authority, true, EVP_sha256());
    fixture->impostor = issue_signer(fixture, authority, false, EVP_sha256());
    fixture->weak_delegate = issue_signer(fixture, authority, true, EVP_sha1());
    fixture->foreign_delegate = issue_signer(fixture, &fixture->stranger, true, EVP_sha256());
    fixture->certificate = rig_certificate(fixture->leaf, fixture->authority.certificate);
    fixture->identity = identity_new(fixture->certificate, fixture->key, &error);
    assert_non_null(fixture->identity);
    *state = fixture;
    return 0;
}

static int tear_down(void **state)
{
    struct fixture *fixture = *state;
    identity_unref(fixture->identity);
    certificate_unref(fixture->certificate);
    X509_free(fixture->leaf);
    X509_free(fixture->other_leaf);
    X509_free(fixture->delegate);
    X509_free(fixture->impostor);
    X509_free(fixture->weak_delegate);
    X509_free(fixture->foreign_delegate);
    EVP_PKEY_free(fixture->key);
    rig_authority_fini(&fixture->authority);
    rig_authority_fini(&fixture->stranger);
    free(fixture);
    return 0;
}

enum signer {
    BY_ISSUER,
    BY_DELEGATE,
    BY_IMPOSTOR,
    BY_STRANGER,
    BY_WEAK_DELEGATE,
    BY_FOREIGN_DELEGATE
};

struct answer {
    enum signer signer;
    int status;
    int this_hours;
    int next_hours; /* 0: none */
    bool is_of_other;
    bool uses_sha256;
    const EVP_MD *(*digest)(void); /* of the signature; NULL: SHA-256 */
    const EVP_MD *(*hash)(void);   /* of the id; NULL: as uses_sha256 says */
};

static int make_response(const struct fixture *fixture, const struct answer *answer,
                         unsigned char **der)
{
    OCSP_BASICRESP *basic = OCSP_BASICRESP_new();
    const EVP_MD *hash = answer->uses_sha256 ? EVP_sha256() : EVP_sha1();
    OCSP_CERTID *id = OCSP_cert_to_id(answer->hash != NULL ? answer->hash() : hash,
                                      answer->is_of_other ? fixture->other_leaf : fixture->leaf,
                                      fixture->authority.certificate);
    ASN1_TIME *from = X509_time_adj_ex(NULL, 0, answer->this_hours * 3600L, NULL);
    ASN1_TIME *to = answer->next_hours != 0
                        ? X509_time_adj_ex(NULL, 0, answer->next_hours * 3600L, NULL)
                        : NULL;
    ASN1_TIME *revoked = X509_time_adj_ex(NULL, -1, 0, NULL);
    assert_non_null(OCSP_basic_add1_status(
        basic, id, answer->status, 0, answer->status == V_OCSP_CERTSTATUS_REVOKED ? revoked : NULL,
        from, to));
    X509 *const SIGNERS[] = {
        fixture->authority.certificate, fixture->delegate,      fixture->impostor,
        fixture->stranger.certificate,  fixture->weak_delegate, fixture->foreign_delegate};
    EVP_PKEY *const KEYS[] = {fixture->authority.key, fixture->key, fixture->key,
                              fixture->stranger.key,  fixture->key, fixture->key};
    assert_int_equal(OCSP_basic_sign(basic, SIGNERS[answer->signer], KEYS[answer->signer],
                                     answer->digest != NULL ? answer->digest() : EVP_sha256(), NULL,
                                     0),
                     1);
    OCSP_RESPONSE *response = OCSP_response_create(OCSP_RESPONSE_STATUS_SUCCESSFUL, basic);
    *der = NULL;
    int len = i2d_OCSP_RESPONSE(response, der);
    assert_true(len > 0);
    OCSP_RESPONSE_free(response);
    OCSP_BASICRESP_free(basic);
    OCSP_CERTID_free(id);
    ASN1_TIME_free(from);
    ASN1_TIME_free(to);
    ASN1_TIME_free(revoked);
    return len;
}

#define GOOD    V_OCSP_CERTSTATUS_GOOD
#define REVOKED V_OCSP_CERTSTATUS_REVOKED
#define UNKNOWN V_OCSP_CERTSTATUS_UNKNOWN

static const struct {
    struct answer answer;
    const char *problem; /* NULL: verified */
    enum ocsp_status status;
    bool is_stapled;
} ROWS[] = {
    {{BY_ISSUER, GOOD, -1, 24, false, false, NULL, NULL}, NULL, OCSP_GOOD, true},
    {{BY_ISSUER, GOOD, -1, 24, false, true, NULL, NULL}, NULL, OCSP_GOOD, true},
    {{BY_DELEGATE, GOOD, -1, 24, false, false, NULL, NULL}, NULL, OCSP_GOOD, true},
    {{BY_ISSUER, GOOD, -1, 0, false, false, NULL, NULL}, NULL, OCSP_GOOD, true},
    {{BY_ISSUER, REVOKED, -1, 24, false, false, NULL, NULL}, NULL, OCSP_REVOKED, false},
    {{BY_ISSUER, UNKNOWN, -1, 24, false, false, NULL, NULL}, NULL, OCSP_UNKNOWN, false},
    {{BY_ISSUER, GOOD, -48, -1, false, false, NULL, NULL}, "ran out", OCSP_GOOD, false},
    {{BY_ISSUER, GOOD, -25, 0, false, false, NULL, NULL}, "ran out", OCSP_GOOD, false},
    {{BY_ISSUER, GOOD, 2, 24, false, false, NULL, NULL}, "from the future", OCSP_GOOD, false},
    {{BY_ISSUER, GOOD, -1, -2, false, false, NULL, NULL}, "make no sense", OCSP_GOOD, false},
    {{BY_ISSUER, GOOD, -1, 24, true, false, NULL, NULL},
     "about another certificate",
     OCSP_GOOD,
     false},
    {{BY_IMPOSTOR, GOOD, -1, 24, false, false, NULL, NULL},
     "not signed by the issuer",
     OCSP_GOOD,
     false},
    {{BY_STRANGER, GOOD, -1, 24, false, false, NULL, NULL},
     "not signed by the issuer",
     OCSP_GOOD,
     false},
    {{BY_WEAK_DELEGATE, GOOD, -1, 24, false, false, NULL, NULL},
     "not signed by the issuer",
     OCSP_GOOD,
     false},
    {{BY_FOREIGN_DELEGATE, GOOD, -1, 24, false, false, NULL, NULL},
     "not signed by the issuer",
     OCSP_GOOD,
     false},
    {{BY_ISSUER, GOOD, -1, 24, false, false, EVP_sha1, NULL}, "too weak", OCSP_GOOD, false},
    {{BY_ISSUER, GOOD, -1, 24, false, false, EVP_sha384, NULL}, NULL, OCSP_GOOD, true},
    {{BY_ISSUER, GOOD, -1, 24, false, false, NULL, EVP_md5},
     "about another certificate",
     OCSP_GOOD,
     false},
    {{BY_ISSUER, GOOD, -1, 24, false, false, NULL, EVP_sha512},
     "about another certificate",
     OCSP_GOOD,
     false},
};

static void believes_only_current_answers_of_the_issuer(void **state)
{
    struct fixture *fixture = *state;
    for (size_t i = 0; i < sizeof(ROWS) / sizeof(ROWS[0]); i++) {
        unsigned char *der = NULL;
        int len = make_response(fixture, &ROWS[i].answer, &der);
        struct bytes bytes = {der, (size_t)len};
        struct crypto_error error = {{0}};
        struct ocsp_facts facts;
        time_t now = time(NULL);
        bool is_verified = ocsp_response_verify(fixture->certificate, bytes, now, &facts, &error);
        if (is_verified != (ROWS[i].problem == NULL) ||
            (!is_verified && strstr(error.text, ROWS[i].problem) == NULL)) {
            fail_msg("row %zu: %s", i, error.text);
        }
        if (is_verified) {
            assert_int_equal(facts.status, ROWS[i].status);
            assert_true(facts.refresh_at > facts.this_update);
            assert_true(facts.refresh_at < facts.usable_until);
        }
        assert_int_equal(identity_staple(fixture->identity, bytes, now, &error),
                         ROWS[i].is_stapled);
        assert_true(identity_staple(fixture->identity, (struct bytes){0}, now, &error));
        OPENSSL_free(der);
    }
}

static void an_answer_is_not_stapled_past_its_end(void **state)
{
    struct fixture *fixture = *state;
    struct answer answer = {BY_ISSUER, GOOD, -1, 24, false, false, NULL, NULL};
    unsigned char *der = NULL;
    int len = make_response(fixture, &answer, &der);
    struct crypto_error error = {{0}};
    time_t now = time(NULL);
    assert_true(identity_staple(fixture->identity, (struct bytes){der, (size_t)len}, now, &error));
    assert_int_equal(identity_staple_at(fixture->identity, now).len, len);
    assert_int_equal(identity_staple_at(fixture->identity, now + 25 * 3600).len, 0);
    /* A bad one leaves the good one in place. */
    assert_false(
        identity_staple(fixture->identity, (struct bytes){der, (size_t)len - 1}, now, &error));
    assert_int_equal(identity_staple_at(fixture->identity, now).len, len);
    OPENSSL_free(der);
}

/* One answer after the other: what is stapled in the end. */
static void what_was_said_last_stands(void **state)
{
    struct fixture *fixture = *state;
    static const struct {
        struct answer first;
        struct answer then;
        int stapled; /* 0: none, 1: the first, 2: the second */
    } TURNS[] = {
        {{BY_ISSUER, GOOD, -2, 24, false, false, NULL, NULL},
         {BY_ISSUER, GOOD, -1, 24, false, false, NULL, NULL},
         2},
        {{BY_ISSUER, GOOD, -1, 24, false, false, NULL, NULL},
         {BY_ISSUER, GOOD, -2, 30, false, false, NULL, NULL},
         1},
        {{BY_ISSUER, GOOD, -2, 24, false, false, NULL, NULL},
         {BY_ISSUER, REVOKED, -1, 24, false, false, NULL, NULL},
         0},
        {{BY_ISSUER, GOOD, -1, 24, false, false, NULL, NULL},
         {BY_ISSUER, REVOKED, -2, 24, false, false, NULL, NULL},
         1},
        {{BY_ISSUER, REVOKED, -1, 24, false, false, NULL, NULL},
         {BY_ISSUER, GOOD, -2, 24, false, false, NULL, NULL},
         0},
        {{BY_ISSUER, REVOKED, -2, 24, false, false, NULL, NULL},
         {BY_ISSUER, GOOD, -1, 24, false, false, NULL, NULL},
         2},
        {{BY_ISSUER, GOOD, -2, 24, false, false, NULL, NULL},
         {BY_ISSUER, UNKNOWN, -1, 24, false, false, NULL, NULL},
         1},
        {{BY_ISSUER, GOOD, -2, 24, false, false, NULL, NULL},
         {BY_STRANGER, REVOKED, -1, 24, false, false, NULL, NULL},
         1},
    };
    time_t now = time(NULL);
    for (size_t i = 0; i < sizeof(TURNS) / sizeof(TURNS[0]); i++) {
        struct crypto_error error = {{0}};
        const struct answer *const ANSWERS[] = {&TURNS[i].first, &TURNS[i].then};
        unsigned char *der[2];
        int len[2];
        for (size_t k = 0; k < 2; k++) {
            len[k] = make_response(fixture, ANSWERS[k], &der[k]);
            (void)!identity_staple(fixture->identity, (struct bytes){der[k], (size_t)len[k]}, now,
                                   &error);
        }
        struct bytes stapled = identity_staple_at(fixture->identity, now);
        int expected = TURNS[i].stapled;
        if (expected == 0 ? stapled.len != 0
                          : stapled.len != (size_t)len[expected - 1] ||
                                memcmp(stapled.at, der[expected - 1], stapled.len) != 0) {
            fail_msg("turn %zu", i);
        }
        assert_true(identity_staple(fixture->identity, (struct bytes){0}, now, &error));
        OPENSSL_free(der[0]);
        OPENSSL_free(der[1]);
    }
}

static void of_one_moment_revoked_wins(void **state)
{
    (void)state;
    const struct ocsp_facts good = {.status = OCSP_GOOD, .this_update = 5};
    const struct ocsp_facts revoked = {.status = OCSP_REVOKED, .this_update = 5};
    assert_true(ocsp_facts_may_replace(&revoked, &good));
    assert_true(ocsp_facts_may_replace(&good, &good));
    assert_true(ocsp_facts_may_replace(&revoked, &revoked));
    assert_false(ocsp_facts_may_replace(&good, &revoked));
}

static void refuses_what_is_no_response(void **state)
{
    struct fixture *fixture = *state;
    struct ocsp_facts facts;
    struct crypto_error error = {{0}};
    static const uint8_t TRY_LATER[] = {0x30, 0x03, 0x0a, 0x01, 0x03};
    const struct {
        struct bytes bytes;
        const char *problem;
    } BAD[] = {{{NULL, 0}, "empty"},
               {{(const uint8_t *)"hello", 5}, "not an OCSP response"},
               {{TRY_LATER, sizeof(TRY_LATER)}, "trylater"}};
    for (size_t i = 0; i < sizeof(BAD) / sizeof(BAD[0]); i++) {
        assert_false(
            ocsp_response_verify(fixture->certificate, BAD[i].bytes, time(NULL), &facts, &error));
        assert_non_null(strstr(error.text, BAD[i].problem));
    }
}

static void asks_about_the_leaf(void **state)
{
    struct fixture *fixture = *state;
    struct crypto_error error = {{0}};
    size_t len = 0;
    uint8_t *der = ocsp_request(fixture->certificate, &len, &error);
    assert_non_null(der);
    const unsigned char *at = der;
    OCSP_REQUEST *request = d2i_OCSP_REQUEST(NULL, &at, (long)len);
    assert_int_equal(OCSP_request_onereq_count(request), 1);
    OCSP_CERTID *id = OCSP_onereq_get0_id(OCSP_request_onereq_get0(request, 0));
    OCSP_CERTID *expected =
        OCSP_cert_to_id(EVP_sha1(), fixture->leaf, fixture->authority.certificate);
    assert_int_equal(OCSP_id_cmp(id, expected), 0);
    OCSP_CERTID_free(expected);
    OCSP_REQUEST_free(request);
    free(der);
    struct certificate *alone = rig_certificate(fixture->leaf, NULL);
    assert_null(ocsp_request(alone, &len, &error));
    assert_non_null(strstr(error.text, "issuer"));
    certificate_unref(alone);
    assert_string_equal(certificate_facts(fixture->certificate)->ocsp_url, "http://ocsp.example/");
}

/* What the client got; the length, -1 for none. */
static long staple_seen(struct tls_server *server, int version)
{
    SSL_CTX *ctx = rig_lax_client();
    SSL_CTX_set_max_proto_version(ctx, version);
    SSL *client = rig_lax_ssl(ctx, "web.example");
    SSL_set_tlsext_status_type(client, TLSEXT_STATUSTYPE_ocsp);
    struct rig_sides sides;
    rig_sides_init(&sides, tls_server_ssl_new(server), client);
    assert_true(rig_handshake(&sides));
    const unsigned char *staple = NULL;
    long len = SSL_get_tlsext_status_ocsp_resp(client, &staple);
    rig_sides_fini(&sides);
    SSL_CTX_free(ctx);
    return len;
}

static void staples_in_the_handshake(void **state)
{
    struct fixture *fixture = *state;
    struct crypto_error error = {{0}};
    time_t now = time(NULL);
    struct cert_store *store = cert_store_new();
    assert_true(cert_store_add(store, fixture->identity));
    struct tls_server_settings settings = {.name = "web", .certificates = store};
    struct tls_server *server = rig_tls_server(&settings);
    struct answer answer = {BY_ISSUER, GOOD, -1, 24, false, false, NULL, NULL};
    unsigned char *der = NULL;
    int len = make_response(fixture, &answer, &der);
    static const int VERSIONS[] = {TLS1_2_VERSION, TLS1_3_VERSION};
    for (size_t i = 0; i < 2; i++) {
        assert_true(identity_staple(fixture->identity, (struct bytes){0}, now, &error));
        assert_int_equal(staple_seen(server, VERSIONS[i]), -1);
        assert_true(
            identity_staple(fixture->identity, (struct bytes){der, (size_t)len}, now, &error));
        assert_int_equal(staple_seen(server, VERSIONS[i]), len);
    }
    OPENSSL_free(der);
    tls_server_free(server);
    cert_store_unref(store);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(believes_only_current_answers_of_the_issuer),
        cmocka_unit_test(an_answer_is_not_stapled_past_its_end),
        cmocka_unit_test(what_was_said_last_stands),
        cmocka_unit_test(of_one_moment_revoked_wins),
        cmocka_unit_test(refuses_what_is_no_response),
        cmocka_unit_test(asks_about_the_leaf),
        cmocka_unit_test(staples_in_the_handshake),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
