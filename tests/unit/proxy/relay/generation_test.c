/* tests/unit/proxy/relay/generation_test.c
 *
 * One generation after the other: what goes over, what stays, when the former one goes.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "proxy/relay/generation.h"

#include "support/relay_rig.h"

#define GET "GET /x HTTP/1.1\r\nhost: localhost\r\n\r\n"
#define OK  "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok"
#define ASK_TUNNEL                                                                                 \
    "GET /ws HTTP/1.1\r\nhost: localhost\r\nconnection: upgrade\r\nupgrade: websocket\r\n\r\n"
#define GIVE_TUNNEL                                                                                \
    "HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: websocket\r\n\r\n"

enum { MOST = 4 };

/* A rig, and the configurations that follow its first. */
struct stage {
    struct relay_rig rig;
    struct config *configs[MOST];
    struct bundle *bundles[MOST];
    size_t count;
    const struct config *gone[MOST];
    size_t gone_count;
};

static void on_gone(void *self, const struct config *config)
{
    struct stage *stage = self;
    stage->gone[stage->gone_count++] = config;
}

static struct relay_start start_of(struct stage *stage, const struct config *config,
                                   const struct bundle *bundle)
{
    return (struct relay_start){
        .loop = stage->rig.turns.loop,
        .config = config,
        .bundle = bundle,
        .log = stage->rig.log,
        .access_log = stage->rig.access_log,
        .counters = &stage->rig.counters,
        .descriptors = &stage->rig.listening,
        .descriptor_count = 1,
        .on_gone = on_gone,
        .self = stage,
    };
}

static void stage_init(struct stage *stage, const char *more)
{
    *stage = (struct stage){.count = 0};
    relay_rig_init(&stage->rig, more);
    const struct relay_start start = start_of(stage, stage->rig.config, stage->rig.bundle);
    struct relay_error error = {{0}};
    assert_int_equal(relay_open(&stage->rig.relay, &start, &error), STATUS_OK);
}

/* The next configuration; it may be changed before it is prepared. */
static struct config *next_config(struct stage *stage, const char *more)
{
    struct bundle *first = stage->rig.bundle;
    stage->configs[stage->count] = relay_rig_load(&stage->rig, more);
    stage->bundles[stage->count] = stage->rig.bundle;
    stage->rig.bundle = first;
    return stage->configs[stage->count++];
}

static void prepare(struct stage *stage, const struct config *config)
{
    const struct relay_start start = start_of(stage, config, stage->bundles[stage->count - 1]);
    struct relay_error error = {{0}};
    assert_int_equal(relay_prepare(stage->rig.relay, &start, &error), STATUS_OK);
}

static void reload(struct stage *stage, const struct config *config)
{
    prepare(stage, config);
    relay_commit(stage->rig.relay);
    relay_rig_settle(&stage->rig);
}

static bool is_gone(const struct stage *stage, const struct config *config)
{
    for (size_t i = 0; i < stage->gone_count; i++) {
        if (stage->gone[i] == config) {
            return true;
        }
    }
    return false;
}

static void stage_fini(struct stage *stage)
{
    relay_free(stage->rig.relay);
    stage->rig.relay = NULL;
    assert_int_equal(stage->gone_count, stage->count + 1); /* each once */
    for (size_t i = 0; i < stage->count; i++) {
        assert_true(is_gone(stage, stage->configs[i]));
        config_free(stage->configs[i]);
        bundle_free(stage->bundles[i]);
    }
    relay_rig_fini(&stage->rig);
}

static struct peer *last_backend(struct stage *stage)
{
    return &stage->rig.backends[stage->rig.backend_count - 1];
}

