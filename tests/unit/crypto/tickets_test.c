/* tests/unit/crypto/tickets_test.c · SPDX-License-Identifier: Apache-2.0 */
#include "crypto/tickets.h"

#include "crypto/rig.h"

enum { EPOCH = 3600, START = EPOCH * 500 };

struct fixture {
    EVP_PKEY *key;
    X509 *certificate;
    struct secret secret;
    struct tickets *tickets;
    SSL_CTX *server;
    SSL_CTX *client;
    SSL_SESSION *kept; /* the newest ticket that the client got */
};

static int on_session(SSL *ssl, SSL_SESSION *session)
{
    struct fixture *fixture = SSL_CTX_get_app_data(SSL_get_SSL_CTX(ssl));
    SSL_SESSION_free(fixture->kept);
    fixture->kept = session;
    return 1;
}

/* What the worker does each second, with the keyholder's part done here. */
static void fetch_missing(struct fixture *fixture, struct tickets *tickets)
{
    uint64_t epochs[3];
    size_t count = tickets_missing(tickets, epochs);
    for (size_t i = 0; i < count; i++) {
        struct ticket_keys keys;
        assert_true(ticket_keys_derive(&keys, &fixture->secret, epochs[i], EPOCH));
        tickets_put(tickets, &keys);
        ticket_keys_wipe(&keys);
    }
    assert_int_equal(tickets_missing(tickets, epochs), 0);
}

static void start(struct fixture *fixture, int version)
{
    fixture->tickets = tickets_new(EPOCH, START);
    assert_non_null(fixture->tickets);
    fixture->server = rig_server_new(fixture->certificate, fixture->key, version);
    fixture->client = rig_client_new(fixture->certificate);
    assert_true(tickets_install(fixture->tickets, fixture->server));
    SSL_CTX_set_session_id_context(fixture->server, (const uint8_t *)"t", 1);
    SSL_CTX_set_session_cache_mode(fixture->server, SSL_SESS_CACHE_OFF);
    SSL_CTX_set_num_tickets(fixture->server, 1);
    SSL_CTX_set_session_cache_mode(fixture->client,
                                   SSL_SESS_CACHE_CLIENT | SSL_SESS_CACHE_NO_INTERNAL);
    SSL_CTX_set_app_data(fixture->client, fixture);
    SSL_CTX_sess_set_new_cb(fixture->client, on_session);
    fixture->kept = NULL;
}

static void stop(struct fixture *fixture)
{
    SSL_SESSION_free(fixture->kept);
    SSL_CTX_free(fixture->server);
    SSL_CTX_free(fixture->client);
    tickets_free(fixture->tickets);
}

enum outcome { FULL, RESUMED, RESUMED_AND_RENEWED };

/* One conn with the ticket kept, if any. Reads once, so that a TLS 1.3 ticket arrives. */
static enum outcome connect_once(struct fixture *fixture)
{
    struct rig_pair pair;
    rig_pair_init(&pair, fixture->server, fixture->client, false);
    SSL_SESSION *offered = fixture->kept;
    if (offered != NULL) {
        assert_int_equal(SSL_set_session(pair.client, offered), 1);
    }
    while (!rig_pair_is_over(&pair)) {
        rig_step_client(&pair);
        rig_step_server(&pair, NULL);
    }
    assert_false(pair.failed);
    char byte;
    assert_int_equal(SSL_read(pair.client, &byte, 1), -1);
    bool resumed = SSL_session_reused(pair.client) == 1;
    if (SSL_version(pair.client) == TLS1_2_VERSION) {
        /* A ticket renewed in a resumption is not announced by the callback. */
        (void)on_session(pair.client, SSL_get1_session(pair.client));
    }
    bool renewed = fixture->kept != offered;
    /* Freed without a word of goodbye, OpenSSL would take the session for broken. */
    SSL_set_shutdown(pair.client, SSL_SENT_SHUTDOWN);
    rig_pair_fini(&pair);
    ERR_clear_error();
    return !resumed ? FULL : renewed ? RESUMED_AND_RENEWED : RESUMED;
}

