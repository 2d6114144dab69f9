/* tests/unit/crypto/tls_facts_test.c · SPDX-License-Identifier: Apache-2.0 */
#include "crypto/tls_rig.h"

struct fixture {
    struct rig_authority authority;
    EVP_PKEY *key;
    struct tls_server *server;
    struct tls_client *client;
};

static int set_up(void **state)
{
    struct fixture *fixture = calloc(1, sizeof(*fixture));
    rig_authority_init(&fixture->authority, "rig authority");
    fixture->key = rig_ec_new();
    struct rig_wish wish = {.common_name = "web", .names = "DNS:web.example"};
    struct cert_store *store = cert_store_new();
    rig_store_take(store, rig_identity_new(&fixture->authority, &wish, fixture->key));
    struct tls_server_settings server_settings = {.name = "web", .certificates = store};
    fixture->server = rig_tls_server(&server_settings);
    struct tls_client_settings client_settings = {.servers = fixture->authority.trust};
    fixture->client = rig_tls_client(&client_settings);
    cert_store_unref(store);
    *state = fixture;
    return 0;
}

static int tear_down(void **state)
{
    struct fixture *fixture = *state;
    tls_client_free(fixture->client);
    tls_server_free(fixture->server);
    rig_authority_fini(&fixture->authority);
    EVP_PKEY_free(fixture->key);
    free(fixture);
    return 0;
}

struct sent {
    bool to_server;
    const char *bytes;
    size_t len;
    bool ends; /* and then the stream ends */
    const char *reason;
};

#define SENT(to_server, text, ends, reason)                                                        \
    {                                                                                              \
        to_server, text, sizeof(text) - 1, ends, reason                                            \
    }

static const struct sent SENT_ROWS[] = {
    SENT(true, "GET / HTTP/1.1\r\nHost: a\r\n\r\n", false, "http_request"),
    SENT(true, "CONNECT a:443 HTTP/1.1\r\n\r\n", false, "http_request"),
    SENT(true, "SSH-2.0-OpenSSH_9.2\r\n", false, "not_tls"),
    SENT(false, "HTTP/1.1 400 Bad Request\r\n\r\n", false, "not_tls"),
    SENT(true, "\x16\x03\x01\x00\x05\x01\x00\x00\x01\x00", false, "malformed"),
    SENT(true, "\x15\x03\x01\x00\x02\x02\x28", false, "unexpected_message"),
    SENT(false, "\x15\x03\x03\x00\x02\x02\x46", false, "alert_protocol_version"),
    SENT(false, "\x15\x03\x03\x00\x02\x02\x30", false, "alert_unknown_ca"),
    SENT(true, "", true, "closed"),
    SENT(false, "\x16\x03\x03", true, "closed"),
};

static void says_in_a_word_why_a_handshake_failed(void **state)
{
    struct fixture *fixture = *state;
    for (size_t i = 0; i < sizeof(SENT_ROWS) / sizeof(SENT_ROWS[0]); i++) {
        const struct sent *row = &SENT_ROWS[i];
        SSL *ssl = row->to_server ? tls_server_ssl_new(fixture->server)
                                  : tls_client_ssl_new(fixture->client, "web.example");
        BIO *in = BIO_new(BIO_s_mem());
        BIO_set_mem_eof_return(in, row->ends ? 0 : -1);
        BIO_write(in, row->bytes, (int)row->len);
        SSL_set_bio(ssl, in, BIO_new(BIO_s_mem()));
        ERR_clear_error();
        int result = SSL_do_handshake(ssl);
        assert_int_equal(result, row->ends ? -1 : result);
        assert_true(result <= 0);
        const char *reason = tls_failure_reason(ssl);
        if (strcmp(reason, row->reason) != 0) {
            char why[256];
            ERR_error_string_n(ERR_peek_last_error(), why, sizeof(why));
            fail_msg("row %zu: %s, expected %s (%s)", i, reason, row->reason, why);
        }
        ERR_clear_error();
        SSL_free(ssl);
    }
}

static void knows_a_word_for_every_number(void **state)
{
    (void)state;
    assert_string_equal(tls_verify_reason(X509_V_OK), "verified");
    assert_string_equal(tls_verify_reason(X509_V_ERR_CERT_HAS_EXPIRED), "expired");
    assert_string_equal(tls_verify_reason(99999), "unverified");
    assert_string_equal(tls_alert_reason(SSL_AD_CERTIFICATE_EXPIRED), "alert_certificate_expired");
    assert_string_equal(tls_alert_reason(0), "closed");
    assert_string_equal(tls_alert_reason(255), "alert");
    for (int i = 0; i < 256; i++) {
        assert_non_null(tls_alert_reason(i));
        assert_non_null(tls_verify_reason(i));
    }
}

static void a_long_subject_is_cut(void **state)
{
    struct fixture *fixture = *state;
    X509_NAME *name = X509_NAME_new();
    for (int i = 0; i < 20; i++) {
        X509_NAME_add_entry_by_txt(name, "OU", MBSTRING_ASC,
                                   (const unsigned char *)"0123456789012345678901234567890\n", -1,
                                   -1, 0);
    }
    X509 *leaf = X509_new();
    X509_set_subject_name(leaf, name);
    X509_set_issuer_name(leaf, X509_get_subject_name(fixture->authority.certificate));
    X509_set_pubkey(leaf, fixture->key);
    X509_gmtime_adj(X509_getm_notBefore(leaf), -60);
    X509_gmtime_adj(X509_getm_notAfter(leaf), 60);
    X509_sign(leaf, fixture->authority.key, EVP_sha256());
    struct certificate *certificate = rig_certificate(leaf, NULL);
    const char *subject = certificate_facts(certificate)->subject;
    assert_int_equal(strlen(subject), CERTIFICATE_TEXT_BYTES - 1);
    assert_null(strchr(subject, '\n'));
    certificate_unref(certificate);
    X509_free(leaf);
    X509_NAME_free(name);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(says_in_a_word_why_a_handshake_failed),
        cmocka_unit_test(knows_a_word_for_every_number),
        cmocka_unit_test(a_long_subject_is_cut),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