static void an_idle_conn_goes_over_and_is_held_to_the_new_settings(void **state)
{
    (void)state;
    struct stage stage;
    stage_init(&stage, "");
    struct peer *client = relay_rig_connect(&stage.rig);
    relay_rig_say(&stage.rig, client, GET);
    relay_rig_say(&stage.rig, last_backend(&stage), OK);
    reload(&stage, next_config(&stage, "limits: {requests_per_connection: 2}\n"));
    assert_true(is_gone(&stage, stage.rig.config));
    assert_false(client->has_ended);
    relay_rig_say(&stage.rig, client, GET);
    relay_rig_say(&stage.rig, last_backend(&stage), OK);
    assert_true(peer_heard(client, "connection: close\r\n"));
    stage_fini(&stage);
}

static void an_exchange_ends_where_it_began(void **state)
{
    (void)state;
    struct stage stage;
    stage_init(&stage, "");
    struct peer *client = relay_rig_connect(&stage.rig);
    relay_rig_say(&stage.rig, client, GET);
    reload(&stage, next_config(&stage, ""));
    reload(&stage, next_config(&stage, ""));
    assert_false(is_gone(&stage, stage.rig.config));
    assert_true(is_gone(&stage, stage.configs[0])); /* nobody has used it */
    relay_rig_say(&stage.rig, last_backend(&stage), OK);
    assert_true(peer_heard(client, "\r\n\r\nok"));
    relay_rig_settle(&stage.rig);
    assert_true(is_gone(&stage, stage.rig.config));
    assert_false(client->has_ended);
    relay_rig_say(&stage.rig, client, GET); /* of the third generation now */
    relay_rig_say(&stage.rig, last_backend(&stage), OK);
    stage_fini(&stage);
}

static void what_is_rolled_back_has_changed_nothing(void **state)
{
    (void)state;
    struct stage stage;
    stage_init(&stage, "");
    prepare(&stage, next_config(&stage, "limits: {requests_per_connection: 1}\n"));
    relay_rollback(stage.rig.relay);
    relay_commit(stage.rig.relay); /* there is nothing to commit */
    assert_true(is_gone(&stage, stage.configs[0]));
    struct peer *client = relay_rig_connect(&stage.rig);
    relay_rig_say(&stage.rig, client, GET);
    relay_rig_say(&stage.rig, last_backend(&stage), OK);
    assert_false(peer_heard(client, "connection: close\r\n"));
    stage_fini(&stage);
}

static void conns_of_an_address_that_is_gone_drain(void **state)
{
    (void)state;
    struct stage stage;
    stage_init(&stage, "");
    struct peer *idle = relay_rig_connect(&stage.rig);
    struct peer *busy = relay_rig_connect(&stage.rig);
    relay_rig_say(&stage.rig, idle, GET);
    relay_rig_say(&stage.rig, last_backend(&stage), OK);
    relay_rig_say(&stage.rig, busy, GET);
    struct config *config = next_config(&stage, "");
    config->listeners[0].addresses[0].port++;
    reload(&stage, config);
    assert_true(idle->has_ended && !idle->was_reset);
    assert_false(busy->has_ended);
    relay_rig_say(&stage.rig, last_backend(&stage), OK);
    assert_true(peer_heard(busy, "connection: close\r\n"));
    stage_fini(&stage);
}

static bool has_ended(void *self)
{
    struct stage *stage = self;
    (void)relay_rig_serve(&stage->rig);
    return stage->rig.clients[0].has_ended;
}

static void open_tunnel(struct stage *stage)
{
    struct peer *client = relay_rig_connect(&stage->rig);
    relay_rig_say(&stage->rig, client, ASK_TUNNEL);
    relay_rig_say(&stage->rig, last_backend(stage), GIVE_TUNNEL);
    assert_int_equal(counter_get(&stage->rig.counters, COUNTER_TUNNELS_OPEN), 1);
}

static void a_tunnel_goes_over_and_keeps_no_generation(void **state)
{
    (void)state;
    struct stage stage;
    stage_init(&stage, "");
    open_tunnel(&stage);
    for (size_t i = 0; i < MOST - 1; i++) {
        reload(&stage, next_config(&stage, ""));
    }
    assert_int_equal(stage.gone_count, MOST - 1); /* all but the present one */
    relay_rig_say(&stage.rig, last_backend(&stage), "\x81\x02hi");
    assert_true(peer_heard(&stage.rig.clients[0], "hi"));
    stage_fini(&stage);
}

