/* tests/unit/crypto/agreement_provider_test.c
 *
 * Handshakes whose agreements go through the provider, beside the keyholder's.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "crypto/rig.h"
#include "crypto/x25519_batch_fake.h"

#include "crypto/agreement_provider.c"
#include "crypto/agreements.h"

enum { CROWD = 16, ALONE_MAX = 3, TURNS_MAX = 10000 };

/* P-256, because in TLS 1.2 a certificate's curve has to be in the list too. */
static const char OURS_FIRST[] = "X25519:P-256";

/* Made once: RSA keys take their time. */
struct fixture {
    struct rig_identity rsa;
    struct rig_identity ec;
    struct rig_keyholder keyholder;
    struct key_client *keys;
    struct key_provider *key_provider;
    struct agreements *agreements;
    struct agreement_provider *provider;
};

static int set_up(void **state)
{
    struct fixture *fixture = *state;
    struct crypto_error error = {{0}};
    memset(&fake_batch, 0, sizeof(fake_batch));
    fixture->keys = key_client_new(64, NULL, &error);
    fixture->key_provider = key_provider_load(fixture->keys, &error);
    assert_non_null(fixture->key_provider);
    fixture->agreements = agreements_new(NULL);
    assert_non_null(fixture->agreements);
    fixture->provider = agreement_provider_load(fixture->agreements, &error);
    if (fixture->provider == NULL) {
        fail_msg("%s", error.text);
    }
    rig_keyholder_start(&fixture->keyholder, &fixture->rsa, &fixture->ec);
    key_client_attach(fixture->keys, fixture->keyholder.worker);
    fixture->keyholder.worker = -1;
    memset(&fake_batch, 0, sizeof(fake_batch));
    return 0;
}

static int tear_down(void **state)
{
    struct fixture *fixture = *state;
    key_client_detach(fixture->keys);
    agreement_provider_free(fixture->provider);
    agreements_free(fixture->agreements);
    key_provider_free(fixture->key_provider);
    key_client_free(fixture->keys);
    rig_keyholder_stop(&fixture->keyholder);
    return 0;
}

struct sides {
    SSL_CTX *server;
    SSL_CTX *client;
};

struct kind {
    bool is_rsa;
    int version;
};

static const struct kind KINDS[] = {
    {true, TLS1_3_VERSION},
    {true, TLS1_2_VERSION},
    {false, TLS1_3_VERSION},
    {false, TLS1_2_VERSION},
};

enum { KIND_COUNT = sizeof(KINDS) / sizeof(KINDS[0]) };

/* The server takes any of the groups, the client asks for these. */
static struct sides make_sides(struct fixture *fixture, const struct kind *kind, const char *groups)
{
    X509 *certificate = kind->is_rsa ? fixture->rsa.certificate : fixture->ec.certificate;
    struct crypto_error error = {{0}};
    EVP_PKEY *key = key_provider_key(fixture->key_provider, X509_get0_pubkey(certificate),
                                     kind->is_rsa ? RIG_RSA_ID : RIG_EC_ID, &error);
    assert_non_null(key);
    SSL_CTX *server = SSL_CTX_new_ex(NULL, AGREEMENT_PROPERTIES, TLS_server_method());
    assert_non_null(server);
    assert_int_equal(SSL_CTX_set_min_proto_version(server, kind->version), 1);
    assert_int_equal(SSL_CTX_set_max_proto_version(server, kind->version), 1);
    assert_int_equal(SSL_CTX_use_certificate(server, certificate), 1);
    assert_int_equal(SSL_CTX_use_PrivateKey(server, key), 1);
    assert_int_equal(SSL_CTX_set1_groups_list(server, "X25519:P-256:P-384"), 1);
    EVP_PKEY_free(key);
    struct sides sides = {.server = server, .client = rig_client_new(certificate)};
    assert_int_equal(SSL_CTX_set1_groups_list(sides.client, groups), 1);
    return sides;
}

static void free_sides(struct sides *sides)
{
    SSL_CTX_free(sides->server);
    SSL_CTX_free(sides->client);
}

/* Turns of a worker's loop until all are over. */
static void run(struct fixture *fixture, struct rig_pair *pairs, size_t count)
{
    for (int turn = 0; turn < TURNS_MAX; turn++) {
        size_t over = 0;
        for (size_t i = 0; i < count; i++) {
            over += rig_pair_is_over(&pairs[i]) ? 1 : 0;
        }
        if (over == count) {
            return;
        }
        rig_turn(pairs, count, fixture->keys);
        agreements_flush(fixture->agreements);
        agreements_refill(fixture->agreements);
    }
    fail_msg("handshakes do not end");
}

/* Which of them agreed without waiting: clients' points are random, and one in about 2,000 is not
 * for batches (agreements.c). */
