/* tests/unit/proxy/relay/exchange_account_test.c
 *
 * What is known of an exchange at its end, and how it is counted.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "proxy/relay/exchange_account.h"

#include "proxy/relay/exchange_state.h"
#include "support/turns.h"

struct stage {
    struct turns turns;
    struct counters counters;
    struct config config;
    struct config_backend backend;
    struct config_listener listener;
    struct relay_shared shared;
    struct entry entry;
    struct client_conn conn;
    struct message request;
    struct relay_exchange relayed;
};

static void stage_init(struct stage *stage)
{
    *stage = (struct stage){
        .backend = {.name = "app"},
        .listener = {.name = "web"},
        .request = {.method_name = SLICE("GET"),
                    .authority = SLICE("h"),
                    .path = SLICE("/a"),
                    .query = SLICE("?token=1")},
        .counters = {.at = {[COUNTER_EXCHANGES_OPEN] = 1, [COUNTER_TUNNELS_OPEN] = 1}},
    };
    turns_init(&stage->turns);
    stage->config.backends = &stage->backend;
    stage->config.backend_count = 1;
    stage->shared = (struct relay_shared){
        .loop = stage->turns.loop, .config = &stage->config, .counters = &stage->counters};
    stage->entry.config = &stage->listener;
    stage->entry.shared = &stage->shared;
    stage->conn.entry = &stage->entry;
    stage->conn.address_slice = SLICE("192.0.2.1");
    struct relay_exchange *relayed = &stage->relayed;
    relayed->shared = &stage->shared;
    relayed->conn = &stage->conn;
    relayed->entry = &stage->entry;
    relayed->exchange.request = &stage->request;
    relayed->exchange.began_us = loop_now_us(stage->turns.loop) - 1000;
    relayed->backend = SIZE_MAX;
    memset(relayed->id, '7', sizeof(relayed->id));
}

static struct exchange_facts facts_of(struct stage *stage)
{
    struct exchange_facts facts;
    exchange_facts_of(&stage->relayed, &facts);
    return facts;
}

static void a_phase_that_did_not_happen_has_no_time(void **state)
{
    (void)state;
    struct stage stage;
    stage_init(&stage);
    struct exchange_facts facts = facts_of(&stage);
    assert_true(facts.tls_us == ACCESS_LOG_NEVER);
    assert_true(facts.header_us == ACCESS_LOG_NEVER);
    assert_true(facts.connect_us == ACCESS_LOG_NEVER);
    assert_true(facts.first_byte_us == ACCESS_LOG_NEVER);
    assert_true(facts.total_us >= 1000);
    assert_true(slice_is_empty(facts.backend) && slice_is_empty(facts.route));
    turns_fini(&stage.turns);
}

static void each_phase_is_measured_from_where_it_began(void **state)
{
    (void)state;
    struct stage stage;
    stage_init(&stage);
    struct relay_exchange *relayed = &stage.relayed;
    uint64_t began_us = relayed->exchange.began_us;
    relayed->head_us = began_us + 10;
    relayed->sent_us = began_us + 300;
    relayed->first_byte_us = began_us + 700;
    relayed->checkout.connect_us = 250;
    struct exchange_facts facts = facts_of(&stage);
    assert_int_equal(facts.header_us, 10);
    assert_int_equal(facts.connect_us, 250);
    assert_int_equal(facts.first_byte_us, 400);
    relayed->checkout.is_reused = true;
    assert_true(facts_of(&stage).connect_us == ACCESS_LOG_NEVER);
    turns_fini(&stage.turns);
}

static void the_handshake_is_told_with_the_first_exchange_only(void **state)
{
    (void)state;
    struct stage stage;
    stage_init(&stage);
    stage.conn.tls.version = "TLSv1.3";
    stage.conn.tls_us = 77;
    assert_true(facts_of(&stage).tls_us == ACCESS_LOG_NEVER);
    stage.relayed.is_first = true;
    assert_int_equal(facts_of(&stage).tls_us, 77);
    stage.conn.tls.version = NULL;
    assert_true(facts_of(&stage).tls_us == ACCESS_LOG_NEVER);
    turns_fini(&stage.turns);
}

static void the_query_is_told_of_and_not_told(void **state)
{
    (void)state;
    struct stage stage;
    stage_init(&stage);
    struct exchange_facts facts = facts_of(&stage);
    assert_true(facts.has_query);
    assert_true(slice_equal(facts.path, SLICE("/a")));
    turns_fini(&stage.turns);
}

static void the_host_is_the_client_s_own_not_the_backend_s(void **state)
{
    (void)state;
    struct stage stage;
    stage_init(&stage);
    assert_true(slice_equal(facts_of(&stage).host, SLICE("h")));
    stage.relayed.identity.client_authority = SLICE("asked.for");
    stage.relayed.backend = 0;
    struct exchange_facts facts = facts_of(&stage);
    assert_true(slice_equal(facts.host, SLICE("asked.for")));
    assert_true(slice_equal(facts.backend, SLICE("app")));
    turns_fini(&stage.turns);
}

static void an_end_is_counted_with_all_that_it_was(void **state)
{
    (void)state;
    static const struct {
        enum phase phase;
        enum fault_code fault;
        uint64_t tunnels_left;
        uint64_t faults;
    } rows[] = {
        {PHASE_RESPONDING, FAULT_NONE, 1, 0},
        {PHASE_WAITING, FAULT_BACKEND_RESET, 1, 1},
        {PHASE_TUNNEL, FAULT_NONE, 0, 0},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct stage stage;
        stage_init(&stage);
        stage.relayed.phase = rows[i].phase;
        stage.relayed.fault = rows[i].fault;
        stage.relayed.exchange.request_body.moved_in = 11;
        stage.relayed.exchange.request_body.moved_out = 1;
        stage.relayed.exchange.response_body.moved_in = 2;
        stage.relayed.exchange.response_body.moved_out = 22;
        stage.relayed.checkout.retries = 3;
        exchange_account(&stage.relayed);
        const struct counters *counters = &stage.counters;
        assert_int_equal(counter_get(counters, COUNTER_EXCHANGES_OPEN), 0);
        assert_int_equal(counter_get(counters, COUNTER_EXCHANGES), 1);
        assert_int_equal(counter_get(counters, COUNTER_BYTES_IN), 11);
        assert_int_equal(counter_get(counters, COUNTER_BYTES_OUT), 22);
        assert_int_equal(counter_get(counters, COUNTER_RETRIES), 3);
        assert_int_equal(counter_get(counters, COUNTER_TUNNELS_OPEN), rows[i].tunnels_left);
        assert_int_equal(counter_get_faults(counters, FAULT_BACKEND_RESET), rows[i].faults);
        assert_int_equal(counter_get_faults(counters, FAULT_NONE), 0);
        turns_fini(&stage.turns);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_phase_that_did_not_happen_has_no_time),
        cmocka_unit_test(each_phase_is_measured_from_where_it_began),
        cmocka_unit_test(the_handshake_is_told_with_the_first_exchange_only),
        cmocka_unit_test(the_query_is_told_of_and_not_told),
        cmocka_unit_test(the_host_is_the_client_s_own_not_the_backend_s),
        cmocka_unit_test(an_end_is_counted_with_all_that_it_was),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
