/* tests/unit/crypto/tls_server_test.c · SPDX-License-Identifier: Apache-2.0 */
#include "crypto/tls_rig.h"

#include "crypto/spent_tickets.h"
#include "crypto/tickets.h"

#include <time.h>
#include <unistd.h>

/* Made once: keys take their time. */
struct fixture {
    struct rig_authority authority;
    struct rig_authority stranger;
    EVP_PKEY *rsa;
    EVP_PKEY *ec;
    struct cert_store *store;
    struct tickets *tickets;
};

static const char *const HTTP1[] = {"http/1.1"};

static void add(struct fixture *fixture, const char *common_name, const char *names, EVP_PKEY *key,
                int from_days, int to_days)
{
    struct rig_wish wish = {
        .common_name = common_name, .names = names, .from_days = from_days, .to_days = to_days};
    rig_store_take(fixture->store, rig_identity_new(&fixture->authority, &wish, key));
}

static int set_up(void **state)
{
    struct fixture *fixture = calloc(1, sizeof(*fixture));
    rig_authority_init(&fixture->authority, "rig authority");
    rig_authority_init(&fixture->stranger, "stranger");
    fixture->rsa = rig_rsa_new();
    fixture->ec = rig_ec_new();
    fixture->store = cert_store_new();
    fixture->tickets = tickets_new(3600, (uint64_t)time(NULL));
    add(fixture, "first", "DNS:first.example", fixture->ec, 0, 0);
    add(fixture, "two rsa", "DNS:two.example", fixture->rsa, 0, 0);
    add(fixture, "two ec", "DNS:two.example", fixture->ec, 0, 0);
    add(fixture, "old", "DNS:old.example", fixture->ec, -20, -10);
    add(fixture, "new", "DNS:old.example", fixture->ec, 0, 0);
    add(fixture, "old ec", "DNS:half.example", fixture->ec, -20, -10);
    add(fixture, "new rsa", "DNS:half.example", fixture->rsa, 0, 0);
    add(fixture, "wild", "DNS:*.wild.example", fixture->ec, 0, 0);
    add(fixture, "gone", "DNS:gone.example", fixture->ec, -20, -10);
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
    EVP_PKEY_free(fixture->rsa);
    EVP_PKEY_free(fixture->ec);
    free(fixture);
    return 0;
}

static struct tls_server_settings plain_settings(const struct fixture *fixture)
{
    return (struct tls_server_settings){.name = "web",
                                        .certificates = fixture->store,
                                        .tickets = fixture->tickets,
                                        .alpn = HTTP1,
                                        .alpn_count = 1};
}

static const char *shown_common_name(const SSL *client, char *out, int size)
{
    X509 *shown = SSL_get0_peer_certificate(client);
    assert_non_null(shown);
    X509_NAME_get_text_by_NID(X509_get_subject_name(shown), NID_commonName, out, size);
    return out;
}

/* ---- choice of the certificate ---- */

struct choice_row {
    const char *name;
    const char *signatures; /* that the client can verify; NULL: all */
    int version;
    const char *expected;
};

static const struct choice_row CHOICES[] = {
    {"first.example", NULL, TLS1_3_VERSION, "first"},
    {"FIRST.Example", NULL, TLS1_3_VERSION, "first"},
    {NULL, NULL, TLS1_3_VERSION, "first"},
    {"unknown.example", NULL, TLS1_3_VERSION, "first"},
    {"two.example", NULL, TLS1_3_VERSION, "two ec"},
    {"two.example", NULL, TLS1_2_VERSION, "two ec"},
    {"two.example", "RSA-PSS+SHA256", TLS1_3_VERSION, "two rsa"},
    {"two.example", "RSA+SHA256", TLS1_2_VERSION, "two rsa"},
    {"two.example", "ECDSA+SHA256", TLS1_3_VERSION, "two ec"},
    {"old.example", NULL, TLS1_3_VERSION, "new"},
    {"half.example", NULL, TLS1_3_VERSION, "new rsa"},
    {"half.example", NULL, TLS1_2_VERSION, "new rsa"},
    {"a.wild.example", NULL, TLS1_3_VERSION, "wild"},
    {"b.a.wild.example", NULL, TLS1_3_VERSION, "first"},
    {"gone.example", NULL, TLS1_3_VERSION, "gone"},
};