static size_t run_crowd(struct fixture *fixture, const struct sides *sides, size_t count,
                        bool is_async, int parks)
{
    static struct rig_pair pairs[CROWD];
    size_t alone = 0;
    for (size_t i = 0; i < count; i++) {
        rig_pair_init(&pairs[i], sides->server, sides->client, is_async);
    }
    run(fixture, pairs, count);
    for (size_t i = 0; i < count; i++) {
        char got[8] = {0};
        assert_false(pairs[i].failed);
        assert_true(pairs[i].parks == parks || pairs[i].parks == parks - 1);
        alone += pairs[i].parks == parks ? 0 : 1;
        assert_int_equal(SSL_get_verify_result(pairs[i].client), X509_V_OK);
        assert_int_equal(SSL_write(pairs[i].client, "ping", 4), 4);
        assert_int_equal(SSL_read(pairs[i].server, got, sizeof(got)), 4);
        rig_pair_fini(&pairs[i]);
    }
    return alone;
}

static void handshakes_agree_together(void **state)
{
    struct fixture *fixture = *state;
    for (size_t i = 0; i < KIND_COUNT; i++) {
        struct sides sides = make_sides(fixture, &KINDS[i], OURS_FIRST);
        fake_batch.points = 0;
        assert_true(run_crowd(fixture, &sides, CROWD, true, 2) <= ALONE_MAX);
        assert_true(fake_batch.points > CROWD / 2); /* but for those that OpenSSL is given */
        free_sides(&sides);
    }
}

static void a_lone_one_is_openssls(void **state)
{
    struct fixture *fixture = *state;
    for (size_t i = 0; i < KIND_COUNT; i++) {
        struct sides sides = make_sides(fixture, &KINDS[i], OURS_FIRST);
        (void)run_crowd(fixture, &sides, 1, true, 2);
        free_sides(&sides);
    }
    assert_int_equal(fake_batch.point_calls, 0);
}

static void without_async_mode_nothing_waits(void **state)
{
    struct fixture *fixture = *state;
    for (size_t i = 0; i < KIND_COUNT; i++) {
        struct sides sides = make_sides(fixture, &KINDS[i], OURS_FIRST);
        assert_int_equal(run_crowd(fixture, &sides, 2, false, 0), 0);
        free_sides(&sides);
    }
    assert_int_equal(fake_batch.point_calls, 0);
}

static void other_groups_are_openssls(void **state)
{
    struct fixture *fixture = *state;
    for (size_t i = 0; i < KIND_COUNT; i++) {
        struct sides sides = make_sides(fixture, &KINDS[i], "P-256");
        assert_int_equal(run_crowd(fixture, &sides, CROWD, true, 1), 0);
        free_sides(&sides);
    }
    assert_int_equal(fake_batch.point_calls, 0);
}

/* A TLS 1.3 client that has to be asked for another share. */
static void a_client_may_be_asked_again(void **state)
{
    struct fixture *fixture = *state;
    struct sides sides = make_sides(fixture, &KINDS[0], "P-521:X25519");
    assert_true(run_crowd(fixture, &sides, CROWD, true, 2) <= ALONE_MAX);
    assert_true(fake_batch.points > 0);
    free_sides(&sides);
}

/* OpenSSL 3.5 and later. */
static void the_hybrid_is_openssls(void **state)
{
    struct fixture *fixture = *state;
    struct sides sides = make_sides(fixture, &KINDS[0], "X25519");
    bool is_known = SSL_CTX_set1_groups_list(sides.server, "X25519MLKEM768:X25519") == 1 &&
                    SSL_CTX_set1_groups_list(sides.client, "X25519MLKEM768") == 1;
    ERR_clear_error();
    if (is_known) {
        assert_int_equal(run_crowd(fixture, &sides, CROWD, true, 1), 0);
        assert_int_equal(fake_batch.point_calls, 0);
    }
    free_sides(&sides);
    if (!is_known) {
        skip();
    }
}

static bool is_keymgmt_of(const char *algorithm, const char *properties, const char *name)
{
    EVP_KEYMGMT *keys = EVP_KEYMGMT_fetch(NULL, algorithm, properties);
    bool is_its =
        keys != NULL && strcmp(OSSL_PROVIDER_get0_name(EVP_KEYMGMT_get0_provider(keys)), name) == 0;
    EVP_KEYMGMT_free(keys);
    return is_its;
}

