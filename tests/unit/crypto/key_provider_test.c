/* tests/unit/crypto/key_provider_test.c · SPDX-License-Identifier: Apache-2.0 */
#include "crypto/rig.h"

#include <openssl/provider.h>

/* Made once: RSA keys take their time. */
struct fixture {
    struct rig_identity rsa;
    struct rig_identity ec;
    struct rig_keyholder keyholder;
    struct key_client *keys;
    struct key_provider *provider;
    int detached;
};

static void on_detached(void *self)
{
    struct fixture *fixture = self;
    fixture->detached++;
}

static void start_keyholder(struct fixture *fixture)
{
    rig_keyholder_start(&fixture->keyholder, &fixture->rsa, &fixture->ec);
    key_client_attach(fixture->keys, fixture->keyholder.worker);
    fixture->keyholder.worker = -1;
}

static void load(struct fixture *fixture, size_t parked_max)
{
    struct crypto_error error = {{0}};
    struct key_client_events events = {.self = fixture, .on_detached = on_detached};
    fixture->detached = 0;
    fixture->keys = key_client_new(parked_max, &events, &error);
    assert_non_null(fixture->keys);
    fixture->provider = key_provider_load(fixture->keys, &error);
    if (fixture->provider == NULL) {
        fail_msg("%s", error.text);
    }
    assert_true(key_provider_is_async(fixture->provider));
}

static void unload(struct fixture *fixture)
{
    key_client_detach(fixture->keys);
    assert_int_equal(key_client_waiting(fixture->keys), 0);
    key_provider_free(fixture->provider);
    key_client_free(fixture->keys);
}

static int set_up(void **state)
{
    struct fixture *fixture = *state;
    load(fixture, 64);
    start_keyholder(fixture);
    return 0;
}

static int tear_down(void **state)
{
    struct fixture *fixture = *state;
    unload(fixture);
    rig_keyholder_stop(&fixture->keyholder);
    return 0;
}

/* For tests that end the keyholder themselves. */
static int tear_down_without_keyholder(void **state)
{
    unload(*state);
    return 0;
}

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

struct sides {
    SSL_CTX *server;
    SSL_CTX *client;
};

static struct sides make_sides_with_id(struct fixture *fixture, const struct kind *kind,
                                       uint32_t key_id)
{
    X509 *certificate = kind->is_rsa ? fixture->rsa.certificate : fixture->ec.certificate;
    struct crypto_error error = {{0}};
    EVP_PKEY *key =
        key_provider_key(fixture->provider, X509_get0_pubkey(certificate), key_id, &error);
    if (key == NULL) {
        fail_msg("%s", error.text);
    }
    struct sides sides = {.server = rig_server_new(certificate, key, kind->version),
                          .client = rig_client_new(certificate)};
    EVP_PKEY_free(key);
    return sides;
}

static struct sides make_sides(struct fixture *fixture, const struct kind *kind)
{
    return make_sides_with_id(fixture, kind, kind->is_rsa ? RIG_RSA_ID : RIG_EC_ID);
}

static void free_sides(struct sides *sides)
{
    SSL_CTX_free(sides->server);
    SSL_CTX_free(sides->client);
}

static void handshakes_park_and_complete(void **state)
{
    struct fixture *fixture = *state;
    for (size_t i = 0; i < KIND_COUNT; i++) {
        struct sides sides = make_sides(fixture, &KINDS[i]);
        struct rig_pair pair;
        rig_pair_init(&pair, sides.server, sides.client, true);
        rig_run(&pair, 1, fixture->keys);
        assert_false(pair.failed);
        assert_int_equal(pair.parks, 1);
        assert_int_equal(pair.wakes, 1);
        assert_int_equal(SSL_version(pair.client), KINDS[i].version);
        assert_int_equal(SSL_get_verify_result(pair.client), X509_V_OK);
        rig_pair_fini(&pair);
        free_sides(&sides);
    }
}