static void shows_the_certificate_for_the_name_that_the_client_can_verify(void **state)
{
    struct fixture *fixture = *state;
    struct tls_server_settings settings = plain_settings(fixture);
    struct tls_server *server = rig_tls_server(&settings);
    for (size_t i = 0; i < sizeof(CHOICES) / sizeof(CHOICES[0]); i++) {
        const struct choice_row *row = &CHOICES[i];
        SSL_CTX *ctx = rig_lax_client();
        SSL_CTX_set_max_proto_version(ctx, row->version);
        if (row->signatures != NULL) {
            assert_int_equal(SSL_CTX_set1_sigalgs_list(ctx, row->signatures), 1);
        }
        struct rig_sides sides;
        rig_sides_init(&sides, tls_server_ssl_new(server), rig_lax_ssl(ctx, row->name));
        char shown[64];
        if (!rig_handshake(&sides)) {
            fail_msg("row %zu: %s, %s", i, sides.server_reason, sides.client_reason);
        }
        assert_string_equal(shown_common_name(sides.client, shown, sizeof(shown)), row->expected);
        rig_sides_fini(&sides);
        SSL_CTX_free(ctx);
    }
    tls_server_free(server);
}

static void refuses_unknown_names_when_told_to(void **state)
{
    struct fixture *fixture = *state;
    struct tls_server_settings settings = plain_settings(fixture);
    settings.refuse_unknown_names = true;
    struct tls_server *server = rig_tls_server(&settings);
    static const struct {
        const char *name;
        bool is_refused;
    } ROWS[] = {{"unknown.example", true}, {"first.example", false}, {NULL, false}};
    for (size_t i = 0; i < sizeof(ROWS) / sizeof(ROWS[0]); i++) {
        SSL_CTX *ctx = rig_lax_client();
        struct rig_sides sides;
        rig_sides_init(&sides, tls_server_ssl_new(server), rig_lax_ssl(ctx, ROWS[i].name));
        assert_int_equal(rig_handshake(&sides), !ROWS[i].is_refused);
        if (ROWS[i].is_refused) {
            assert_string_equal(sides.server_reason, "unknown_name");
            assert_string_equal(sides.client_reason, "alert_unrecognized_name");
        }
        rig_sides_fini(&sides);
        SSL_CTX_free(ctx);
    }
    tls_server_free(server);
}

/* ---- versions, suites, groups ---- */

struct offer_row {
    enum tls_version minimum;
    enum tls_suites suites;
    int min_version;
    int max_version;
    const char *suites12; /* of the client; NULL: OpenSSL's default */
    const char *suites13;
    const char *expected; /* suite; NULL: refused */
    const char *reason;
};

static const struct offer_row OFFERS[] = {
    {0, TLS_SUITES_AES256, TLS1_VERSION, TLS1_1_VERSION, "ALL:@SECLEVEL=0", NULL, NULL,
     "unsupported_version"},
    {0, TLS_SUITES_AES256, 0, TLS1_2_VERSION, NULL, NULL, "ECDHE-ECDSA-AES256-GCM-SHA384", ""},
    {0, TLS_SUITES_AES256, 0, 0, NULL, NULL, "TLS_AES_256_GCM_SHA384", ""},
    {0, TLS_SUITES_AES256, 0, 0, NULL, "TLS_AES_128_GCM_SHA256:TLS_AES_256_GCM_SHA384",
     "TLS_AES_256_GCM_SHA384", ""},
    {0, TLS_SUITES_AES256, 0, 0, "AES128-SHA", "TLS_AES_128_GCM_SHA256", NULL, "no_shared_suite"},
    {0, TLS_SUITES_AES256, 0, TLS1_2_VERSION, "ECDHE-ECDSA-AES128-GCM-SHA256", NULL, NULL,
     "no_shared_suite"},
    {0, TLS_SUITES_AES256, 0, TLS1_2_VERSION, "ECDHE-ECDSA-AES256-SHA384", NULL, NULL,
     "no_shared_suite"},
    {0, TLS_SUITES_AES256, 0, TLS1_2_VERSION, "AES256-GCM-SHA384:AES256-SHA", NULL, NULL,
     "no_shared_suite"},
    {0, TLS_SUITES_MODERN, 0, TLS1_2_VERSION, "ECDHE-ECDSA-AES128-GCM-SHA256", NULL,
     "ECDHE-ECDSA-AES128-GCM-SHA256", ""},
    {0, TLS_SUITES_MODERN, 0, 0, NULL, "TLS_CHACHA20_POLY1305_SHA256",
     "TLS_CHACHA20_POLY1305_SHA256", ""},
    {0, TLS_SUITES_MODERN, 0, 0, NULL, NULL, "TLS_AES_256_GCM_SHA384", ""},
    {TLS_VERSION_1_3, TLS_SUITES_AES256, 0, TLS1_2_VERSION, NULL, NULL, NULL,
     "unsupported_version"},
};

