/* tests/unit/proxy/upstream/server_test.c · SPDX-License-Identifier: Apache-2.0 */
#include "proxy/upstream/server.h"

#include "support/upstream_rig.h"

struct stage {
    struct upstream_rig rig;
    struct server server;
};

static void stage_init(struct stage *stage)
{
    upstream_rig_init(&stage->rig, 1);
    server_init(&stage->server, &stage->rig.upstream, &stage->rig.config, &stage->rig.servers[0],
                NULL, NULL);
}

static void stage_fini(struct stage *stage)
{
    server_fini(&stage->server);
    upstream_rig_fini(&stage->rig);
}

/* What exchanges call on a new conn, with `peer` at its other end. */
static struct requester *open_conn(struct stage *stage, struct peer *peer)
{
    struct stream *stream = NULL;
    int descriptor = peer_pair(peer);
    assert_int_equal(stream_adopt(&stream, stage->rig.turns.loop, descriptor, NULL, NULL),
                     STATUS_OK);
    assert_int_equal(server_adopt(&stage->server, stream, false), FAULT_NONE);
    struct requester *requester = server_take(&stage->server, false);
    assert_non_null(requester);
    return requester;
}

/* One exchange over the conn, from request to the end of the response. */
static void use(struct stage *stage, struct requester *requester, struct peer *peer)
{
    struct fake_exchange *faked = upstream_rig_request(&stage->rig);
    requester->calls->request(requester, &faked->exchange);
    peer_say(peer, "HTTP/1.1 204 No Content\r\n\r\n");
    upstream_rig_settle(&stage->rig);
    upstream_rig_expect(&stage->rig, "response 204\n|end\ndone\n");
}

static bool none_is_open(void *self)
{
    struct stage *stage = self;
    return stage->rig.conns_open == 0;
}

static void a_conn_is_idle_after_its_exchange_and_taken_again(void **state)
{
    (void)state;
    struct stage stage;
    struct peer peer;
    stage_init(&stage);
    struct requester *conn = open_conn(&stage, &peer);
    assert_int_equal(stage.rig.conns_open, 1);
    assert_null(server_take(&stage.server, false));
    use(&stage, conn, &peer);
    assert_ptr_equal(server_take(&stage.server, false), conn);
    assert_null(server_take(&stage.server, false));
    use(&stage, conn, &peer);
    assert_int_equal(stage.rig.conns_open, 1);
    peer_fini(&peer);
    stage_fini(&stage);
}

static void the_conn_that_was_used_last_is_taken_first(void **state)
{
    (void)state;
    struct stage stage;
    struct peer peers[2];
    stage_init(&stage);
    struct requester *first = open_conn(&stage, &peers[0]);
    struct requester *second = open_conn(&stage, &peers[1]);
    use(&stage, second, &peers[1]);
    use(&stage, first, &peers[0]);
    assert_ptr_equal(server_take(&stage.server, false), first);
    assert_ptr_equal(server_take(&stage.server, false), second);
    peer_fini(&peers[0]);
    peer_fini(&peers[1]);
    stage_fini(&stage);
}

static void more_idle_conns_than_wanted_are_closed(void **state)
{
    (void)state;
    enum { CONNS = 4 };
    struct stage stage;
    struct peer peers[CONNS];
    struct requester *conns[CONNS];
    stage_init(&stage);
    for (size_t i = 0; i < CONNS; i++) {
        conns[i] = open_conn(&stage, &peers[i]);
    }
    for (size_t i = 0; i < CONNS; i++) {
        use(&stage, conns[i], &peers[i]);
    }
    assert_int_equal(stage.rig.conns_open, stage.rig.config.keepalive);
    for (size_t i = 0; i < CONNS; i++) {
        peer_fini(&peers[i]);
    }
    stage_fini(&stage);
}

/* A thousand conns that were idle too long do not use up the places of those that come. */
static void conns_that_were_idle_too_long_leave_their_place(void **state)
{
    (void)state;
    struct stage stage;
    stage_init(&stage);
    stage.rig.upstream.backend_idle_ms = 100;
    for (int i = 0; i < 4; i++) {
        struct peer peer;
        struct requester *conn = open_conn(&stage, &peer);
        use(&stage, conn, &peer);
        assert_int_equal(stage.rig.conns_open, 1); /* it is kept */
        turns_until(&stage.rig.turns, none_is_open, &stage);
        assert_int_equal(stage.server.idle_count, 0);
        peer_fini(&peer);
    }
    stage_fini(&stage);
}

/* The same where idle conns have no deadline, and where the server closes them. */
static void conns_without_a_deadline_leave_their_place(void **state)
{
    (void)state;
    struct stage stage;
    stage_init(&stage);
    stage.rig.upstream.backend_idle_ms = 0;
    for (int i = 0; i < 4; i++) {
        struct peer peer;
        struct requester *conn = open_conn(&stage, &peer);
        use(&stage, conn, &peer);
        assert_ptr_equal(server_take(&stage.server, false), conn);
        assert_int_equal(stage.server.idle_count, 0);
        use(&stage, conn, &peer);
        assert_int_equal(stage.server.idle_count, 1);
        peer_fini(&peer);
        upstream_rig_settle(&stage.rig);
        assert_int_equal(stage.rig.conns_open, 0);
        assert_int_equal(stage.server.idle_count, 0);
    }
    stage_fini(&stage);
}

static void a_conn_that_names_its_client_serves_no_other(void **state)
{
    (void)state;
    struct stage stage;
    struct peer peer;
    stage_init(&stage);
    stage.rig.config.proxy_protocol = CONFIG_PROXY_PROTOCOL_V2;
    assert_false(server_shares_conns(&stage.server));
    struct requester *conn = open_conn(&stage, &peer);
    use(&stage, conn, &peer);
    assert_int_equal(stage.rig.conns_open, 0);
    assert_null(server_take(&stage.server, false));
    peer_fini(&peer);
    stage_fini(&stage);
}

static void the_end_of_a_server_closes_busy_and_idle_conns(void **state)
{
    (void)state;
    struct stage stage;
    struct peer peers[2];
    stage_init(&stage);
    struct requester *idle = open_conn(&stage, &peers[0]);
    struct requester *busy = open_conn(&stage, &peers[1]);
    use(&stage, idle, &peers[0]);
    struct fake_exchange *faked = upstream_rig_request(&stage.rig);
    busy->calls->request(busy, &faked->exchange);
    server_fini(&stage.server);
    assert_int_equal(stage.rig.conns_open, 0);
    upstream_rig_expect(&stage.rig, "failed backend_reset\n");
    peer_fini(&peers[0]);
    peer_fini(&peers[1]);
    stage_fini(&stage);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_conn_is_idle_after_its_exchange_and_taken_again),
        cmocka_unit_test(the_conn_that_was_used_last_is_taken_first),
        cmocka_unit_test(more_idle_conns_than_wanted_are_closed),
        cmocka_unit_test(conns_that_were_idle_too_long_leave_their_place),
        cmocka_unit_test(conns_without_a_deadline_leave_their_place),
        cmocka_unit_test(a_conn_that_names_its_client_serves_no_other),
        cmocka_unit_test(the_end_of_a_server_closes_busy_and_idle_conns),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
