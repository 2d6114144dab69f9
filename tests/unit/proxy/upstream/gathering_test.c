/* tests/unit/proxy/upstream/gathering_test.c · SPDX-License-Identifier: Apache-2.0 */
#include "proxy/upstream/gathering.h"

#include "proxy/net/proxy_protocol.h"
#include "support/upstream_rig.h"

enum { WAITERS = 5 };

struct outcome {
    struct stage *stage;
    struct waiter waiter;
    struct requester *requester;
    enum fault_code fault;
    int times;
};

struct stage {
    struct upstream_rig rig;
    struct server server;
    struct outcome outcomes[WAITERS];
    int told;
    int wanted;
    struct waiter *leaver; /* leaves when somebody is told */
};

static void stage_init(struct stage *stage, enum config_scheme scheme)
{
    *stage = (struct stage){0};
    upstream_rig_init(&stage->rig, 1);
    stage->rig.servers[0].scheme = scheme;
    server_init(&stage->server, &stage->rig.upstream, &stage->rig.config, &stage->rig.servers[0],
                NULL, NULL);
}

static void stage_fini(struct stage *stage)
{
    for (size_t i = 0; i < WAITERS; i++) {
        gathering_leave(&stage->outcomes[i].waiter); /* harmless */
        if (stage->outcomes[i].requester != NULL) {
            struct requester *requester = stage->outcomes[i].requester;
            requester->calls->abandon(requester);
        }
    }
    server_fini(&stage->server);
    upstream_rig_fini(&stage->rig);
}

static void on_done(void *self, struct requester *requester, enum fault_code fault)
{
    struct outcome *outcome = self;
    struct stage *stage = outcome->stage;
    outcome->requester = requester;
    outcome->fault = fault;
    outcome->times++;
    stage->told++;
    if (stage->leaver != NULL) {
        gathering_leave(stage->leaver);
        stage->leaver = NULL;
    }
}

static void join(struct stage *stage, size_t first, size_t count, bool is_tunnel)
{
    const struct conn_need need = {.is_tunnel = is_tunnel};
    for (size_t i = first; i < first + count; i++) {
        struct outcome *outcome = &stage->outcomes[i];
        outcome->stage = stage;
        assert_int_equal(gathering_join(&stage->server, &outcome->waiter, &need, on_done, outcome),
                         STATUS_OK);
        assert_int_equal(outcome->times, 0); /* always from the loop */
    }
}

static bool all_are_told(void *self)
{
    struct stage *stage = self;
    (void)upstream_rig_serve(&stage->rig);
    return stage->told >= stage->wanted;
}

static void wait_for(struct stage *stage, int wanted)
{
    stage->wanted = wanted;
    turns_until(&stage->rig.turns, all_are_told, stage);
    upstream_rig_settle(&stage->rig);
    assert_int_equal(stage->told, wanted);
}

static void expect_requesters(struct stage *stage, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        assert_non_null(stage->outcomes[i].requester);
        assert_int_equal(stage->outcomes[i].fault, FAULT_NONE);
        assert_int_equal(stage->outcomes[i].times, 1);
        for (size_t j = 0; j < i; j++) {
            assert_ptr_not_equal(stage->outcomes[i].requester, stage->outcomes[j].requester);
        }
    }
}

static void a_burst_waits_for_one_conn(void **state)
{
    (void)state;
    static struct stage stage;
    stage_init(&stage, CONFIG_SCHEME_H2C);
    join(&stage, 0, WAITERS, false);
    wait_for(&stage, WAITERS);
    expect_requesters(&stage, WAITERS);
    assert_int_equal(stage.rig.conn_count, 1);
    stage_fini(&stage);
}

static void each_has_a_conn_of_its_own_in_http1(void **state)
{
    (void)state;
    static struct stage stage;
    stage_init(&stage, CONFIG_SCHEME_HTTP);
    join(&stage, 0, WAITERS, false);
    wait_for(&stage, WAITERS);
    expect_requesters(&stage, WAITERS);
    assert_int_equal(stage.rig.conn_count, WAITERS);
    stage_fini(&stage);
}

/* TLS with both protocols offered: nobody knows before the first handshake is done. */
static void a_burst_spreads_when_the_server_speaks_http1_after_all(void **state)
{
    (void)state;
    static struct stage stage;
    stage_init(&stage, CONFIG_SCHEME_HTTP);
    stage.server.is_multiplexed = true;
    join(&stage, 0, WAITERS, false);
    upstream_rig_settle(&stage.rig);
    wait_for(&stage, WAITERS);
    expect_requesters(&stage, WAITERS);
    assert_int_equal(stage.rig.conn_count, WAITERS);
    assert_false(stage.server.is_multiplexed); /* so that the next burst does not wait */
    stage_fini(&stage);
}