static void speaks_only_what_the_policy_allows(void **state)
{
    struct fixture *fixture = *state;
    for (size_t i = 0; i < sizeof(OFFERS) / sizeof(OFFERS[0]); i++) {
        const struct offer_row *row = &OFFERS[i];
        struct tls_server_settings settings = plain_settings(fixture);
        settings.policy = (struct tls_policy){.minimum = row->minimum, .suites = row->suites};
        struct tls_server *server = rig_tls_server(&settings);
        SSL_CTX *ctx = rig_lax_client();
        SSL_CTX_set_min_proto_version(ctx, row->min_version);
        SSL_CTX_set_max_proto_version(ctx, row->max_version);
        assert_true(row->suites12 == NULL || SSL_CTX_set_cipher_list(ctx, row->suites12) == 1);
        assert_true(row->suites13 == NULL || SSL_CTX_set_ciphersuites(ctx, row->suites13) == 1);
        struct rig_sides sides;
        rig_sides_init(&sides, tls_server_ssl_new(server), rig_lax_ssl(ctx, "first.example"));
        bool is_done = rig_handshake(&sides);
        if (is_done != (row->expected != NULL)) {
            fail_msg("row %zu: %d %s %s", i, is_done, sides.server_reason, sides.client_reason);
        }
        assert_string_equal(sides.server_reason, row->reason);
        if (is_done) {
            struct tls_facts facts;
            tls_facts_read(&facts, sides.server);
            assert_string_equal(facts.suite, row->expected);
        }
        rig_sides_fini(&sides);
        SSL_CTX_free(ctx);
        tls_server_free(server);
    }
}

static void refuses_to_renegotiate(void **state)
{
    struct fixture *fixture = *state;
    struct tls_server_settings settings = plain_settings(fixture);
    struct tls_server *server = rig_tls_server(&settings);
    SSL_CTX *ctx = rig_lax_client();
    SSL_CTX_set_max_proto_version(ctx, TLS1_2_VERSION);
    struct rig_sides sides;
    rig_sides_init(&sides, tls_server_ssl_new(server), rig_lax_ssl(ctx, "first.example"));
    assert_true(rig_handshake(&sides));
    assert_int_equal(SSL_renegotiate(sides.client), 1);
    char byte;
    for (int i = 0; i < 4; i++) {
        (void)SSL_do_handshake(sides.client);
        (void)SSL_read(sides.server, &byte, 1);
    }
    assert_int_equal(SSL_num_renegotiations(sides.server), 0);
    assert_int_not_equal(SSL_is_init_finished(sides.client), 1);
    rig_sides_fini(&sides);
    SSL_CTX_free(ctx);
    tls_server_free(server);
}