static void handshakes_complete_without_async_mode(void **state)
{
    struct fixture *fixture = *state;
    for (size_t i = 0; i < KIND_COUNT; i++) {
        struct sides sides = make_sides(fixture, &KINDS[i]);
        struct rig_pair pair;
        rig_pair_init(&pair, sides.server, sides.client, false);
        rig_run(&pair, 1, fixture->keys);
        assert_false(pair.failed);
        assert_int_equal(pair.parks, 0);
        rig_pair_fini(&pair);
        free_sides(&sides);
    }
}

enum { CROWD = 64 };

/* Returns how often one found the pool used up. */
static int run_crowd(struct fixture *fixture, const struct kind *kind)
{
    int jobless = 0;
    static struct rig_pair pairs[CROWD];
    struct sides sides = make_sides(fixture, kind);
    for (size_t i = 0; i < CROWD; i++) {
        rig_pair_init(&pairs[i], sides.server, sides.client, true);
    }
    rig_run(pairs, CROWD, fixture->keys);
    for (size_t i = 0; i < CROWD; i++) {
        assert_false(pairs[i].failed);
        assert_int_equal(pairs[i].wakes, 1);
        jobless += pairs[i].jobless;
        rig_pair_fini(&pairs[i]);
    }
    assert_int_equal(key_client_waiting(fixture->keys), 0);
    free_sides(&sides);
    return jobless;
}

static void many_handshakes_wait_at_once(void **state)
{
    for (size_t i = 0; i < KIND_COUNT; i++) {
        assert_int_equal(run_crowd(*state, &KINDS[i]), 0);
    }
}

static void handshakes_beyond_the_pool_wait_for_room(void **state)
{
    struct fixture *fixture = *state;
    load(fixture, 4);
    start_keyholder(fixture);
    assert_true(run_crowd(fixture, &KINDS[0]) >= CROWD - 4);
}

static void data_flows_after_the_handshake(void **state)
{
    struct fixture *fixture = *state;
    struct sides sides = make_sides(fixture, &KINDS[0]);
    struct rig_pair pair;
    rig_pair_init(&pair, sides.server, sides.client, true);
    rig_run(&pair, 1, fixture->keys);
    char got[8] = {0};
    assert_int_equal(SSL_write(pair.client, "ping", 4), 4);
    assert_int_equal(SSL_read(pair.server, got, sizeof(got)), 4);
    assert_memory_equal(got, "ping", 4);
    assert_int_equal(SSL_write(pair.server, "pong", 4), 4);
    assert_int_equal(SSL_read(pair.client, got, sizeof(got)), 4);
    assert_memory_equal(got, "pong", 4);
    rig_pair_fini(&pair);
    free_sides(&sides);
}

/* Brings one handshake to the point where it waits for a signature. */
static void park(struct fixture *fixture, struct rig_pair *pair, const struct sides *sides)
{
    rig_pair_init(pair, sides->server, sides->client, true);
    rig_step_client(pair);
    rig_step_server(pair, fixture->keys);
    assert_true(pair->parked);
}

static void stray_calls_while_parked_do_no_harm(void **state)
{
    struct fixture *fixture = *state;
    struct sides sides = make_sides(fixture, &KINDS[0]);
    struct rig_pair pair;
    park(fixture, &pair, &sides);
    for (int i = 0; i < 200; i++) {
        ERR_clear_error();
        int result = SSL_do_handshake(pair.server);
        if (SSL_get_error(pair.server, result) != SSL_ERROR_WANT_ASYNC) {
            /* Too many in one turn: the signature was waited for instead. */
            pair.parked = false;
            break;
        }
    }
    rig_run(&pair, 1, fixture->keys);
    assert_false(pair.failed);
    rig_pair_fini(&pair);
    free_sides(&sides);
}

/* The answer is in, but a socket event resumes the handshake before its wake: no wake after. */
static void a_handshake_resumed_before_its_wake_is_not_woken(void **state)
{
    struct fixture *fixture = *state;
    struct sides sides = make_sides(fixture, &KINDS[0]);
    struct rig_pair parked;
    park(fixture, &parked, &sides);
    struct rig_pair blocking; /* reads the answers of both, and may not wake */
    rig_pair_init(&blocking, sides.server, sides.client, false);
    rig_step_client(&blocking);
    rig_step_server(&blocking, fixture->keys);
    assert_int_equal(parked.wakes, 0);
    parked.parked = false;
    rig_step_server(&parked, fixture->keys);
    assert_false(parked.parked);
    key_client_flush(fixture->keys);
    assert_int_equal(parked.wakes, 0);
    rig_run(&parked, 1, fixture->keys);
    rig_run(&blocking, 1, fixture->keys);
    assert_false(parked.failed || blocking.failed);
    rig_pair_fini(&parked);
    rig_pair_fini(&blocking);
    free_sides(&sides);
}

