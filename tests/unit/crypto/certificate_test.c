/* tests/unit/crypto/certificate_test.c · SPDX-License-Identifier: Apache-2.0 */
#include "crypto/tls_rig.h"

#include "crypto/secret.h"

#include <openssl/pkcs12.h>
#include <time.h>

/* root ← middle ← leaf */
struct fixture {
    EVP_PKEY *key;
    EVP_PKEY *rsa;
    X509 *root;
    X509 *middle;
    X509 *leaf;
    X509 *rsa_leaf;
    X509 *stranger;
};

static int set_up(void **state)
{
    struct fixture *fixture = calloc(1, sizeof(*fixture));
    fixture->key = rig_ec_new();
    fixture->rsa = rig_rsa_new();
    struct rig_wish root = {.common_name = "root", .is_ca = true};
    struct rig_wish middle = {.common_name = "middle", .is_ca = true};
    struct rig_wish leaf = {.common_name = "leaf",
                            .names = "DNS:WWW.Example,DNS:*.example,IP:192.0.2.1,IP:2001:db8::1,"
                                     "DNS:with space,email:x@example",
                            .serial = 0x1234,
                            .ocsp_url = "OCSP;URI:https://no.example,OCSP;URI:http://yes.example/"};
    struct rig_wish stranger = {.common_name = "stranger"};
    fixture->root = rig_issue(&root, fixture->key, NULL, NULL);
    fixture->middle = rig_issue(&middle, fixture->key, fixture->root, fixture->key);
    fixture->leaf = rig_issue(&leaf, fixture->key, fixture->middle, fixture->key);
    fixture->rsa_leaf = rig_issue(&leaf, fixture->rsa, fixture->middle, fixture->key);
    fixture->stranger = rig_issue(&stranger, fixture->key, NULL, NULL);
    *state = fixture;
    return 0;
}

static int tear_down(void **state)
{
    struct fixture *fixture = *state;
    X509_free(fixture->root);
    X509_free(fixture->middle);
    X509_free(fixture->leaf);
    X509_free(fixture->rsa_leaf);
    X509_free(fixture->stranger);
    EVP_PKEY_free(fixture->key);
    EVP_PKEY_free(fixture->rsa);
    free(fixture);
    return 0;
}

static void reads_the_facts_of_a_leaf(void **state)
{
    struct fixture *fixture = *state;
    struct certificate *certificate = rig_certificate(fixture->leaf, NULL);
    const struct certificate_facts *facts = certificate_facts(certificate);
    assert_string_equal(facts->subject, "CN=leaf");
    assert_string_equal(facts->issuer, "CN=middle");
    assert_string_equal(facts->serial, "1234");
    assert_int_equal(facts->name_count, 4);
    assert_int_equal(facts->dns_name_count, 2);
    assert_string_equal(facts->names[0], "www.example");
    assert_string_equal(facts->names[1], "*.example");
    assert_string_equal(facts->names[2], "192.0.2.1");
    assert_string_equal(facts->names[3], "2001:db8::1");
    assert_int_equal(facts->key, CERTIFICATE_EC);
    assert_string_equal(facts->curve, "P-256");
    assert_int_equal(facts->key_bits, 256);
    assert_int_equal(facts->security_bits, 128);
    assert_int_equal(facts->smallest_rsa_bits, 0);
    assert_false(facts->is_self_signed);
    assert_false(facts->is_ca);
    assert_string_equal(facts->ocsp_url, "http://yes.example/");
    assert_int_equal(strlen(facts->sha256_text), 64);
    assert_int_equal(strncmp(facts->pin, "sha256/", 7), 0);
    assert_int_equal(strlen(facts->pin), 7 + 44);
    time_t now = time(NULL);
    assert_true(certificate_is_valid_at(certificate, now));
    assert_false(certificate_is_valid_at(certificate, now - 2 * RIG_DAY));
    assert_false(certificate_is_valid_at(certificate, now + 31 * RIG_DAY));
    assert_true(certificate_covers(certificate, "www.example"));
    assert_true(certificate_covers(certificate, "192.0.2.1"));
    assert_false(certificate_covers(certificate, "a.b.example"));
    assert_false(certificate_covers(certificate, "leaf"));
    assert_true(certificate_fits_key(certificate, fixture->key));
    assert_false(certificate_fits_key(certificate, fixture->rsa));
    certificate_unref(certificate);
    certificate = rig_certificate(fixture->rsa_leaf, fixture->middle);
    facts = certificate_facts(certificate);
    assert_int_equal(facts->key, CERTIFICATE_RSA);
    assert_int_equal(facts->smallest_rsa_bits, 2048);
    assert_string_equal(facts->curve, "");
    certificate_unref(certificate);
}

enum part { NOTHING, LEAF, MIDDLE, ROOT, STRANGER, KEY, REQUEST, PUBLIC, RUBBISH, CUT, MANY };

