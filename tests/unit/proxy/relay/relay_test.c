/* tests/unit/proxy/relay/relay_test.c
 *
 * Opening, the limit of conns, draining, the end.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "proxy/relay/relay.h"

#include "support/relay_rig.h"

#define GET "GET / HTTP/1.1\r\nhost: localhost\r\n\r\n"
#define OK  "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok"

static void init(struct relay_rig *rig, const char *more)
{
    relay_rig_init(rig, more);
    relay_rig_open(rig);
}

static uint64_t conns_open(const struct relay_rig *rig)
{
    return counter_get(&rig->counters, COUNTER_CONNS_OPEN);
}

static void too_few_sockets_are_refused(void **state)
{
    (void)state;
    struct relay_rig rig;
    relay_rig_init(&rig, "");
    const struct relay_start start = {
        .loop = rig.turns.loop,
        .config = rig.config,
        .bundle = rig.bundle,
        .log = rig.log,
        .counters = &rig.counters,
    };
    struct relay_error error = {{0}};
    assert_int_equal(relay_open(&rig.relay, &start, &error), STATUS_REFUSED);
    assert_null(rig.relay);
    relay_rig_fini(&rig);
}

/* 16 is the least limit that there is. */
static void at_the_limit_of_conns_accepting_pauses_and_goes_on(void **state)
{
    (void)state;
    enum { LIMIT = 16, CLIENTS = 20 };
    struct relay_rig rig;
    relay_rig_init(&rig, "");
    rig.config->limits.connections = LIMIT;
    relay_rig_open(&rig);
    for (int i = 0; i < CLIENTS; i++) {
        (void)relay_rig_connect(&rig);
    }
    relay_rig_settle(&rig);
    assert_int_equal(conns_open(&rig), LIMIT);
    assert_int_equal(counter_get(&rig.counters, COUNTER_ACCEPT_PAUSES), 1);
    assert_non_null(strstr(relay_rig_lines(&rig, rig.log, rig.log_file), "accept_paused"));
    for (int i = 0; i < CLIENTS - LIMIT; i++) {
        peer_close(&rig.clients[i]);
        relay_rig_settle(&rig);
        assert_int_equal(conns_open(&rig), LIMIT);
    }
    peer_close(&rig.clients[CLIENTS - LIMIT]);
    relay_rig_settle(&rig);
    assert_int_equal(conns_open(&rig), LIMIT - 1);
    assert_int_equal(counter_get(&rig.counters, COUNTER_CONNS_ACCEPTED), CLIENTS);
    relay_rig_fini(&rig);
}

static bool is_drained(void *self)
{
    struct relay_rig *rig = self;
    (void)relay_rig_serve(rig);
    return rig->is_drained;
}

static void a_relay_without_conns_is_drained_at_once(void **state)
{
    (void)state;
    struct relay_rig rig;
    init(&rig, "");
    relay_drain(rig.relay, relay_rig_on_drained, &rig);
    assert_false(rig.is_drained); /* from the loop */
    relay_rig_settle(&rig);
    assert_true(rig.is_drained);
    relay_rig_fini(&rig);
}

static void draining_closes_idle_conns_and_waits_for_the_others(void **state)
{
    (void)state;
    struct relay_rig rig;
    init(&rig, "timeouts: {drain: 60s}\n");
    struct peer *idle = relay_rig_connect(&rig);
    struct peer *busy = relay_rig_connect(&rig);
    relay_rig_say(&rig, idle, GET);
    relay_rig_say(&rig, &rig.backends[0], OK);
    relay_rig_say(&rig, busy, GET);
    relay_drain(rig.relay, relay_rig_on_drained, &rig);
    relay_rig_settle(&rig);
    assert_true(idle->has_ended && !idle->was_reset);
    assert_false(rig.is_drained);
    assert_int_equal(conns_open(&rig), 1);
    struct peer *late = relay_rig_connect(&rig); /* in the kernel's queue, not accepted */
    relay_rig_settle(&rig);
    assert_int_equal(conns_open(&rig), 1);
    assert_false(late->has_ended);
    relay_rig_say(&rig, &rig.backends[rig.backend_count - 1], OK);
    assert_true(peer_heard(busy, "connection: close\r\n"));
    assert_true(peer_heard(busy, "\r\n\r\nok"));
    assert_true(rig.is_drained);
    relay_rig_fini(&rig);
}

