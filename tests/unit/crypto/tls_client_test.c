/* tests/unit/crypto/tls_client_test.c · SPDX-License-Identifier: Apache-2.0 */
#include "crypto/tls_rig.h"

#include "crypto/tickets.h"

#include <time.h>

struct fixture {
    struct rig_authority authority;
    struct rig_authority stranger;
    EVP_PKEY *rsa;
    EVP_PKEY *ec;
    struct tickets *tickets;
};

static int set_up(void **state)
{
    struct fixture *fixture = calloc(1, sizeof(*fixture));
    rig_authority_init(&fixture->authority, "rig authority");
    rig_authority_init(&fixture->stranger, "stranger");
    fixture->rsa = rig_rsa_new();
    fixture->ec = rig_ec_new();
    fixture->tickets = tickets_new(3600, (uint64_t)time(NULL));
    *state = fixture;
    return 0;
}

static int tear_down(void **state)
{
    struct fixture *fixture = *state;
    rig_authority_fini(&fixture->authority);
    rig_authority_fini(&fixture->stranger);
    EVP_PKEY_free(fixture->rsa);
    EVP_PKEY_free(fixture->ec);
    tickets_free(fixture->tickets);
    free(fixture);
    return 0;
}

static struct tls_server *server_with(const struct fixture *fixture, const struct rig_wish *wish,
                                      EVP_PKEY *key)
{
    struct cert_store *store = cert_store_new();
    rig_store_take(store, rig_identity_new(&fixture->authority, wish, key));
    struct tls_server_settings settings = {
        .name = "backend", .certificates = store, .tickets = fixture->tickets};
    struct tls_server *server = rig_tls_server(&settings);
    cert_store_unref(store);
    return server;
}

/* ---- verification ---- */

enum pin { PIN_NONE, PIN_RIGHT, PIN_WRONG, PIN_SECOND };

struct verify_row {
    const char *names; /* in the certificate */
    const char *name;  /* that we ask for */
    int from_days;
    int to_days;
    bool believes_stranger;
    bool is_rsa;
    unsigned minimum_rsa_bits;
    bool skips;
    enum pin pin;
    const char *reason; /* "": accepted */
    bool is_verified;
};

#define FINE "DNS:db.internal,DNS:*.pool.internal,IP:127.0.0.1,IP:::1"

static const struct verify_row ROWS[] = {
    {FINE, "db.internal", 0, 0, false, false, 0, false, PIN_NONE, "", true},
    {FINE, "DB.Internal.", 0, 0, false, false, 0, false, PIN_NONE, "", true},
    {FINE, "a.pool.internal", 0, 0, false, false, 0, false, PIN_NONE, "", true},
    {FINE, "127.0.0.1", 0, 0, false, false, 0, false, PIN_NONE, "", true},
    {FINE, "::1", 0, 0, false, false, 0, false, PIN_NONE, "", true},
    {FINE, "other.internal", 0, 0, false, false, 0, false, PIN_NONE, "name_mismatch", false},
    {FINE, "b.a.pool.internal", 0, 0, false, false, 0, false, PIN_NONE, "name_mismatch", false},
    {FINE, "127.0.0.2", 0, 0, false, false, 0, false, PIN_NONE, "name_mismatch", false},
    {NULL, "common.name", 0, 0, false, false, 0, false, PIN_NONE, "name_mismatch", false},
    {FINE, "db.internal", 0, 0, true, false, 0, false, PIN_NONE, "unknown_ca", false},
    {FINE, "db.internal", -20, -10, false, false, 0, false, PIN_NONE, "expired", false},
    {FINE, "db.internal", 5, 10, false, false, 0, false, PIN_NONE, "not_yet_valid", false},
    {FINE, "db.internal", 0, 0, false, true, 0, false, PIN_NONE, "", true},
    {FINE, "db.internal", 0, 0, false, true, 3072, false, PIN_NONE, "weak_key", false},
    {FINE, "db.internal", 0, 0, false, false, 3072, false, PIN_NONE, "", true},
    {FINE, "db.internal", 0, 0, false, false, 0, false, PIN_RIGHT, "", true},
    {FINE, "db.internal", 0, 0, false, false, 0, false, PIN_SECOND, "", true},
    {FINE, "db.internal", 0, 0, false, false, 0, false, PIN_WRONG, "pin_mismatch", false},
    {FINE, "other.internal", 0, 0, false, false, 0, false, PIN_RIGHT, "name_mismatch", false},
    {FINE, "other.internal", 0, 0, true, false, 0, true, PIN_NONE, "", false},
    {FINE, "db.internal", 0, 0, true, false, 0, true, PIN_RIGHT, "", false},
    {FINE, "db.internal", 0, 0, true, false, 0, true, PIN_WRONG, "pin_mismatch", false},
    {FINE, "db.internal", 0, 0, false, false, 0, true, PIN_NONE, "", true},
};