/* The others dial at once then, and not one after the other. */
static void those_who_spread_dial_together(void **state)
{
    (void)state;
    static struct stage stage;
    stage_init(&stage, CONFIG_SCHEME_HTTP);
    stage.server.is_multiplexed = true;
    join(&stage, 0, WAITERS, false);
    stage.wanted = 1;
    turns_until(&stage.rig.turns, all_are_told, &stage);
    size_t dials = (size_t)stage.told;
    for (struct list_link *link = stage.server.gatherings.head.next;
         link != &stage.server.gatherings.head; link = link->next) {
        dials++;
    }
    assert_int_equal(dials, WAITERS);
    wait_for(&stage, WAITERS);
    stage_fini(&stage);
}

static void a_conn_that_names_its_client_is_not_shared(void **state)
{
    (void)state;
    static struct stage stage;
    stage_init(&stage, CONFIG_SCHEME_H2C);
    stage.rig.config.proxy_protocol = CONFIG_PROXY_PROTOCOL_V2;
    static const struct proxy_protocol client;
    const struct conn_need need = {.client = &client};
    for (size_t i = 0; i < 2; i++) {
        stage.outcomes[i].stage = &stage;
        assert_int_equal(gathering_join(&stage.server, &stage.outcomes[i].waiter, &need, on_done,
                                        &stage.outcomes[i]),
                         STATUS_OK);
    }
    wait_for(&stage, 2);
    expect_requesters(&stage, 2);
    assert_int_equal(stage.rig.conn_count, 2);
    stage_fini(&stage);
}

static void a_failure_is_told_to_everybody(void **state)
{
    (void)state;
    static struct stage stage;
    stage_init(&stage, CONFIG_SCHEME_H2C);
    upstream_rig_refuse(&stage.rig, 0);
    join(&stage, 0, WAITERS, false);
    wait_for(&stage, WAITERS);
    for (size_t i = 0; i < WAITERS; i++) {
        assert_null(stage.outcomes[i].requester);
        assert_int_equal(stage.outcomes[i].fault, FAULT_BACKEND_REFUSED);
        assert_int_equal(stage.outcomes[i].times, 1);
    }
    stage_fini(&stage);
}

static void who_leaves_is_not_told(void **state)
{
    (void)state;
    static struct stage stage;
    stage_init(&stage, CONFIG_SCHEME_H2C);
    join(&stage, 0, 3, false);
    gathering_leave(&stage.outcomes[1].waiter);
    gathering_leave(&stage.outcomes[1].waiter);
    wait_for(&stage, 2);
    assert_int_equal(stage.outcomes[1].times, 0);
    assert_non_null(stage.outcomes[0].requester);
    assert_non_null(stage.outcomes[2].requester);
    stage_fini(&stage);
}

static void the_dial_ends_with_the_last_one(void **state)
{
    (void)state;
    static struct stage stage;
    stage_init(&stage, CONFIG_SCHEME_H2C);
    join(&stage, 0, 2, false);
    gathering_leave(&stage.outcomes[0].waiter);
    gathering_leave(&stage.outcomes[1].waiter);
    assert_true(list_is_empty(&stage.server.gatherings));
    upstream_rig_settle(&stage.rig);
    assert_int_equal(stage.told, 0);
    assert_int_equal(stage.rig.conns_open, 0);
    stage_fini(&stage);
}

/* One exchange may end another, in the very call that tells it. */
static void one_may_leave_while_another_is_told(void **state)
{
    (void)state;
    for (size_t leaver = 0; leaver < 3; leaver++) {
        static struct stage stage;
        stage_init(&stage, CONFIG_SCHEME_H2C);
        join(&stage, 0, 3, false);
        stage.leaver = &stage.outcomes[leaver].waiter;
        int expected = leaver == 0 ? 3 : 2; /* the first one is told already */
        wait_for(&stage, expected);
        assert_int_equal(stage.outcomes[leaver].times, leaver == 0 ? 1 : 0);
        stage_fini(&stage);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_burst_waits_for_one_conn),
        cmocka_unit_test(each_has_a_conn_of_its_own_in_http1),
        cmocka_unit_test(a_burst_spreads_when_the_server_speaks_http1_after_all),
        cmocka_unit_test(those_who_spread_dial_together),
        cmocka_unit_test(a_conn_that_names_its_client_is_not_shared),
        cmocka_unit_test(a_failure_is_told_to_everybody),
        cmocka_unit_test(who_leaves_is_not_told),
        cmocka_unit_test(the_dial_ends_with_the_last_one),
        cmocka_unit_test(one_may_leave_while_another_is_told),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