static void only_who_asks_gets_us_and_only_for_x25519(void **state)
{
    struct fixture *fixture = *state;
    assert_true(is_keymgmt_of("X25519", AGREEMENT_PROPERTIES, NAME));
    assert_true(is_keymgmt_of("X25519", NULL, "default"));
    assert_true(is_keymgmt_of("X448", AGREEMENT_PROPERTIES, "default"));
    assert_true(is_keymgmt_of("RSA", AGREEMENT_PROPERTIES, "default"));
    assert_true(is_keymgmt_of("EC", AGREEMENT_PROPERTIES, "default"));
    agreement_provider_free(fixture->provider);
    fixture->provider = NULL;
    assert_true(is_keymgmt_of("X25519", AGREEMENT_PROPERTIES, "default"));
}

/* What the owner has taken away is not used any more, by whatever outlived it. */
static void keys_that_outlive_the_provider_make_nothing(void **state)
{
    struct fixture *fixture = *state;
    EVP_PKEY *own = EVP_PKEY_Q_keygen(NULL, AGREEMENT_PROPERTIES, "X25519");
    assert_non_null(own);
    EVP_PKEY *peer = EVP_PKEY_Q_keygen(NULL, AGREEMENT_PROPERTIES, "X25519");
    EVP_PKEY_CTX *agreeing = EVP_PKEY_CTX_new_from_pkey(NULL, own, AGREEMENT_PROPERTIES);
    assert_int_equal(EVP_PKEY_derive_init(agreeing), 1);
    assert_int_equal(EVP_PKEY_derive_set_peer(agreeing, peer), 1);
    agreement_provider_free(fixture->provider);
    fixture->provider = NULL;
    uint8_t secret[X25519_BYTES];
    size_t len = sizeof(secret);
    assert_true(EVP_PKEY_derive(agreeing, secret, &len) <= 0);
    EVP_PKEY_CTX_free(agreeing);
    EVP_PKEY_free(own);
    EVP_PKEY_free(peer);
    ERR_clear_error();
}

static void a_share_agrees_once(void **state)
{
    (void)state;
    EVP_PKEY *own = EVP_PKEY_Q_keygen(NULL, AGREEMENT_PROPERTIES, "X25519");
    EVP_PKEY *peer = EVP_PKEY_Q_keygen(NULL, AGREEMENT_PROPERTIES, "X25519");
    EVP_PKEY_CTX *agreeing = EVP_PKEY_CTX_new_from_pkey(NULL, own, AGREEMENT_PROPERTIES);
    uint8_t secret[X25519_BYTES];
    size_t len = 0;
    assert_int_equal(EVP_PKEY_derive_init(agreeing), 1);
    assert_int_equal(EVP_PKEY_derive_set_peer(agreeing, peer), 1);
    assert_int_equal(EVP_PKEY_derive(agreeing, NULL, &len), 1);
    assert_int_equal(len, X25519_BYTES);
    assert_int_equal(EVP_PKEY_derive(agreeing, secret, &len), 1);
    assert_true(EVP_PKEY_derive(agreeing, secret, &len) <= 0);
    EVP_PKEY_CTX_free(agreeing);
    agreeing = EVP_PKEY_CTX_new_from_pkey(NULL, own, AGREEMENT_PROPERTIES);
    assert_true(EVP_PKEY_derive_init(agreeing) <= 0);
    EVP_PKEY_CTX_free(agreeing);
    EVP_PKEY_free(own);
    EVP_PKEY_free(peer);
    ERR_clear_error();
}

static void scalars_do_not_leave(void **state)
{
    (void)state;
    EVP_PKEY *own = EVP_PKEY_Q_keygen(NULL, AGREEMENT_PROPERTIES, "X25519");
    uint8_t scalar[X25519_BYTES];
    size_t len = sizeof(scalar);
    assert_int_not_equal(EVP_PKEY_get_raw_private_key(own, scalar, &len), 1);
    assert_null(EVP_PKEY_dup(own));
    EVP_PKEY_free(own);
    ERR_clear_error();
}

int main(void)
{
    static struct fixture fixture;
    rig_identity_init(&fixture.rsa, true);
    rig_identity_init(&fixture.ec, false);
    void *state = &fixture;
#define TEST(claim)                                                                                \
    {                                                                                              \
#claim, (claim), set_up, tear_down, state                                                  \
    }
    const struct CMUnitTest tests[] = {
        TEST(handshakes_agree_together),
        TEST(a_lone_one_is_openssls),
        TEST(without_async_mode_nothing_waits),
        TEST(other_groups_are_openssls),
        TEST(a_client_may_be_asked_again),
        TEST(the_hybrid_is_openssls),
        TEST(only_who_asks_gets_us_and_only_for_x25519),
        TEST(keys_that_outlive_the_provider_make_nothing),
        TEST(a_share_agrees_once),
        TEST(scalars_do_not_leave),
    };
#undef TEST
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    rig_identity_fini(&fixture.rsa);
    rig_identity_fini(&fixture.ec);
    return failed;
}