static struct tls_client_settings settings_of(const struct fixture *fixture,
                                              const struct verify_row *row,
                                              uint8_t pins[2][TLS_PIN_BYTES])
{
    struct tls_client_settings settings = {
        .policy = {.minimum_rsa_bits = row->minimum_rsa_bits},
        .servers = row->believes_stranger ? fixture->stranger.trust : fixture->authority.trust,
        .skip_verification = row->skips,
        .pins = pins,
        .pin_count = row->pin == PIN_NONE     ? 0
                     : row->pin == PIN_SECOND ? 2
                                              : 1,
    };
    unsigned char *der = NULL;
    int len = i2d_PUBKEY(row->is_rsa ? fixture->rsa : fixture->ec, &der);
    memset(pins, 0x55, 2 * TLS_PIN_BYTES);
    if (row->pin == PIN_RIGHT || row->pin == PIN_SECOND) {
        EVP_Digest(der, (size_t)len, pins[row->pin == PIN_SECOND ? 1 : 0], NULL, EVP_sha256(),
                   NULL);
    }
    OPENSSL_free(der);
    return settings;
}

static void accepts_only_the_server_that_is_meant(void **state)
{
    struct fixture *fixture = *state;
    for (size_t i = 0; i < sizeof(ROWS) / sizeof(ROWS[0]); i++) {
        const struct verify_row *row = &ROWS[i];
        struct rig_wish wish = {.common_name = "common.name",
                                .names = row->names,
                                .from_days = row->from_days,
                                .to_days = row->to_days};
        struct tls_server *server =
            server_with(fixture, &wish, row->is_rsa ? fixture->rsa : fixture->ec);
        uint8_t pins[2][TLS_PIN_BYTES];
        struct tls_client_settings settings = settings_of(fixture, row, pins);
        struct tls_client *client = rig_tls_client(&settings);
        struct rig_sides sides;
        rig_sides_init(&sides, tls_server_ssl_new(server), tls_client_ssl_new(client, row->name));
        bool is_done = rig_handshake(&sides);
        if (strcmp(sides.client_reason, row->reason) != 0 || is_done != (row->reason[0] == '\0')) {
            fail_msg("row %zu: \"%s\", expected \"%s\"", i, sides.client_reason, row->reason);
        }
        struct tls_facts facts;
        tls_facts_read(&facts, sides.client);
        assert_int_equal(is_done && facts.is_peer_verified, row->is_verified);
        rig_sides_fini(&sides);
        tls_client_free(client);
        tls_server_free(server);
    }
}

static void names_hosts_but_no_addresses_in_sni(void **state)
{
    struct fixture *fixture = *state;
    struct rig_wish wish = {.common_name = "x", .names = FINE};
    struct tls_server *server = server_with(fixture, &wish, fixture->ec);
    struct tls_client_settings settings = {.servers = fixture->authority.trust};
    struct tls_client *client = rig_tls_client(&settings);
    static const struct {
        const char *name;
        const char *sni;
    } NAMES[] = {{"db.internal.", "db.internal"}, {"127.0.0.1", ""}, {"::1", ""}};
    for (size_t i = 0; i < sizeof(NAMES) / sizeof(NAMES[0]); i++) {
        struct rig_sides sides;
        rig_sides_init(&sides, tls_server_ssl_new(server),
                       tls_client_ssl_new(client, NAMES[i].name));
        assert_true(rig_handshake(&sides));
        struct tls_facts facts;
        tls_facts_read(&facts, sides.server);
        assert_string_equal(facts.server_name, NAMES[i].sni);
        rig_sides_fini(&sides);
    }
    static const char *const BAD[] = {"", ".", "a b", "a\nb", "[::1]", ".example", NULL};
    for (size_t i = 0; i < sizeof(BAD) / sizeof(BAD[0]); i++) {
        assert_null(tls_client_ssl_new(client, BAD[i]));
    }
    tls_client_free(client);
    tls_server_free(server);
}

/* ---- resumption ---- */

static bool connect_once(struct tls_server *server, struct tls_client *client, const char *name,
                         int version, bool ends_well)
{
    SSL *ssl = tls_client_ssl_new(client, name);
    SSL_set_max_proto_version(ssl, version);
    struct rig_sides sides;
    rig_sides_init(&sides, tls_server_ssl_new(server), ssl);
    assert_true(rig_handshake(&sides));
    struct tls_facts facts;
    tls_facts_read(&facts, sides.client);
    assert_true(facts.is_peer_verified);
    if (ends_well) {
        SSL_shutdown(sides.client);
    }
    rig_sides_fini(&sides);
    return facts.is_resumed;
}