static void tells_the_facts_of_a_handshake(void **state)
{
    struct fixture *fixture = *state;
    struct tls_server_settings settings = plain_settings(fixture);
    struct tls_server *server = rig_tls_server(&settings);
    SSL_CTX *ctx = rig_lax_client();
    SSL_CTX_set1_groups_list(ctx, "P-256");
    SSL *client = rig_lax_ssl(ctx, "First.Example");
    assert_int_equal(SSL_set_alpn_protos(client, (const unsigned char *)"\x02h2\x08http/1.1", 12),
                     0);
    struct rig_sides sides;
    rig_sides_init(&sides, tls_server_ssl_new(server), client);
    assert_true(rig_handshake(&sides));
    struct tls_facts facts;
    tls_facts_read(&facts, sides.server);
    assert_string_equal(facts.version, "TLSv1.3");
    assert_string_equal(facts.group, "P-256");
    assert_string_equal(facts.alpn, "http/1.1");
    assert_string_equal(facts.server_name, "first.example");
    assert_false(facts.is_resumed);
    assert_false(facts.is_post_quantum);
    assert_false(facts.has_peer_certificate);
    assert_false(facts.is_peer_verified);
    size_t len = 0;
    assert_null(tls_client_cert_value(sides.server, &len));
    rig_sides_fini(&sides);
    SSL_CTX_free(ctx);
    tls_server_free(server);
}

/* ---- ALPN ---- */

static void refuses_a_client_without_a_shared_protocol(void **state)
{
    struct fixture *fixture = *state;
    struct tls_server_settings settings = plain_settings(fixture);
    struct tls_server *server = rig_tls_server(&settings);
    static const struct {
        const char *offered;
        unsigned len;
        bool is_refused;
    } ROWS[] = {{"\x02h2", 3, true}, {"\x08http/1.1", 9, false}, {NULL, 0, false}};
    for (size_t i = 0; i < sizeof(ROWS) / sizeof(ROWS[0]); i++) {
        SSL_CTX *ctx = rig_lax_client();
        SSL *client = rig_lax_ssl(ctx, "first.example");
        if (ROWS[i].offered != NULL) {
            SSL_set_alpn_protos(client, (const unsigned char *)ROWS[i].offered, ROWS[i].len);
        }
        struct rig_sides sides;
        rig_sides_init(&sides, tls_server_ssl_new(server), client);
        assert_int_equal(rig_handshake(&sides), !ROWS[i].is_refused);
        if (ROWS[i].is_refused) {
            assert_string_equal(sides.server_reason, "no_shared_alpn");
            assert_string_equal(sides.client_reason, "alert_no_application_protocol");
        }
        rig_sides_fini(&sides);
        SSL_CTX_free(ctx);
    }
    tls_server_free(server);
}

/* ---- resumption ---- */

static bool is_resumed(struct tls_server *server, SSL_CTX *client, SSL_SESSION *session)
{
    SSL *ssl = rig_lax_ssl(client, "first.example");
    assert_int_equal(SSL_set_session(ssl, session), 1);
    struct rig_sides sides;
    rig_sides_init(&sides, tls_server_ssl_new(server), ssl);
    assert_true(rig_handshake(&sides));
    struct tls_facts facts;
    tls_facts_read(&facts, sides.server);
    SSL_shutdown(sides.client);
    rig_sides_fini(&sides);
    return facts.is_resumed;
}

static SSL_SESSION *session_with(struct tls_server *server, SSL_CTX *client)
{
    struct rig_sides sides;
    rig_sides_init(&sides, tls_server_ssl_new(server), rig_lax_ssl(client, "first.example"));
    assert_true(rig_handshake(&sides));
    SSL_SESSION *session = SSL_get1_session(sides.client);
    SSL_shutdown(sides.client);
    rig_sides_fini(&sides);
    return session;
}

static void tells_clients_how_long_a_session_lasts(void **state)
{
    struct fixture *fixture = *state;
    static const struct {
        uint64_t session_seconds;
        unsigned long hint;
    } rows[] = {{0, 3600}, {90, 90}, {7200, 3600}}; /* the ticket keys of the fixture last 3600 s */
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct tls_server_settings settings = plain_settings(fixture);
        settings.session_seconds = rows[i].session_seconds;
        struct tls_server *server = rig_tls_server(&settings);
        SSL_CTX *client = rig_lax_client();
        SSL_SESSION *session = session_with(server, client);
        assert_int_equal(SSL_SESSION_get_ticket_lifetime_hint(session), rows[i].hint);
        SSL_SESSION_free(session);
        SSL_CTX_free(client);
        tls_server_free(server);
    }
}

