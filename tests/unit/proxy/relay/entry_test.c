/* tests/unit/proxy/relay/entry_test.c
 *
 * One listener at work: what its conns are held to, and that each way in which a conn can begin
 * ends in its counters. Through a whole relay, since entries belong to one.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "proxy/relay/entry.h"

#include "proxy/relay/relay_shared.h"
#include "support/relay_rig.h"

#define GET "GET / HTTP/1.1\r\nhost: localhost\r\n\r\n"

static void limits_of_the_configuration_hold_for_its_conns(void **state)
{
    (void)state;
    static const struct {
        const char *more;
        const char *said;
        const char *fault;
    } rows[] = {
        {"limits: {uri_bytes: 1KiB}\n", "uri", "limit_uri_bytes"},
        {"limits: {header_bytes: 4KiB, uri_bytes: 2KiB}\n", "header", "limit_header_bytes"},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct relay_rig rig;
        relay_rig_init(&rig, rows[i].more);
        relay_rig_open(&rig);
        char text[8192];
        static char filler[5000];
        memset(filler, 'a', sizeof(filler) - 1);
        (void)snprintf(text, sizeof(text),
                       i == 0 ? "GET /%s HTTP/1.1\r\nhost: localhost\r\n\r\n"
                              : "GET / HTTP/1.1\r\nhost: localhost\r\nx: %s\r\n\r\n",
                       filler);
        relay_rig_say(&rig, relay_rig_connect(&rig), text);
        relay_rig_expect_access(&rig, rows[i].fault);
        relay_rig_fini(&rig);
    }
}

/* What only some codecs look at, so that it cannot be seen through each of them. */
static void its_codecs_get_the_limits_of_the_configuration(void **state)
{
    (void)state;
    static const struct {
        const char *more;
        uint32_t streams;
        uint64_t buffer_bytes;
    } rows[] = {
        {"", 100, 4194304},
        {"limits: {streams: 7, connection_buffer_bytes: 256KiB}\n", 7, 262144},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct relay_rig rig;
        relay_rig_init(&rig, rows[i].more);
        struct relay_shared shared = {.config = rig.config};
        struct entry entry;
        for (int redirects = 0; redirects < 2; redirects++) {
            rig.config->listeners[0].mode =
                redirects != 0 ? CONFIG_LISTENER_REDIRECT : CONFIG_LISTENER_HTTP;
            assert_int_equal(entry_init(&entry, &shared, &rig.config->listeners[0], NULL),
                             STATUS_OK);
            assert_int_equal(entry.settings.streams, rows[i].streams);
            assert_int_equal(entry.settings.connection_buffer_bytes, rows[i].buffer_bytes);
            assert_int_equal(entry.settings.takes_tunnels, redirects == 0);
            entry_fini(&entry);
        }
        relay_rig_fini(&rig);
    }
}

static bool all_are_gone(void *self)
{
    struct relay_rig *rig = self;
    (void)relay_rig_serve(rig);
    return counter_get(&rig->counters, COUNTER_CONNS_OPEN) == 0;
}

static void a_conn_that_says_nothing_is_closed_and_counted(void **state)
{
    (void)state;
    struct relay_rig rig;
    relay_rig_init(&rig, "timeouts: {header: 200ms}\n");
    relay_rig_open(&rig);
    struct peer *client = relay_rig_connect(&rig);
    relay_rig_settle(&rig);
    assert_int_equal(counter_get(&rig.counters, COUNTER_CONNS_OPEN), 1);
    turns_until(&rig.turns, all_are_gone, &rig);
    relay_rig_settle(&rig);
    assert_true(client->has_ended);
    assert_int_equal(counter_get_faults(&rig.counters, FAULT_TIMEOUT_IDLE), 1);
    assert_int_equal(relay_rig_access_lines(&rig), 0);
    relay_rig_fini(&rig);
}

static void a_redirect_listener_answers_by_itself(void **state)
{
    (void)state;
    struct relay_rig rig;
    relay_rig_init(&rig, "");
    rig.config->listeners[0].mode = CONFIG_LISTENER_REDIRECT;
    relay_rig_open(&rig);
    struct peer *client = relay_rig_connect(&rig);
    relay_rig_say(&rig, client, "GET /a?b HTTP/1.1\r\nhost: localhost\r\n\r\n");
    assert_true(peer_heard(client, "location: https://localhost"));
    assert_true(peer_heard(client, "/a?b\r\n"));
    assert_int_equal(rig.backend_count, 0);
    relay_rig_fini(&rig);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(limits_of_the_configuration_hold_for_its_conns),
        cmocka_unit_test(its_codecs_get_the_limits_of_the_configuration),
        cmocka_unit_test(a_conn_that_says_nothing_is_closed_and_counted),
        cmocka_unit_test(a_redirect_listener_answers_by_itself),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