static void resumes_the_latest_session_under_the_same_name(void **state)
{
    struct fixture *fixture = *state;
    struct rig_wish wish = {.common_name = "x", .names = FINE};
    struct tls_server *server = server_with(fixture, &wish, fixture->ec);
    static const int VERSIONS[] = {TLS1_2_VERSION, TLS1_3_VERSION};
    for (size_t i = 0; i < sizeof(VERSIONS) / sizeof(VERSIONS[0]); i++) {
        struct tls_client_settings settings = {.servers = fixture->authority.trust};
        struct tls_client *client = rig_tls_client(&settings);
        assert_false(connect_once(server, client, "db.internal", VERSIONS[i], true));
        assert_true(connect_once(server, client, "db.internal", VERSIONS[i], false));
        assert_false(connect_once(server, client, "a.pool.internal", VERSIONS[i], true));
        assert_false(connect_once(server, client, "127.0.0.1", VERSIONS[i], true));
        assert_true(connect_once(server, client, "127.0.0.1", VERSIONS[i], true));
        tls_client_free(client);
    }
    tls_server_free(server);
}

/* ---- key exchange ---- */

static void count_hellos(int is_written, int version, int type, const void *at, size_t len,
                         SSL *ssl, void *count)
{
    (void)version;
    (void)ssl;
    if (is_written == 1 && type == SSL3_RT_HANDSHAKE && len > 0 &&
        *(const uint8_t *)at == SSL3_MT_CLIENT_HELLO) {
        ++*(int *)count;
    }
}

static void agrees_on_the_best_group_without_asking_twice(void **state)
{
    struct fixture *fixture = *state;
    struct rig_wish wish = {.common_name = "x", .names = FINE};
    struct tls_server *server = server_with(fixture, &wish, fixture->ec);
    struct tls_client_settings settings = {.servers = fixture->authority.trust};
    struct tls_client *client = rig_tls_client(&settings);
    bool is_hybrid = tls_policy_is_post_quantum();
    const struct {
        const char *groups; /* of the server; NULL: ours */
        const char *expected;
        bool is_post_quantum;
        int hellos;
    } GROUPS[] = {{NULL, is_hybrid ? "X25519MLKEM768" : "X25519", is_hybrid, 1},
                  {"X25519", "X25519", false, 1},
                  {"P-256", "P-256", false, 2}};
    for (size_t i = 0; i < sizeof(GROUPS) / sizeof(GROUPS[0]); i++) {
        SSL *ssl = tls_server_ssl_new(server);
        assert_true(GROUPS[i].groups == NULL || SSL_set1_groups_list(ssl, GROUPS[i].groups) == 1);
        int hellos = 0;
        SSL *own = tls_client_ssl_new(client, "db.internal");
        SSL_set_session(own, NULL);
        SSL_set_msg_callback(own, count_hellos);
        SSL_set_msg_callback_arg(own, &hellos);
        struct rig_sides sides;
        rig_sides_init(&sides, ssl, own);
        assert_true(rig_handshake(&sides));
        struct tls_facts facts;
        tls_facts_read(&facts, sides.client);
        assert_string_equal(facts.group, GROUPS[i].expected);
        assert_int_equal(facts.is_post_quantum, GROUPS[i].is_post_quantum);
        assert_int_equal(hellos, GROUPS[i].hellos);
        rig_sides_fini(&sides);
    }
    tls_client_free(client);
    tls_server_free(server);
}

static void an_ssl_outlives_its_client(void **state)
{
    struct fixture *fixture = *state;
    struct rig_wish wish = {.common_name = "x", .names = FINE};
    struct tls_server *server = server_with(fixture, &wish, fixture->ec);
    struct tls_client_settings settings = {.servers = fixture->authority.trust};
    struct tls_client *client = rig_tls_client(&settings);
    SSL *ssl = tls_client_ssl_new(client, "other.internal");
    tls_client_free(client);
    struct rig_sides sides;
    rig_sides_init(&sides, tls_server_ssl_new(server), ssl);
    assert_false(rig_handshake(&sides));
    assert_string_equal(sides.client_reason, "name_mismatch");
    rig_sides_fini(&sides);
    tls_server_free(server);
}

static void refuses_settings_without_anybody_to_believe(void **state)
{
    (void)state;
    struct crypto_error error = {{0}};
    struct tls_client_settings settings = {.servers = NULL};
    assert_null(tls_client_new(&settings, &error));
    assert_non_null(strstr(error.text, "no authority"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(accepts_only_the_server_that_is_meant),
        cmocka_unit_test(names_hosts_but_no_addresses_in_sni),
        cmocka_unit_test(resumes_the_latest_session_under_the_same_name),
        cmocka_unit_test(agrees_on_the_best_group_without_asking_twice),
        cmocka_unit_test(an_ssl_outlives_its_client),
        cmocka_unit_test(refuses_settings_without_anybody_to_believe),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