static const int VERSIONS[] = {TLS1_2_VERSION, TLS1_3_VERSION};

static void tickets_work_before_the_keyholder_has_answered(void **state)
{
    struct fixture *fixture = *state;
    for (size_t i = 0; i < 2; i++) {
        start(fixture, VERSIONS[i]);
        assert_int_equal(connect_once(fixture), FULL);
        assert_int_not_equal(connect_once(fixture), FULL);
        fetch_missing(fixture, fixture->tickets);
        assert_int_equal(connect_once(fixture), RESUMED_AND_RENEWED);
        stop(fixture);
    }
}

static void a_ticket_lives_into_the_next_epoch_and_no_further(void **state)
{
    struct fixture *fixture = *state;
    for (size_t i = 0; i < 2; i++) {
        start(fixture, VERSIONS[i]);
        fetch_missing(fixture, fixture->tickets);
        assert_int_equal(connect_once(fixture), FULL);
        /* TLS 1.3 gives a fresh ticket with each conn, RFC 8446 §C.4; TLS 1.2 when due only. */
        assert_int_equal(connect_once(fixture),
                         VERSIONS[i] == TLS1_2_VERSION ? RESUMED : RESUMED_AND_RENEWED);
        tickets_advance(fixture->tickets, START + EPOCH);
        fetch_missing(fixture, fixture->tickets);
        assert_int_equal(connect_once(fixture), RESUMED_AND_RENEWED);
        tickets_advance(fixture->tickets, START + 3 * EPOCH);
        fetch_missing(fixture, fixture->tickets);
        assert_int_equal(connect_once(fixture), FULL);
        stop(fixture);
    }
}

static void rotation_does_not_touch_open_conns(void **state)
{
    struct fixture *fixture = *state;
    start(fixture, TLS1_3_VERSION);
    fetch_missing(fixture, fixture->tickets);
    struct rig_pair pair;
    rig_pair_init(&pair, fixture->server, fixture->client, false);
    rig_step_client(&pair);
    rig_step_server(&pair, NULL);
    tickets_advance(fixture->tickets, START + EPOCH); /* in mid-handshake */
    while (!rig_pair_is_over(&pair)) {
        rig_step_client(&pair);
        rig_step_server(&pair, NULL);
    }
    assert_false(pair.failed);
    tickets_advance(fixture->tickets, START + 9 * EPOCH);
    char got[4];
    assert_int_equal(SSL_write(pair.client, "ping", 4), 4);
    assert_int_equal(SSL_read(pair.server, got, 4), 4);
    rig_pair_fini(&pair);
    stop(fixture);
}

static void another_worker_opens_the_ticket(void **state)
{
    struct fixture *fixture = *state;
    start(fixture, TLS1_3_VERSION);
    fetch_missing(fixture, fixture->tickets);
    assert_int_equal(connect_once(fixture), FULL);
    struct tickets *mine = fixture->tickets;
    /* Its clock is behind by a moment: still in the epoch before. */
    tickets_advance(mine, START + EPOCH);
    struct tickets *other = tickets_new(EPOCH, START + EPOCH - 1);
    fetch_missing(fixture, other);
    assert_true(tickets_install(other, fixture->server));
    fixture->tickets = other;
    assert_int_not_equal(connect_once(fixture), FULL);
    tickets_free(mine);
    stop(fixture);
}

static void without_the_keyholder_sealing_goes_on(void **state)
{
    struct fixture *fixture = *state;
    start(fixture, TLS1_3_VERSION);
    fetch_missing(fixture, fixture->tickets);
    for (uint64_t epoch = 1; epoch < 6; epoch++) {
        tickets_advance(fixture->tickets, START + epoch * EPOCH);
        (void)connect_once(fixture);
        assert_int_not_equal(connect_once(fixture), FULL);
    }
    fetch_missing(fixture, fixture->tickets);
    assert_int_not_equal(connect_once(fixture), FULL);
    stop(fixture);
}