static void a_blocking_signature_leaves_the_wakes_to_the_flush(void **state)
{
    struct fixture *fixture = *state;
    struct sides sides = make_sides(fixture, &KINDS[1]);
    struct rig_pair parked;
    park(fixture, &parked, &sides);
    struct rig_pair blocking;
    rig_pair_init(&blocking, sides.server, sides.client, false);
    rig_step_client(&blocking);
    rig_step_server(&blocking, fixture->keys);
    assert_int_equal(parked.wakes, 0);
    key_client_flush(fixture->keys);
    assert_int_equal(parked.wakes, 1);
    rig_run(&parked, 1, fixture->keys);
    rig_run(&blocking, 1, fixture->keys);
    assert_false(parked.failed || blocking.failed);
    rig_pair_fini(&parked);
    rig_pair_fini(&blocking);
    free_sides(&sides);
}

/* Eight handshakes whose requests went to a keyholder that dies before it reads them. */
static void park_with_a_dead_one(struct fixture *fixture, struct rig_pair *pairs,
                                 const struct sides *sides)
{
    assert_int_equal(kill(fixture->keyholder.pid, SIGSTOP), 0);
    for (size_t i = 0; i < 8; i++) {
        park(fixture, &pairs[i], sides);
    }
    key_client_flush(fixture->keys);
    rig_keyholder_kill(&fixture->keyholder);
    key_client_on_readable(fixture->keys);
    assert_int_equal(fixture->detached, 1);
    assert_int_equal(key_client_descriptor(fixture->keys), -1);
    for (size_t i = 0; i < 8; i++) {
        assert_int_equal(pairs[i].wakes, 0);
    }
}

static void death_of_the_keyholder_costs_no_handshake(void **state)
{
    struct fixture *fixture = *state;
    struct sides sides = make_sides(fixture, &KINDS[0]);
    struct rig_pair pairs[8];
    park_with_a_dead_one(fixture, pairs, &sides);
    start_keyholder(fixture);
    rig_run(pairs, 8, fixture->keys);
    for (size_t i = 0; i < 8; i++) {
        assert_false(pairs[i].failed);
        rig_pair_fini(&pairs[i]);
    }
    assert_int_equal(key_client_waiting(fixture->keys), 0);
    free_sides(&sides);
}

/* Its client has gone: the server's side stays until its answer, and wants nothing of it. */
static void a_handshake_that_is_over_may_be_asked_for_again(void **state)
{
    struct fixture *fixture = *state;
    struct sides sides = make_sides(fixture, &KINDS[0]);
    struct rig_pair pairs[8];
    park_with_a_dead_one(fixture, pairs, &sides);
    start_keyholder(fixture);
    for (size_t i = 0; i < 8; i++) {
        pairs[i].failed = true;
        while (pairs[i].parked) {
            rig_turn(NULL, 0, fixture->keys);
        }
        (void)SSL_do_handshake(pairs[i].server);
        rig_pair_fini(&pairs[i]);
    }
    assert_int_equal(key_client_waiting(fixture->keys), 0);
    free_sides(&sides);
}

static void parked_handshakes_without_a_keyholder_end_cleanly(void **state)
{
    struct fixture *fixture = *state;
    struct sides sides = make_sides(fixture, &KINDS[0]);
    struct rig_pair pairs[8];
    park_with_a_dead_one(fixture, pairs, &sides);
    key_client_detach(fixture->keys);
    for (size_t i = 0; i < 8; i++) {
        assert_int_equal(pairs[i].wakes, 1);
        rig_step_server(&pairs[i], fixture->keys);
        assert_true(pairs[i].failed);
        rig_pair_fini(&pairs[i]);
    }
    assert_int_equal(key_client_waiting(fixture->keys), 0);
    free_sides(&sides);
}

