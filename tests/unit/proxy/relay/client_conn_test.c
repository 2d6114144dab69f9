/* tests/unit/proxy/relay/client_conn_test.c
 *
 * A client's conn before its first exchange: the PROXY header, in any pieces, and who may send one.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "proxy/relay/client_conn.h"

#include "support/relay_rig.h"

#define GET    "GET / HTTP/1.1\r\nhost: localhost\r\n\r\n"
#define HEADER "PROXY TCP4 192.0.2.7 192.0.2.1 4711 443\r\n"

/* A listener that takes the header from balancers on loopback, or (not trusted) from nobody. */
static void init(struct relay_rig *rig, bool is_trusted)
{
    relay_rig_init(rig, "");
    struct config_listener *listener = &rig->config->listeners[0];
    static struct config_network loopback;
    loopback =
        (struct config_network){.ip = {[10] = 0xff, [11] = 0xff, [12] = 127}, .prefix_bits = 104};
    listener->proxy_protocol = CONFIG_PROXY_PROTOCOL_ACCEPT;
    listener->trusted_proxies = &loopback;
    listener->trusted_proxy_count = is_trusted ? 1 : 0;
    relay_rig_open(rig);
}

static void the_header_is_taken_off_however_it_is_cut(void **state)
{
    (void)state;
    static const char text[] = HEADER GET;
    for (size_t at = 0; at < sizeof(text) - 1; at += 3) {
        struct relay_rig rig;
        init(&rig, true);
        struct peer *client = relay_rig_connect(&rig);
        assert_int_equal(peer_push(client, text, at), at);
        relay_rig_settle(&rig);
        relay_rig_say(&rig, client, text + at);
        assert_int_equal(rig.backend_count, 1);
        assert_true(peer_heard(&rig.backends[0], "x-forwarded-for: 192.0.2.7\r\n"));
        relay_rig_say(&rig, &rig.backends[0], "HTTP/1.1 204 No Content\r\n\r\n");
        relay_rig_expect_access(&rig, "\"client\":\"192.0.2.7\"");
        relay_rig_fini(&rig);
    }
}

static void a_conn_that_begins_otherwise_is_closed_with_its_fault(void **state)
{
    (void)state;
    static const struct {
        const char *said;
        bool is_trusted;
        bool closes;
        enum fault_code fault;
    } rows[] = {
        {GET, true, false, FAULT_PROXY_PROTOCOL},
        {HEADER GET, false, false, FAULT_PROXY_UNTRUSTED},
        {"PROXY TC", true, true, FAULT_CLIENT_GONE},
        {"", true, true, FAULT_NONE},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct relay_rig rig;
        init(&rig, rows[i].is_trusted);
        struct peer *client = relay_rig_connect(&rig);
        relay_rig_say(&rig, client, rows[i].said);
        if (rows[i].closes) {
            peer_close(client);
            relay_rig_settle(&rig);
        }
        assert_int_equal(counter_get(&rig.counters, COUNTER_CONNS_OPEN), 0);
        for (int fault = 1; fault < FAULT_CODES; fault++) {
            assert_int_equal(counter_get_faults(&rig.counters, (enum fault_code)fault),
                             fault == (int)rows[i].fault ? 1 : 0);
        }
        assert_int_equal(rig.backend_count, 0);
        relay_rig_fini(&rig);
    }
}

static bool is_gone(void *self)
{
    struct relay_rig *rig = self;
    (void)relay_rig_serve(rig);
    return counter_get(&rig->counters, COUNTER_CONNS_OPEN) == 0;
}

static void a_header_that_does_not_end_has_a_deadline(void **state)
{
    (void)state;
    struct relay_rig rig;
    init(&rig, true);
    rig.config->timeouts.handshake_ms = 200;
    struct peer *client = relay_rig_connect(&rig);
    relay_rig_say(&rig, client, "PROXY TCP4 192");
    assert_int_equal(counter_get(&rig.counters, COUNTER_CONNS_OPEN), 1);
    turns_until(&rig.turns, is_gone, &rig);
    assert_int_equal(counter_get_faults(&rig.counters, FAULT_TIMEOUT_HANDSHAKE), 1);
    relay_rig_fini(&rig);
}

/* A conn without an exchange yet is let go by a drain at its deadline at the latest. */
static void a_conn_in_mid_header_does_not_outlive_the_relay(void **state)
{
    (void)state;
    struct relay_rig rig;
    init(&rig, true);
    struct peer *client = relay_rig_connect(&rig);
    relay_rig_say(&rig, client, "PROXY TCP4 192");
    relay_free(rig.relay);
    rig.relay = NULL;
    relay_rig_settle(&rig);
    assert_true(client->has_ended);
    relay_rig_fini(&rig);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_header_is_taken_off_however_it_is_cut),
        cmocka_unit_test(a_conn_that_begins_otherwise_is_closed_with_its_fault),
        cmocka_unit_test(a_header_that_does_not_end_has_a_deadline),
        cmocka_unit_test(a_conn_in_mid_header_does_not_outlive_the_relay),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