static void resumes_on_the_same_listener_only(void **state)
{
    struct fixture *fixture = *state;
    struct tls_server_settings settings = plain_settings(fixture);
    struct tls_server *server = rig_tls_server(&settings);
    struct tls_server *same = rig_tls_server(&settings);
    settings.name = "other";
    struct tls_server *other = rig_tls_server(&settings);
    settings.name = "web";
    settings.tickets = NULL;
    struct tls_server *without = rig_tls_server(&settings);
    static const int VERSIONS[] = {TLS1_2_VERSION, TLS1_3_VERSION};
    for (size_t i = 0; i < sizeof(VERSIONS) / sizeof(VERSIONS[0]); i++) {
        SSL_CTX *client = rig_lax_client();
        SSL_CTX_set_max_proto_version(client, VERSIONS[i]);
        SSL_SESSION *session = session_with(server, client);
        assert_int_equal(SSL_SESSION_is_resumable(session), 1);
        assert_true(is_resumed(server, client, session));
        assert_true(is_resumed(same, client, session));
        assert_false(is_resumed(other, client, session));
        assert_false(is_resumed(without, client, session));
        SSL_SESSION_free(session);
        session = session_with(without, client);
        assert_int_equal(SSL_SESSION_has_ticket(session), 0);
        SSL_SESSION_free(session);
        SSL_CTX_free(client);
    }
    tls_server_free(server);
    tls_server_free(same);
    tls_server_free(other);
    tls_server_free(without);
}

static struct spent_tickets *use_spent_list(const struct fixture *fixture)
{
    int descriptor = spent_tickets_create(SPENT_TICKETS_MIN);
    struct spent_tickets *spent = spent_tickets_attach(descriptor);
    assert_non_null(spent);
    (void)close(descriptor);
    tickets_set_spent(fixture->tickets, spent);
    return spent;
}

static void a_ticket_of_single_use_resumes_once(void **state)
{
    struct fixture *fixture = *state;
    struct spent_tickets *spent = use_spent_list(fixture);
    struct tls_server_settings settings = plain_settings(fixture);
    struct tls_server *freely = rig_tls_server(&settings);
    settings.single_use_tickets = true;
    struct tls_server *server = rig_tls_server(&settings);
    struct tls_server *worker = rig_tls_server(&settings);
    settings.name = "other";
    struct tls_server *other = rig_tls_server(&settings);
    SSL_CTX *client = rig_lax_client();
    SSL_SESSION *session = session_with(server, client);
    assert_false(is_resumed(other, client, session)); /* which does not spend it */
    assert_true(is_resumed(server, client, session));
    assert_false(is_resumed(server, client, session));
    assert_false(is_resumed(worker, client, session));
    assert_true(is_resumed(freely, client, session));
    assert_int_equal(spent_tickets_facts(spent).spent, 1);
    assert_int_equal(spent_tickets_facts(spent).refused, 2);
    SSL_SESSION_free(session);
    SSL_CTX_set_max_proto_version(client, TLS1_2_VERSION);
    session = session_with(server, client);
    assert_true(is_resumed(server, client, session));
    assert_true(is_resumed(server, client, session));
    SSL_SESSION_free(session);
    SSL_CTX_free(client);
    tls_server_free(freely);
    tls_server_free(server);
    tls_server_free(worker);
    tls_server_free(other);
    tickets_set_spent(fixture->tickets, NULL);
    spent_tickets_detach(spent);
}

static void on_client_message(int is_sent, int version, int type, const void *bytes, size_t len,
                              SSL *ssl, void *hellos)
{
    (void)version;
    (void)ssl;
    if (is_sent && type == SSL3_RT_HANDSHAKE && len > 0 &&
        *(const uint8_t *)bytes == SSL3_MT_CLIENT_HELLO) {
        ++*(int *)hellos;
    }
}