static void a_new_keyholder_takes_over(void **state)
{
    struct fixture *fixture = *state;
    struct sides sides = make_sides(fixture, &KINDS[0]);
    rig_keyholder_kill(&fixture->keyholder);
    struct rig_pair before;
    park(fixture, &before, &sides); /* never reached the dead one: waits for the new one */
    key_client_flush(fixture->keys);
    assert_int_equal(fixture->detached, 1);
    assert_int_equal(before.wakes, 0);
    start_keyholder(fixture);
    rig_run(&before, 1, fixture->keys);
    assert_false(before.failed);
    rig_pair_fini(&before);
    assert_int_equal(run_crowd(fixture, &KINDS[2]), 0);
    free_sides(&sides);
}

/* The keyholder dies at each stage of a crowd's handshakes: each ends, done or failed, and those
 * that come after are served. */
static void death_at_any_moment_is_survived(void **state)
{
    struct fixture *fixture = *state;
    static struct rig_pair pairs[CROWD];
    for (int stage = 0; stage < 12; stage++) {
        const struct kind *kind = &KINDS[stage % KIND_COUNT];
        struct sides sides = make_sides(fixture, kind);
        for (size_t i = 0; i < CROWD; i++) {
            rig_pair_init(&pairs[i], sides.server, sides.client, i % 7 != 0);
        }
        for (int turn = 0; turn < stage / KIND_COUNT; turn++) {
            rig_turn(pairs, CROWD, fixture->keys);
        }
        rig_keyholder_kill(&fixture->keyholder);
        rig_turn(pairs, CROWD, fixture->keys);
        start_keyholder(fixture);
        rig_run(pairs, CROWD, fixture->keys);
        for (size_t i = 0; i < CROWD; i++) {
            /* A client that failed leaves its server parked: resumed once more, then freed. */
            while (pairs[i].parked) {
                rig_turn(NULL, 0, fixture->keys);
            }
            if (SSL_waiting_for_async(pairs[i].server)) {
                (void)SSL_do_handshake(pairs[i].server);
            }
            rig_pair_fini(&pairs[i]);
        }
        free_sides(&sides);
        assert_int_equal(key_client_waiting(fixture->keys), 0);
        assert_int_equal(run_crowd(fixture, kind), 0);
    }
}

static void detaching_fails_what_was_never_sent(void **state)
{
    struct fixture *fixture = *state;
    struct sides sides = make_sides(fixture, &KINDS[0]);
    struct rig_pair pair;
    park(fixture, &pair, &sides);
    key_client_detach(fixture->keys);
    assert_int_equal(pair.wakes, 1);
    rig_step_server(&pair, fixture->keys);
    assert_true(pair.failed);
    rig_pair_fini(&pair);
    free_sides(&sides);
}

static void blocking_without_a_keyholder_fails_at_once(void **state)
{
    struct fixture *fixture = *state;
    struct sides sides = make_sides(fixture, &KINDS[0]);
    key_client_detach(fixture->keys);
    struct rig_pair pair;
    rig_pair_init(&pair, sides.server, sides.client, false);
    rig_run(&pair, 1, fixture->keys);
    assert_true(pair.failed);
    assert_int_equal(key_client_waiting(fixture->keys), 0);
    rig_pair_fini(&pair);
    free_sides(&sides);
}

/* The key exists at the keyholder, but this worker may not use it. */
static void a_key_not_granted_closes_the_channel(void **state)
{
    struct fixture *fixture = *state;
    struct sides sides = make_sides_with_id(fixture, &KINDS[0], RIG_STRANGER_ID);
    struct rig_pair pair;
    park(fixture, &pair, &sides);
    while (fixture->detached == 0) {
        rig_turn(&pair, 1, fixture->keys);
    }
    key_client_detach(fixture->keys);
    rig_run(&pair, 1, fixture->keys);
    assert_true(pair.failed);
    rig_pair_fini(&pair);
    free_sides(&sides);
}

