/* tests/unit/proxy/upstream/backend_test.c · SPDX-License-Identifier: Apache-2.0 */
#include "proxy/upstream/backend.h"

#include "support/upstream_rig.h"

enum { CHECKOUTS = 4 };

struct stage {
    struct upstream_rig rig;
    struct backend *backend;
    struct checkout checkouts[CHECKOUTS];
    struct requester *requester; /* the last that on_done brought */
    enum fault_code fault;
    int outcomes;
};

static void stage_init(struct stage *stage, size_t servers)
{
    *stage = (struct stage){0};
    upstream_rig_init(&stage->rig, servers);
    stage->rig.config.balance = CONFIG_BALANCE_ROUND_ROBIN;
}

static void open_backend(struct stage *stage)
{
    static struct tls_client *const none[UPSTREAM_SERVERS_MAX];
    assert_int_equal(
        backend_new(&stage->backend, &stage->rig.upstream, &stage->rig.config, none, none),
        STATUS_OK);
    for (size_t i = 0; i < CHECKOUTS; i++) {
        stage->checkouts[i].server = BALANCE_NONE;
    }
}

static void stage_fini(struct stage *stage)
{
    for (size_t i = 0; i < CHECKOUTS; i++) {
        backend_release(&stage->checkouts[i]);
        backend_release(&stage->checkouts[i]); /* harmless */
    }
    backend_free(stage->backend);
    upstream_rig_fini(&stage->rig);
}

static void on_done(void *self, struct requester *requester, enum fault_code fault)
{
    struct stage *stage = self;
    stage->requester = requester;
    stage->fault = fault;
    stage->outcomes++;
}

static bool is_done(void *self)
{
    struct stage *stage = self;
    (void)upstream_rig_serve(&stage->rig);
    return stage->outcomes > 0;
}

/* Waits for the outcome if there is one to come. */
static struct requester *await(struct stage *stage, enum status status, struct requester *at_once)
{
    if (status == STATUS_AGAIN) {
        turns_until(&stage->rig.turns, is_done, stage);
        return stage->requester;
    }
    return status == STATUS_OK ? at_once : NULL;
}

static struct requester *take(struct stage *stage, size_t i)
{
    struct requester *requester = NULL;
    stage->outcomes = 0;
    stage->fault = FAULT_NONE;
    const struct conn_need any = {0};
    stage->checkouts[i] = (struct checkout){.server = BALANCE_NONE};
    enum status status = backend_take(stage->backend, &stage->checkouts[i], &any, on_done, stage,
                                      &requester, &stage->fault);
    return await(stage, status, requester);
}

static struct requester *take_another(struct stage *stage, size_t i)
{
    struct requester *requester = NULL;
    stage->outcomes = 0;
    stage->fault = FAULT_NONE;
    enum status status =
        backend_take_another(&stage->checkouts[i], false, &requester, &stage->fault);
    return await(stage, status, requester);
}

static void a_new_conn_is_dialled_and_an_idle_one_used_again(void **state)
{
    (void)state;
    struct stage stage;
    stage_init(&stage, 1);
    open_backend(&stage);
    struct requester *requester = take(&stage, 0);
    assert_non_null(requester);
    assert_false(stage.checkouts[0].is_reused);
    struct fake_exchange *faked = upstream_rig_request(&stage.rig);
    requester->calls->request(requester, &faked->exchange);
    upstream_rig_settle(&stage.rig);
    peer_say(&stage.rig.conns[0], "HTTP/1.1 204 No Content\r\n\r\n");
    upstream_rig_settle(&stage.rig);
    upstream_rig_expect(&stage.rig, "response 204\n|end\ndone\n");
    assert_ptr_equal(take(&stage, 1), requester);
    assert_true(stage.checkouts[1].is_reused);
    assert_int_equal(stage.outcomes, 0); /* it was there at once */
    requester->calls->abandon(requester);
    stage_fini(&stage);
}