static void write_request(BIO *bio, EVP_PKEY *key)
{
    X509_REQ *request = X509_REQ_new();
    X509_REQ_set_pubkey(request, key);
    X509_REQ_sign(request, key, EVP_sha256());
    assert_int_equal(PEM_write_bio_X509_REQ(bio, request), 1);
    X509_REQ_free(request);
}

static void write_part(const struct fixture *fixture, BIO *bio, enum part part)
{
    switch (part) {
    case NOTHING:
        break;
    case LEAF:
        PEM_write_bio_X509(bio, fixture->leaf);
        break;
    case MIDDLE:
        PEM_write_bio_X509(bio, fixture->middle);
        break;
    case ROOT:
        PEM_write_bio_X509(bio, fixture->root);
        break;
    case STRANGER:
        PEM_write_bio_X509(bio, fixture->stranger);
        break;
    case KEY:
        PEM_write_bio_PrivateKey(bio, fixture->key, NULL, NULL, 0, NULL, NULL);
        break;
    case REQUEST:
        write_request(bio, fixture->key);
        break;
    case PUBLIC:
        PEM_write_bio_PUBKEY(bio, fixture->key);
        break;
    case RUBBISH:
        BIO_puts(bio, "hello\n");
        break;
    case CUT:
        BIO_puts(bio, "-----BEGIN CERTIFICATE-----\nMIIB\n");
        break;
    case MANY:
        for (int i = 0; i <= CERTIFICATE_CHAIN_MAX; i++) {
            PEM_write_bio_X509(bio, fixture->middle);
        }
        break;
    }
}

static const struct {
    enum part parts[4];
    size_t chain_len; /* 0: refused */
    bool has_issuer;
    const char *problem;
} FILES[] = {
    {{LEAF}, 1, false, NULL},
    {{LEAF, MIDDLE}, 2, true, NULL},
    {{LEAF, MIDDLE, ROOT}, 2, true, NULL},
    {{LEAF, ROOT, MIDDLE}, 2, true, NULL},
    {{KEY, LEAF, MIDDLE}, 2, true, NULL},
    {{LEAF, KEY}, 1, false, NULL},
    {{RUBBISH, LEAF, RUBBISH}, 1, false, NULL},
    {{ROOT}, 1, true, NULL},
    {{STRANGER}, 1, true, NULL},
    {{NOTHING}, 0, false, "the file is empty"},
    {{KEY}, 0, false, "this is a private key, not a certificate"},
    {{REQUEST}, 0, false, "this is a certificate request"},
    {{PUBLIC}, 0, false, "this is a public key"},
    {{RUBBISH}, 0, false, "neither PEM nor PKCS#12"},
    {{CUT}, 0, false, "certificate 1 of the file is malformed"},
    {{LEAF, CUT}, 0, false, "certificate 2 of the file is malformed"},
    {{MIDDLE, LEAF}, 0, false, "expected the leaf first"},
    {{LEAF, STRANGER}, 0, false, "the certificate of CN=stranger does not belong"},
    {{LEAF, ROOT}, 0, false, "the certificate of CN=root does not belong"},
    {{LEAF, LEAF}, 0, false, "does not belong"},
    {{MANY}, 0, false, "more than 16 certificates"},
};

static void reads_chains_in_any_order_and_says_what_else_it_is(void **state)
{
    struct fixture *fixture = *state;
    for (size_t i = 0; i < sizeof(FILES) / sizeof(FILES[0]); i++) {
        struct rig_pem pem = rig_pem_new();
        for (size_t k = 0; k < 4; k++) {
            write_part(fixture, pem.bio, FILES[i].parts[k]);
        }
        struct crypto_error error = {{0}};
        struct certificate *certificate = certificate_read(rig_pem_bytes(&pem), NULL, &error);
        if (certificate == NULL
                ? FILES[i].problem == NULL || strstr(error.text, FILES[i].problem) == NULL
                : FILES[i].problem != NULL) {
            fail_msg("row %zu: %s", i, error.text);
        }
        if (certificate != NULL) {
            assert_int_equal(certificate_facts(certificate)->chain_len, FILES[i].chain_len);
            assert_int_equal(certificate_issuer(certificate) != NULL, FILES[i].has_issuer);
        }
        assert_int_equal(ERR_peek_error(), 0);
        certificate_unref(certificate);
        rig_pem_free(&pem);
    }
}

static void survives_being_cut_anywhere(void **state)
{
    struct fixture *fixture = *state;
    struct rig_pem pem = rig_pem_new();
    rig_pem_add(&pem, fixture->leaf);
    struct bytes whole = rig_pem_bytes(&pem);
    for (size_t len = 0; len < whole.len - 1; len++) {
        struct crypto_error error = {{0}};
        struct certificate *certificate =
            certificate_read((struct bytes){whole.at, len}, NULL, &error);
        assert_null(certificate);
        assert_true(error.text[0] != '\0');
    }
    rig_pem_free(&pem);
}