/* RFC 8446 §4.1.4: the second hello shows the ticket of the first again. */
static void a_second_hello_spends_no_second_ticket(void **state)
{
    struct fixture *fixture = *state;
    struct spent_tickets *spent = use_spent_list(fixture);
    struct tls_server_settings settings = plain_settings(fixture);
    settings.single_use_tickets = true;
    struct tls_server *server = rig_tls_server(&settings);
    SSL_CTX *client = rig_lax_client();
    SSL_SESSION *session = session_with(server, client);
    /* The client guesses a group that the server does not have. */
    assert_int_equal(SSL_CTX_set1_groups_list(client, "ffdhe2048:X25519:P-256:P-384"), 1);
    int hellos = 0;
    SSL_CTX_set_msg_callback(client, on_client_message);
    SSL_CTX_set_msg_callback_arg(client, &hellos);
    assert_true(is_resumed(server, client, session));
    assert_int_equal(hellos, 2);
    assert_false(is_resumed(server, client, session));
    assert_int_equal(hellos, 4);
    SSL_SESSION_free(session);
    SSL_CTX_free(client);
    tls_server_free(server);
    tickets_set_spent(fixture->tickets, NULL);
    spent_tickets_detach(spent);
}

static void without_a_list_nothing_of_single_use_resumes(void **state)
{
    struct fixture *fixture = *state;
    struct tls_server_settings settings = plain_settings(fixture);
    settings.single_use_tickets = true;
    struct tls_server *server = rig_tls_server(&settings);
    SSL_CTX *client = rig_lax_client();
    SSL_SESSION *session = session_with(server, client);
    assert_false(is_resumed(server, client, session));
    SSL_SESSION_free(session);
    SSL_CTX_free(client);
    tls_server_free(server);
}

/* ---- life ---- */

static void an_ssl_outlives_its_server(void **state)
{
    struct fixture *fixture = *state;
    struct tls_server_settings settings = plain_settings(fixture);
    struct tls_server *server = rig_tls_server(&settings);
    SSL *ssl = tls_server_ssl_new(server);
    tls_server_free(server);
    SSL_CTX *ctx = rig_lax_client();
    struct rig_sides sides;
    rig_sides_init(&sides, ssl, rig_lax_ssl(ctx, "two.example"));
    assert_true(rig_handshake(&sides));
    rig_sides_fini(&sides);
    SSL_CTX_free(ctx);
}

static void refuses_settings_that_cannot_serve(void **state)
{
    struct fixture *fixture = *state;
    struct crypto_error error = {{0}};
    struct cert_store *empty = cert_store_new();
    struct tls_server_settings settings = plain_settings(fixture);
    settings.certificates = empty;
    assert_null(tls_server_new(&settings, &error));
    assert_string_equal(error.text, "no certificate to show");
    settings = plain_settings(fixture);
    settings.client_auth = TLS_CLIENT_AUTH_REQUIRED;
    assert_null(tls_server_new(&settings, &error));
    assert_non_null(strstr(error.text, "no authority"));
    cert_store_unref(empty);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(shows_the_certificate_for_the_name_that_the_client_can_verify),
        cmocka_unit_test(refuses_unknown_names_when_told_to),
        cmocka_unit_test(speaks_only_what_the_policy_allows),
        cmocka_unit_test(refuses_to_renegotiate),
        cmocka_unit_test(tells_the_facts_of_a_handshake),
        cmocka_unit_test(refuses_a_client_without_a_shared_protocol),
        cmocka_unit_test(tells_clients_how_long_a_session_lasts),
        cmocka_unit_test(resumes_on_the_same_listener_only),
        cmocka_unit_test(a_ticket_of_single_use_resumes_once),
        cmocka_unit_test(a_second_hello_spends_no_second_ticket),
        cmocka_unit_test(without_a_list_nothing_of_single_use_resumes),
        cmocka_unit_test(an_ssl_outlives_its_server),
        cmocka_unit_test(refuses_settings_that_cannot_serve),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