static void a_server_that_refuses_is_passed_over(void **state)
{
    (void)state;
    struct stage stage;
    stage_init(&stage, 3);
    upstream_rig_refuse(&stage.rig, 0);
    upstream_rig_refuse(&stage.rig, 1);
    open_backend(&stage);
    assert_non_null(take(&stage, 0));
    assert_int_equal(stage.checkouts[0].server, 2);
    assert_int_equal(stage.checkouts[0].retries, 2);
    /* Both have their rest now. */
    assert_non_null(take(&stage, 1));
    assert_int_equal(stage.checkouts[1].server, 2);
    assert_int_equal(stage.checkouts[1].retries, 0);
    stage_fini(&stage);
}

static void when_all_refuse_the_last_reason_is_told(void **state)
{
    (void)state;
    struct stage stage;
    stage_init(&stage, 2);
    upstream_rig_refuse(&stage.rig, 0);
    upstream_rig_refuse(&stage.rig, 1);
    open_backend(&stage);
    assert_null(take(&stage, 0));
    assert_int_equal(stage.fault, FAULT_BACKEND_REFUSED);
    assert_int_equal(stage.checkouts[0].retries, 1);
    assert_int_equal(stage.checkouts[0].server, BALANCE_NONE);
    stage_fini(&stage);
}

static void a_backend_at_its_limit_says_so_until_a_place_is_free(void **state)
{
    (void)state;
    struct stage stage;
    stage_init(&stage, 2);
    stage.rig.config.max_connections = 1;
    open_backend(&stage);
    assert_non_null(take(&stage, 0));
    assert_non_null(take(&stage, 1));
    assert_null(take(&stage, 2));
    assert_int_equal(stage.fault, FAULT_BACKEND_BUSY);
    backend_release(&stage.checkouts[0]);
    backend_release(&stage.checkouts[0]);
    assert_non_null(take(&stage, 2));
    assert_null(take(&stage, 3));
    stage_fini(&stage);
}

/* All idle conns of a server that was started anew are stale: each is tried, then a new one. */
static void stale_conns_do_not_count_against_their_server(void **state)
{
    (void)state;
    struct stage stage;
    stage_init(&stage, 1);
    open_backend(&stage);
    struct requester *requesters[2];
    for (size_t i = 0; i < 2; i++) {
        requesters[i] = take(&stage, i);
    }
    upstream_rig_settle(&stage.rig);
    for (size_t i = 0; i < 2; i++) {
        struct fake_exchange *faked = upstream_rig_request(&stage.rig);
        requesters[i]->calls->request(requesters[i], &faked->exchange);
        peer_say(&stage.rig.conns[i], "HTTP/1.1 204 No Content\r\n\r\n");
        upstream_rig_settle(&stage.rig);
        backend_release(&stage.checkouts[i]);
    }
    stage.rig.fake.told[0] = '\0';
    assert_non_null(take(&stage, 2));
    assert_true(stage.checkouts[2].is_reused);
    assert_non_null(take_another(&stage, 2));
    assert_true(stage.checkouts[2].is_reused);
    assert_non_null(take_another(&stage, 2));
    assert_false(stage.checkouts[2].is_reused);
    assert_null(take_another(&stage, 2)); /* the new one failed too */
    stage_fini(&stage);
}

static void a_dial_is_cancelled_with_its_exchange(void **state)
{
    (void)state;
    struct stage stage;
    stage_init(&stage, 1);
    stage.rig.config.max_connections = 1;
    open_backend(&stage);
    struct requester *requester = NULL;
    const struct conn_need any = {0};
    enum status status = backend_take(stage.backend, &stage.checkouts[0], &any, on_done, &stage,
                                      &requester, &stage.fault);
    assert_int_equal(status, STATUS_AGAIN);
    backend_release(&stage.checkouts[0]);
    upstream_rig_settle(&stage.rig);
    assert_int_equal(stage.outcomes, 0);
    assert_non_null(take(&stage, 1)); /* its place is free */
    stage_fini(&stage);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_new_conn_is_dialled_and_an_idle_one_used_again),
        cmocka_unit_test(a_server_that_refuses_is_passed_over),
        cmocka_unit_test(when_all_refuse_the_last_reason_is_told),
        cmocka_unit_test(a_backend_at_its_limit_says_so_until_a_place_is_free),
        cmocka_unit_test(stale_conns_do_not_count_against_their_server),
        cmocka_unit_test(a_dial_is_cancelled_with_its_exchange),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