static void a_spoiled_ticket_means_a_full_handshake(void **state)
{
    struct fixture *fixture = *state;
    start(fixture, TLS1_2_VERSION);
    fetch_missing(fixture, fixture->tickets);
    assert_int_equal(connect_once(fixture), FULL);
    int len = i2d_SSL_SESSION(fixture->kept, NULL);
    assert_true(len > 0);
    const uint8_t *ticket;
    size_t ticket_len;
    SSL_SESSION_get0_ticket(fixture->kept, &ticket, &ticket_len);
    assert_true(ticket_len > 100);
    ((uint8_t *)(uintptr_t)ticket)[ticket_len - 1] ^= 1;
    assert_int_equal(connect_once(fixture), FULL);
    SSL_SESSION_get0_ticket(fixture->kept, &ticket, &ticket_len);
    ((uint8_t *)(uintptr_t)ticket)[0] ^= 1; /* its key's name */
    assert_int_equal(connect_once(fixture), FULL);
    stop(fixture);
}

static void epochs_outside_the_window_are_ignored(void **state)
{
    struct fixture *fixture = *state;
    struct tickets *tickets = tickets_new(EPOCH, START);
    uint64_t epochs[3];
    assert_int_equal(tickets_missing(tickets, epochs), 3);
    assert_int_equal(epochs[0], 500);
    assert_int_equal(epochs[1], 501);
    assert_int_equal(epochs[2], 499);
    static const uint64_t strangers[] = {498, 502, 0, UINT64_MAX};
    for (size_t i = 0; i < 4; i++) {
        struct ticket_keys keys;
        assert_true(ticket_keys_derive(&keys, &fixture->secret, strangers[i], EPOCH));
        tickets_put(tickets, &keys);
    }
    assert_int_equal(tickets_missing(tickets, epochs), 3);
    fetch_missing(fixture, tickets);
    tickets_advance(tickets, START + EPOCH);
    assert_int_equal(tickets_missing(tickets, epochs), 1);
    assert_int_equal(epochs[0], 502);
    tickets_advance(tickets, START - EPOCH); /* the clock was set back */
    assert_int_equal(tickets_missing(tickets, epochs), 2);
    tickets_free(tickets);
    assert_null(tickets_new(0, START));
    tickets_free(NULL);
}

static int set_up(void **state)
{
    struct fixture *fixture = *state;
    assert_true(secret_init(&fixture->secret, 32));
    assert_true(secret_set_random(&fixture->secret, 32));
    return 0;
}

static int tear_down(void **state)
{
    struct fixture *fixture = *state;
    secret_fini(&fixture->secret);
    return 0;
}

int main(void)
{
    static struct fixture fixture;
    fixture.key = rig_key_new(false);
    fixture.certificate = rig_certificate_new(fixture.key);
    struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(tickets_work_before_the_keyholder_has_answered, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(a_ticket_lives_into_the_next_epoch_and_no_further, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(rotation_does_not_touch_open_conns, set_up, tear_down),
        cmocka_unit_test_setup_teardown(another_worker_opens_the_ticket, set_up, tear_down),
        cmocka_unit_test_setup_teardown(without_the_keyholder_sealing_goes_on, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_spoiled_ticket_means_a_full_handshake, set_up, tear_down),
        cmocka_unit_test_setup_teardown(epochs_outside_the_window_are_ignored, set_up, tear_down),
    };
    for (size_t i = 0; i < sizeof(tests) / sizeof(tests[0]); i++) {
        tests[i].initial_state = &fixture;
    }
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    X509_free(fixture.certificate);
    EVP_PKEY_free(fixture.key);
    return failed;
}