/* Sign and verify with an ordinary key in this process, as verification of backends does. */
static void sign_and_verify(bool is_rsa)
{
    EVP_PKEY *key = rig_key_new(is_rsa);
    X509 *certificate = rig_certificate_new(key);
    assert_int_equal(X509_verify(certificate, key), 1);
    EVP_MD_CTX *digest = EVP_MD_CTX_new();
    uint8_t signature[512];
    size_t len = sizeof(signature);
    assert_int_equal(EVP_DigestSignInit(digest, NULL, EVP_sha384(), NULL, key), 1);
    assert_int_equal(EVP_DigestSign(digest, signature, &len, (const uint8_t *)"x", 1), 1);
    EVP_MD_CTX_reset(digest);
    assert_int_equal(EVP_DigestVerifyInit(digest, NULL, EVP_sha384(), NULL, key), 1);
    assert_int_equal(EVP_DigestVerify(digest, signature, len, (const uint8_t *)"x", 1), 1);
    EVP_MD_CTX_free(digest);
    X509_free(certificate);
    EVP_PKEY_free(key);
}

static void ordinary_keys_are_not_disturbed(void **state)
{
    struct fixture *fixture = *state;
    sign_and_verify(true);
    sign_and_verify(false);
    assert_int_equal(X509_self_signed(fixture->rsa.certificate, 1), 1);
    assert_int_equal(X509_self_signed(fixture->ec.certificate, 1), 1);
    EVP_SIGNATURE *signature = EVP_SIGNATURE_fetch(NULL, "RSA", NULL);
    assert_string_equal(OSSL_PROVIDER_get0_name(EVP_SIGNATURE_get0_provider(signature)), "default");
    EVP_SIGNATURE_free(signature);
}

static void a_key_has_a_public_half_only(void **state)
{
    struct fixture *fixture = *state;
    EVP_PKEY *certified = X509_get0_pubkey(fixture->rsa.certificate);
    EVP_PKEY *key = key_provider_key(fixture->provider, certified, RIG_RSA_ID, NULL);
    assert_non_null(key);
    assert_int_equal(EVP_PKEY_get_bits(key), 2048);
    assert_int_equal(EVP_PKEY_get_size(key), 256);
    assert_int_equal(EVP_PKEY_eq(key, certified), 1);
    BIGNUM *exponent = NULL;
    assert_int_equal(EVP_PKEY_get_bn_param(key, OSSL_PKEY_PARAM_RSA_D, &exponent), 0);
    uint8_t *der = NULL;
    assert_true(i2d_PrivateKey(key, &der) <= 0);
    EVP_PKEY *other = X509_get0_pubkey(fixture->ec.certificate);
    assert_int_not_equal(EVP_PKEY_eq(key, other), 1);
    EVP_PKEY *copy = EVP_PKEY_dup(key);
    assert_non_null(copy);
    assert_int_equal(EVP_PKEY_eq(copy, key), 1);
    EVP_PKEY_free(copy);
    EVP_PKEY_free(key);
    ERR_clear_error();
}

/* Digests by each of their names, PSS and PKCS#1, against OpenSSL's own verification. */
static void each_scheme_verifies(void **state)
{
    struct fixture *fixture = *state;
    static const char *const digests[] = {"SHA256", "SHA2-256", "SHA384", "SHA2-384", "SHA512"};
    for (size_t i = 0; i < sizeof(digests) / sizeof(digests[0]); i++) {
        for (int padding = 0; padding < 3; padding++) {
            bool is_rsa = padding < 2;
            X509 *certificate = is_rsa ? fixture->rsa.certificate : fixture->ec.certificate;
            EVP_PKEY *certified = X509_get0_pubkey(certificate);
            EVP_PKEY *key = key_provider_key(fixture->provider, certified,
                                             is_rsa ? RIG_RSA_ID : RIG_EC_ID, NULL);
            const char *mode = padding == 0 ? "pss" : "pkcs1";
            char word[8];
            (void)snprintf(word, sizeof(word), "%s", mode);
            OSSL_PARAM params[] = {
                is_rsa ? OSSL_PARAM_construct_utf8_string(OSSL_SIGNATURE_PARAM_PAD_MODE, word, 0)
                       : OSSL_PARAM_construct_end(),
                OSSL_PARAM_construct_end(),
            };
            uint8_t signature[512];
            size_t len = sizeof(signature);
            EVP_MD_CTX *digest = EVP_MD_CTX_new();
            assert_int_equal(
                EVP_DigestSignInit_ex(digest, NULL, digests[i], NULL, NULL, key, params), 1);
            assert_int_equal(EVP_DigestSign(digest, signature, &len, (const uint8_t *)"abc", 3), 1);
            EVP_MD_CTX_reset(digest);
            assert_int_equal(
                EVP_DigestVerifyInit_ex(digest, NULL, digests[i], NULL, NULL, certified, params),
                1);
            assert_int_equal(EVP_DigestVerify(digest, signature, len, (const uint8_t *)"abc", 3),
                             1);
            EVP_MD_CTX_free(digest);
            EVP_PKEY_free(key);
        }
    }
}

