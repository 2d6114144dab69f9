/* tests/unit/crypto/tls_policy_test.c · SPDX-License-Identifier: Apache-2.0 */
#include "crypto/tls_rig.h"

#include "crypto/tls_policy.h"

struct row {
    enum tls_version minimum;
    const char *names[3];
    const char *problem; /* NULL: fine */
};

static const struct row ROWS[] = {
    {0, {"TLS_AES_256_GCM_SHA384", "ECDHE-RSA-AES256-GCM-SHA384"}, NULL},
    {0, {"TLS_AES_128_GCM_SHA256"}, NULL},
    {0, {"ECDHE-ECDSA-CHACHA20-POLY1305"}, NULL},
    {TLS_VERSION_1_3, {"ECDHE-RSA-AES256-GCM-SHA384"}, "the minimum is TLS 1.3"},
    {0, {NULL}, "0 cipher suites"},
    {0, {"AES256-GCM-SHA384"}, "no forward secrecy"},
    {0, {"AES256-SHA"}, "no forward secrecy"},
    {0, {"ECDHE-RSA-AES256-SHA384"}, "no AEAD"},
    {0, {"DHE-RSA-AES256-GCM-SHA384"}, "finite-field"},
    {0, {"ECDHE-ECDSA-NULL-SHA"}, "does not encrypt"},
    {0, {"AECDH-AES256-SHA"}, "does not authenticate"},
    {0, {"PSK-AES256-GCM-SHA384"}, "key shared beforehand"},
    {0, {"ECDHE-ECDSA-AES256-CCM"}, "CCM"},
    {0, {"TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384"}, "did you mean \"ECDHE-RSA-AES256-GCM-SHA384\""},
    {0, {"tls_aes_256_gcm_sha384"}, "did you mean \"TLS_AES_256_GCM_SHA384\""},
    {0, {"HIGH"}, "unknown cipher suite"},
    {0, {"ALL:@SECLEVEL=0"}, "unknown cipher suite"},
    {0, {""}, "unknown cipher suite"},
    {0, {"TLS_AES_256_GCM_SHA384", "RC4-SHA"}, "RC4"},
};

static struct tls_policy policy_of(const struct row *row)
{
    struct tls_policy policy = {
        .minimum = row->minimum, .suites = TLS_SUITES_LIST, .names = row->names};
    while (policy.name_count < 3 && row->names[policy.name_count] != NULL) {
        policy.name_count++;
    }
    return policy;
}

static void takes_strong_suites_and_says_why_not_others(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(ROWS) / sizeof(ROWS[0]); i++) {
        struct crypto_error error = {{0}};
        struct tls_policy policy = policy_of(&ROWS[i]);
        bool is_fine = tls_policy_check(&policy, &error);
        if (is_fine != (ROWS[i].problem == NULL) ||
            (!is_fine && strstr(error.text, ROWS[i].problem) == NULL)) {
            fail_msg("row %zu: %s", i, error.text);
        }
        SSL_CTX *ctx = SSL_CTX_new(TLS_method());
        assert_int_equal(tls_policy_apply(&policy, ctx, &error), is_fine);
        SSL_CTX_free(ctx);
    }
}

static void speaks_only_the_versions_that_have_a_suite(void **state)
{
    (void)state;
    const struct {
        struct row row;
        long least;
        long most;
    } VERSIONS[] = {
        {{0, {"TLS_AES_256_GCM_SHA384"}, NULL}, TLS1_3_VERSION, TLS1_3_VERSION},
        {{0, {"ECDHE-RSA-AES256-GCM-SHA384"}, NULL}, TLS1_2_VERSION, TLS1_2_VERSION},
        {{0, {"TLS_AES_256_GCM_SHA384", "ECDHE-RSA-AES256-GCM-SHA384"}, NULL},
         TLS1_2_VERSION,
         TLS1_3_VERSION},
    };
    for (size_t i = 0; i < sizeof(VERSIONS) / sizeof(VERSIONS[0]); i++) {
        struct crypto_error error = {{0}};
        struct tls_policy policy = policy_of(&VERSIONS[i].row);
        SSL_CTX *ctx = SSL_CTX_new(TLS_method());
        assert_true(tls_policy_apply(&policy, ctx, &error));
        assert_int_equal(SSL_CTX_get_min_proto_version(ctx), VERSIONS[i].least);
        assert_int_equal(SSL_CTX_get_max_proto_version(ctx), VERSIONS[i].most);
        SSL_CTX_free(ctx);
    }
}

static void turns_off_what_must_be_off(void **state)
{
    (void)state;
    struct crypto_error error = {{0}};
    struct tls_policy policy = {0};
    SSL_CTX *ctx = SSL_CTX_new(TLS_method());
    assert_true(tls_policy_apply(&policy, ctx, &error));
    uint64_t options = SSL_CTX_get_options(ctx);
    assert_true((options & SSL_OP_NO_RENEGOTIATION) != 0);
    assert_true((options & SSL_OP_NO_COMPRESSION) != 0);
    assert_true((options & SSL_OP_CIPHER_SERVER_PREFERENCE) != 0);
    assert_true((options & SSL_OP_ALLOW_UNSAFE_LEGACY_RENEGOTIATION) == 0);
    assert_true((options & SSL_OP_LEGACY_SERVER_CONNECT) == 0);
    assert_int_equal(SSL_CTX_get_max_early_data(ctx), 0);
    assert_int_equal(SSL_CTX_get_recv_max_early_data(ctx), 0);
    assert_int_equal(SSL_CTX_get_security_level(ctx), 2);
    assert_true((SSL_CTX_get_mode(ctx) & SSL_MODE_RELEASE_BUFFERS) != 0);
    assert_true((SSL_CTX_get_mode(ctx) & SSL_MODE_AUTO_RETRY) != 0);
    SSL_CTX_free(ctx);
}

static void offers_the_hybrid_group_first_where_there_is_one(void **state)
{
    (void)state;
    const char *groups = tls_policy_groups();
    if (tls_policy_is_post_quantum()) {
        assert_int_equal(strncmp(groups, "X25519MLKEM768:X25519:", 22), 0);
    } else {
        assert_string_equal(groups, "X25519:P-256:P-384");
    }
    assert_int_equal(ERR_peek_error(), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(takes_strong_suites_and_says_why_not_others),
        cmocka_unit_test(speaks_only_the_versions_that_have_a_suite),
        cmocka_unit_test(turns_off_what_must_be_off),
        cmocka_unit_test(offers_the_hybrid_group_first_where_there_is_one),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