static void writes_a_chain_without_the_key(void **state)
{
    struct fixture *fixture = *state;
    struct rig_pem pem = rig_pem_new();
    write_part(fixture, pem.bio, KEY);
    write_part(fixture, pem.bio, LEAF);
    write_part(fixture, pem.bio, ROOT);
    write_part(fixture, pem.bio, MIDDLE);
    struct crypto_error error = {{0}};
    struct certificate *certificate = certificate_read(rig_pem_bytes(&pem), NULL, &error);
    size_t len = 0;
    char *text = certificate_pem(certificate, &len);
    assert_int_equal(strlen(text), len);
    assert_null(strstr(text, "PRIVATE"));
    struct certificate *again =
        certificate_read((struct bytes){(const uint8_t *)text, len}, NULL, &error);
    assert_int_equal(certificate_facts(again)->chain_len, 2);
    assert_non_null(certificate_issuer(again));
    free(text);
    certificate_unref(again);
    certificate_unref(certificate);
    rig_pem_free(&pem);
}

/* ---- PKCS#12 and DER ---- */

static struct rig_pem make_pkcs12(const struct fixture *fixture, const char *password)
{
    STACK_OF(X509) *others = sk_X509_new_null();
    sk_X509_push(others, fixture->root);
    sk_X509_push(others, fixture->middle);
    PKCS12 *archive =
        PKCS12_create(password, "leaf", fixture->key, fixture->leaf, others, 0, 0, 1000, 1000, 0);
    assert_non_null(archive);
    struct rig_pem out = rig_pem_new();
    assert_int_equal(i2d_PKCS12_bio(out.bio, archive), 1);
    PKCS12_free(archive);
    sk_X509_free(others);
    return out;
}

static const struct {
    const char *made_with;
    const char *opened_with; /* NULL: none */
    const char *problem;
} ARCHIVES[] = {
    {"right", "right", NULL},
    {"", NULL, NULL},
    {"right", "wrong", "the password does not open the PKCS#12 file"},
    {"right", NULL, "needs a password, and none is given"},
};

static void opens_pkcs12_with_the_right_password_only(void **state)
{
    struct fixture *fixture = *state;
    for (size_t i = 0; i < sizeof(ARCHIVES) / sizeof(ARCHIVES[0]); i++) {
        struct rig_pem archive = make_pkcs12(fixture, ARCHIVES[i].made_with);
        struct secret password = {0};
        const char *opened_with = ARCHIVES[i].opened_with;
        if (opened_with != NULL) {
            assert_true(secret_init(&password, 32));
            assert_true(secret_set(&password, opened_with, strlen(opened_with)));
        }
        struct crypto_error error = {{0}};
        struct certificate *certificate = certificate_read(
            rig_pem_bytes(&archive), opened_with != NULL ? &password : NULL, &error);
        if ((certificate == NULL) != (ARCHIVES[i].problem != NULL) ||
            (certificate == NULL && strstr(error.text, ARCHIVES[i].problem) == NULL)) {
            fail_msg("row %zu: %s", i, error.text);
        }
        if (certificate != NULL) {
            assert_string_equal(certificate_facts(certificate)->subject, "CN=leaf");
            assert_int_equal(certificate_facts(certificate)->chain_len, 2);
        }
        certificate_unref(certificate);
        secret_fini(&password);
        rig_pem_free(&archive);
    }
}

static void says_how_to_convert_der(void **state)
{
    struct fixture *fixture = *state;
    struct rig_pem der = rig_pem_new();
    assert_int_equal(i2d_X509_bio(der.bio, fixture->leaf), 1);
    struct crypto_error error = {{0}};
    assert_null(certificate_read(rig_pem_bytes(&der), NULL, &error));
    assert_non_null(strstr(error.text, "a certificate in DER; expected PEM"));
    rig_pem_free(&der);
}

static void knows_which_demand_a_staple(void **state)
{
    struct fixture *fixture = *state;
    static const struct {
        const char *feature;
        bool must_staple;
    } ROWS[] = {{NULL, false},
                {"status_request", true},
                {"status_request_v2", false}, /* of TLS 1.2 alone, and not what we do */
                {"status_request_v2,status_request", true}};
    for (size_t i = 0; i < sizeof(ROWS) / sizeof(ROWS[0]); i++) {
        struct rig_wish wish = {.common_name = "leaf", .tls_feature = ROWS[i].feature};
        X509 *leaf = rig_issue(&wish, fixture->key, NULL, NULL);
        struct certificate *certificate = rig_certificate(leaf, NULL);
        assert_int_equal(certificate_facts(certificate)->must_staple, ROWS[i].must_staple);
        certificate_unref(certificate);
        X509_free(leaf);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reads_the_facts_of_a_leaf),
        cmocka_unit_test(knows_which_demand_a_staple),
        cmocka_unit_test(reads_chains_in_any_order_and_says_what_else_it_is),
        cmocka_unit_test(survives_being_cut_anywhere),
        cmocka_unit_test(writes_a_chain_without_the_key),
        cmocka_unit_test(opens_pkcs12_with_the_right_password_only),
        cmocka_unit_test(says_how_to_convert_der),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