static void the_drain_deadline_ends_what_is_left(void **state)
{
    (void)state;
    struct relay_rig rig;
    relay_rig_init(&rig, "");
    rig.config->timeouts.drain_ms = 200;
    relay_rig_open(&rig);
    struct peer *client = relay_rig_connect(&rig);
    relay_rig_say(&rig, client, GET);
    relay_drain(rig.relay, relay_rig_on_drained, &rig);
    turns_until(&rig.turns, is_drained, &rig);
    relay_rig_settle(&rig);
    assert_true(client->has_ended);
    relay_rig_expect_access(&rig, "drain_deadline");
    assert_non_null(strstr(relay_rig_lines(&rig, rig.log, rig.log_file), "drain_deadline"));
    relay_rig_fini(&rig);
}

static void a_relay_may_be_freed_when_it_is_drained(void **state)
{
    (void)state;
    struct relay_rig rig;
    init(&rig, "timeouts: {drain: 60s}\n");
    rig.frees_when_drained = true;
    struct peer *client = relay_rig_connect(&rig);
    relay_rig_say(&rig, client, GET);
    relay_drain(rig.relay, relay_rig_on_drained, &rig);
    relay_rig_say(&rig, &rig.backends[0], OK);
    assert_null(rig.relay);
    assert_true(peer_heard(client, "\r\n\r\nok"));
    relay_rig_fini(&rig);
}

/* Whatever is open: conns in each state, exchanges that dial, wait and respond, a tunnel. */
static void a_relay_may_be_freed_at_any_time(void **state)
{
    (void)state;
    struct relay_rig rig;
    init(&rig, "");
    (void)relay_rig_connect(&rig);
    relay_rig_say(&rig, relay_rig_connect(&rig), "GET / HT");
    relay_rig_say(&rig, relay_rig_connect(&rig), GET);
    relay_rig_say(&rig, &rig.backends[0], "HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nhe");
    relay_rig_say(&rig, relay_rig_connect(&rig), GET);
    relay_rig_say(&rig, relay_rig_connect(&rig),
                  "POST / HTTP/1.1\r\nhost: localhost\r\ncontent-length: 9\r\n\r\nhe");
    relay_rig_say(&rig, relay_rig_connect(&rig),
                  "GET /ws HTTP/1.1\r\nhost: localhost\r\nconnection: upgrade\r\n"
                  "upgrade: websocket\r\n\r\n");
    relay_rig_say(&rig, &rig.backends[rig.backend_count - 1],
                  "HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\n"
                  "upgrade: websocket\r\n\r\n");
    assert_int_equal(counter_get(&rig.counters, COUNTER_TUNNELS_OPEN), 1);
    assert_int_equal(conns_open(&rig), 6);
    relay_free(rig.relay);
    rig.relay = NULL;
    relay_rig_settle(&rig);
    for (size_t i = 0; i < rig.client_count; i++) {
        assert_true(rig.clients[i].has_ended);
    }
    relay_rig_fini(&rig);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(too_few_sockets_are_refused),
        cmocka_unit_test(at_the_limit_of_conns_accepting_pauses_and_goes_on),
        cmocka_unit_test(a_relay_without_conns_is_drained_at_once),
        cmocka_unit_test(draining_closes_idle_conns_and_waits_for_the_others),
        cmocka_unit_test(the_drain_deadline_ends_what_is_left),
        cmocka_unit_test(a_relay_may_be_freed_when_it_is_drained),
        cmocka_unit_test(a_relay_may_be_freed_at_any_time),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