static void a_tunnel_without_its_route_is_told_at_the_deadline(void **state)
{
    (void)state;
    struct stage stage;
    stage_init(&stage, "");
    open_tunnel(&stage);
    struct config *config = next_config(&stage, "");
    config->listeners[0].routes[0].path = "/elsewhere";
    config->timeouts.drain_ms = 200;
    reload(&stage, config);
    assert_false(is_gone(&stage, stage.rig.config));
    relay_rig_say(&stage.rig, last_backend(&stage), "\x81\x02hi");
    assert_true(peer_heard(&stage.rig.clients[0], "hi")); /* until then it goes on */
    turns_until(&stage.rig.turns, has_ended, &stage);
    assert_true(peer_heard(&stage.rig.clients[0], "\x88\x02\x03\xe9"));
    relay_rig_expect_access(&stage.rig, "drain_deadline");
    relay_rig_settle(&stage.rig);
    stage_fini(&stage);
}

static void an_exchange_without_its_route_ends_at_the_deadline(void **state)
{
    (void)state;
    struct stage stage;
    stage_init(&stage, "");
    relay_rig_say(&stage.rig, relay_rig_connect(&stage.rig), GET);
    struct config *config = next_config(&stage, "");
    config->listeners[0].routes[0].path = "/elsewhere";
    config->timeouts.drain_ms = 200;
    reload(&stage, config);
    turns_until(&stage.rig.turns, has_ended, &stage);
    relay_rig_settle(&stage.rig);
    assert_true(is_gone(&stage, stage.rig.config));
    stage_fini(&stage);
}

static bool is_drained(void *self)
{
    struct stage *stage = self;
    (void)relay_rig_serve(&stage->rig);
    return stage->rig.is_drained;
}

static void draining_ends_all_generations(void **state)
{
    (void)state;
    struct stage stage;
    stage_init(&stage, "");
    relay_rig_say(&stage.rig, relay_rig_connect(&stage.rig), GET);
    reload(&stage, next_config(&stage, ""));
    struct peer *idle = relay_rig_connect(&stage.rig);
    relay_rig_settle(&stage.rig);
    prepare(&stage, next_config(&stage, ""));
    relay_drain(stage.rig.relay, relay_rig_on_drained, &stage.rig);
    relay_rig_settle(&stage.rig);
    assert_true(idle->has_ended);
    assert_false(stage.rig.is_drained);
    relay_rig_say(&stage.rig, last_backend(&stage), OK);
    turns_until(&stage.rig.turns, is_drained, &stage);
    stage_fini(&stage);
}

static void the_relay_may_be_freed_with_any_number_of_generations(void **state)
{
    (void)state;
    struct stage stage;
    stage_init(&stage, "");
    for (size_t i = 0; i < MOST - 1; i++) {
        relay_rig_say(&stage.rig, relay_rig_connect(&stage.rig), GET);
        reload(&stage, next_config(&stage, ""));
    }
    assert_int_equal(stage.gone_count, 0);
    stage_fini(&stage);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_idle_conn_goes_over_and_is_held_to_the_new_settings),
        cmocka_unit_test(an_exchange_ends_where_it_began),
        cmocka_unit_test(what_is_rolled_back_has_changed_nothing),
        cmocka_unit_test(conns_of_an_address_that_is_gone_drain),
        cmocka_unit_test(a_tunnel_goes_over_and_keeps_no_generation),
        cmocka_unit_test(a_tunnel_without_its_route_is_told_at_the_deadline),
        cmocka_unit_test(an_exchange_without_its_route_ends_at_the_deadline),
        cmocka_unit_test(draining_ends_all_generations),
        cmocka_unit_test(the_relay_may_be_freed_with_any_number_of_generations),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