static void other_digests_are_refused(void **state)
{
    struct fixture *fixture = *state;
    EVP_PKEY *key = key_provider_key(fixture->provider, X509_get0_pubkey(fixture->rsa.certificate),
                                     RIG_RSA_ID, NULL);
    EVP_MD_CTX *digest = EVP_MD_CTX_new();
    assert_int_not_equal(EVP_DigestSignInit_ex(digest, NULL, "SHA1", NULL, NULL, key, NULL), 1);
    EVP_MD_CTX_free(digest);
    EVP_PKEY_free(key);
    ERR_clear_error();
}

int main(void)
{
    static struct fixture fixture;
    /* Before anything else uses OpenSSL, as in a worker: the provider is the first thing loaded. */
    struct key_client *keys = key_client_new(1, NULL, NULL);
    struct key_provider *provider = key_provider_load(keys, NULL);
    if (provider == NULL) {
        return 1;
    }
    rig_identity_init(&fixture.rsa, true);
    key_provider_free(provider);
    key_client_free(keys);
    rig_identity_init(&fixture.ec, false);
    struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(handshakes_park_and_complete, set_up, tear_down),
        cmocka_unit_test_setup_teardown(handshakes_complete_without_async_mode, set_up, tear_down),
        cmocka_unit_test_setup_teardown(many_handshakes_wait_at_once, set_up, tear_down),
        cmocka_unit_test_teardown(handshakes_beyond_the_pool_wait_for_room, tear_down),
        cmocka_unit_test_setup_teardown(data_flows_after_the_handshake, set_up, tear_down),
        cmocka_unit_test_setup_teardown(stray_calls_while_parked_do_no_harm, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_handshake_resumed_before_its_wake_is_not_woken, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(a_blocking_signature_leaves_the_wakes_to_the_flush, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(death_of_the_keyholder_costs_no_handshake, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(a_handshake_that_is_over_may_be_asked_for_again, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(parked_handshakes_without_a_keyholder_end_cleanly, set_up,
                                        tear_down_without_keyholder),
        cmocka_unit_test_setup_teardown(a_new_keyholder_takes_over, set_up, tear_down),
        cmocka_unit_test_setup_teardown(death_at_any_moment_is_survived, set_up, tear_down),
        cmocka_unit_test_setup_teardown(detaching_fails_what_was_never_sent, set_up, tear_down),
        cmocka_unit_test_setup_teardown(blocking_without_a_keyholder_fails_at_once, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(a_key_not_granted_closes_the_channel, set_up, tear_down),
        cmocka_unit_test_setup_teardown(ordinary_keys_are_not_disturbed, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_key_has_a_public_half_only, set_up, tear_down),
        cmocka_unit_test_setup_teardown(each_scheme_verifies, set_up, tear_down),
        cmocka_unit_test_setup_teardown(other_digests_are_refused, set_up, tear_down),
    };
    for (size_t i = 0; i < sizeof(tests) / sizeof(tests[0]); i++) {
        tests[i].initial_state = &fixture;
    }
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    rig_identity_fini(&fixture.rsa);
    rig_identity_fini(&fixture.ec);
    return failed;
}
