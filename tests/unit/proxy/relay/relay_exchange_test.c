/* tests/unit/proxy/relay/relay_exchange_test.c
 *
 * From the request's head to the line in the access log, through a whole relay in plaintext.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "proxy/relay/relay_exchange.h"

#include "support/relay_rig.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))
#define GET          "GET /a?token=1 HTTP/1.1\r\nhost: localhost\r\n\r\n"
#define POST         "POST / HTTP/1.1\r\nhost: localhost\r\ncontent-length: 5\r\n\r\n"
#define OK           "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok"

static void init(struct relay_rig *rig)
{
    relay_rig_init(rig, "");
    relay_rig_open(rig);
}

static void expect_status(const struct peer *client, const char *status)
{
    char line[32];
    (void)snprintf(line, sizeof(line), "HTTP/1.1 %s ", status);
    if (strncmp(client->got, line, strlen(line)) != 0) {
        fail_msg("expected %s, got \"%s\"", status, client->got);
    }
}

static void a_request_goes_to_the_backend_and_its_response_back(void **state)
{
    (void)state;
    struct relay_rig rig;
    init(&rig);
    struct peer *client = relay_rig_connect(&rig);
    relay_rig_say(&rig, client, GET);
    assert_int_equal(rig.backend_count, 1);
    assert_true(peer_heard(&rig.backends[0], "GET /a?token=1 HTTP/1.1\r\n"));
    assert_true(peer_heard(&rig.backends[0], "x-forwarded-for: 127.0.0.1\r\n"));
    relay_rig_say(&rig, &rig.backends[0], OK);
    expect_status(client, "200");
    assert_true(peer_heard(client, "\r\n\r\nok"));
    relay_rig_expect_access(&rig, "\"status\":200");
    relay_rig_expect_access(&rig, "\"path\":\"/a\"");
    assert_null(strstr(relay_rig_lines(&rig, rig.access_log, rig.access_file), "token"));
    relay_rig_fini(&rig);
}

static void conns_on_both_sides_are_used_again(void **state)
{
    (void)state;
    struct relay_rig rig;
    relay_rig_init(&rig, "");
    rig.config->backends[0].server_count = 1;
    relay_rig_open(&rig);
    struct peer *client = relay_rig_connect(&rig);
    for (int i = 0; i < 3; i++) {
        relay_rig_say(&rig, client, GET);
        assert_int_equal(rig.backend_count, 1);
        relay_rig_say(&rig, &rig.backends[0], OK);
        expect_status(client, "200");
        peer_forget(client);
    }
    assert_int_equal(counter_get(&rig.counters, COUNTER_EXCHANGES), 3);
    assert_int_equal(counter_get(&rig.counters, COUNTER_CONNS_ACCEPTED), 1);
    rig.config->backends[0].server_count = 2;
    relay_rig_fini(&rig);
}

/* What the backend says (NULL: it closes) and how it ends, for each fault its page. */
static void each_fault_of_a_backend_has_its_page(void **state)
{
    (void)state;
    static const struct {
        const char *said;
        const char *status;
        const char *fault;
    } rows[] = {
        {"", "502", "backend_reset"},
        {"HTTP/1.1 200 OK\r\ncontent-le", "502", "backend_reset"},
        {"rubbish\r\n\r\n", "502", "h1_status_line"},
        {"HTTP/1.1 200 OK\r\ncontent-length: x\r\n\r\n", "502", "backend_response"},
        {"HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: websocket\r\n\r\n",
         "502", "backend_upgrade"},
    };
    for (size_t i = 0; i < COUNT(rows); i++) {
        struct relay_rig rig;
        init(&rig);
        struct peer *client = relay_rig_connect(&rig);
        relay_rig_say(&rig, client, GET);
        peer_say(&rig.backends[0], rows[i].said);
        peer_close(&rig.backends[0]);
        relay_rig_settle(&rig);
        expect_status(client, rows[i].status);
        relay_rig_expect_access(&rig, rows[i].fault);
        assert_int_equal(relay_rig_access_lines(&rig), 1);
        relay_rig_fini(&rig);
    }
}

static void each_fault_of_a_client_has_its_page(void **state)
{
    (void)state;
    static const struct {
        const char *said;
        const char *status;
        const char *fault;
    } rows[] = {
        {"GET / HTTP/1.1\r\n\r\n", "400", "host_missing"},
        {"GET /\r\n\r\n", "400", "h1_request_line"},
        {"GET / HTTP/1.1\r\nhost: other\r\n\r\n", "404", "no_route"},
        {"GET / HTTP/2.0\r\nhost: localhost\r\n\r\n", "505", "h1_version"},
        {"POST / HTTP/1.1\r\nhost: localhost\r\ncontent-length: 99\r\n\r\n", "413",
         "limit_body_bytes"},
    };
    for (size_t i = 0; i < COUNT(rows); i++) {
        struct relay_rig rig;
        relay_rig_init(&rig, "limits: {body_bytes: 50B}\n");
        relay_rig_open(&rig);
        struct peer *client = relay_rig_connect(&rig);
        relay_rig_say(&rig, client, rows[i].said);
        expect_status(client, rows[i].status);
        relay_rig_expect_access(&rig, rows[i].fault);
        assert_int_equal(rig.backend_count, 0);
        relay_rig_fini(&rig);
    }
}

static void a_server_that_refuses_is_passed_over(void **state)
{
    (void)state;
    struct relay_rig rig;
    init(&rig);
    relay_rig_refuse(&rig, 0);
    struct peer *client = relay_rig_connect(&rig);
    relay_rig_say(&rig, client, POST "hello");
    assert_int_equal(rig.backend_count, 1);
    assert_true(peer_heard(&rig.backends[0], "\r\n\r\nhello"));
    relay_rig_say(&rig, &rig.backends[0], OK);
    expect_status(client, "200");
    relay_rig_expect_access(&rig, "\"retries\":1");
    assert_int_equal(counter_get(&rig.counters, COUNTER_RETRIES), 1);
    relay_rig_fini(&rig);
}

static void when_all_servers_refuse_the_client_is_told(void **state)
{
    (void)state;
    struct relay_rig rig;
    init(&rig);
    relay_rig_refuse(&rig, 0);
    relay_rig_refuse(&rig, 1);
    struct peer *client = relay_rig_connect(&rig);
    relay_rig_say(&rig, client, GET);
    expect_status(client, "502");
    relay_rig_expect_access(&rig, "backend_refused");
    relay_rig_fini(&rig);
}

/* The server closes an idle conn at the moment at which the next request leaves. */
static void a_stale_conn_is_tried_again_only_where_that_is_harmless(void **state)
{
    (void)state;
    static const char *const requests[] = {GET, POST "hello"};
    static const char *const statuses[] = {"200", "502"};
    for (size_t i = 0; i < COUNT(requests); i++) {
        struct relay_rig rig;
        relay_rig_init(&rig, "");
        rig.config->backends[0].server_count = 1;
        relay_rig_open(&rig);
        struct peer *client = relay_rig_connect(&rig);
        relay_rig_say(&rig, client, GET);
        relay_rig_say(&rig, &rig.backends[0], OK);
        peer_forget(client);
        /* The request is read before the end of the idle conn is, whichever epoll tells first:
         * what the relay sees is a conn that does not answer. */
        peer_say(client, requests[i]);
        struct peer *stale = &rig.backends[0];
        for (int turn = 0; turn < 4 && stale->len < 400; turn++) {
            relay_rig_settle(&rig);
        }
        peer_close(stale);
        relay_rig_settle(&rig);
        if (rig.backend_count > 1) {
            relay_rig_say(&rig, &rig.backends[1], OK);
        }
        expect_status(client, statuses[i]);
        rig.config->backends[0].server_count = 2;
        relay_rig_fini(&rig);
    }
}

static void a_response_that_is_cut_is_cut_for_the_client(void **state)
{
    (void)state;
    static const char *const heads[] = {
        "HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nhe",
        "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n2\r\nhe\r\n",
    };
    for (size_t i = 0; i < COUNT(heads); i++) {
        struct relay_rig rig;
        init(&rig);
        struct peer *client = relay_rig_connect(&rig);
        relay_rig_say(&rig, client, GET);
        relay_rig_say(&rig, &rig.backends[0], heads[i]);
        assert_true(peer_heard(client, "he"));
        peer_close(&rig.backends[0]);
        relay_rig_settle(&rig);
        assert_true(client->has_ended);
        assert_false(peer_heard(client, "0\r\n\r\n"));
        relay_rig_expect_access(&rig, "backend_truncated");
        relay_rig_fini(&rig);
    }
}

static void interim_responses_are_passed_on(void **state)
{
    (void)state;
    struct relay_rig rig;
    init(&rig);
    struct peer *client = relay_rig_connect(&rig);
    relay_rig_say(&rig, client,
                  "POST / HTTP/1.1\r\nhost: localhost\r\nexpect: 100-continue\r\n"
                  "content-length: 5\r\n\r\n");
    assert_true(peer_heard(&rig.backends[0], "expect: 100-continue\r\n"));
    relay_rig_say(&rig, &rig.backends[0], "HTTP/1.1 100 Continue\r\n\r\n");
    assert_string_equal(client->got, "HTTP/1.1 100 Continue\r\n\r\n");
    peer_forget(client);
    relay_rig_say(&rig, client, "hello");
    assert_true(peer_heard(&rig.backends[0], "\r\n\r\nhello"));
    relay_rig_say(&rig, &rig.backends[0], OK);
    expect_status(client, "200");
    relay_rig_fini(&rig);
}

/* ---- somebody leaves ---- */

static void a_client_that_leaves_in_any_state_is_forgotten(void **state)
{
    (void)state;
    /* What the client says, what the backend says, before the client resets. */
    static const struct {
        const char *said;
        const char *answered;
    } rows[] = {
        {GET, NULL},
        {GET, "HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nhe"},
        {GET, "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n2\r\nhe\r\n"},
        {POST "he", NULL},
        {POST "he", "HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nhe"},
        {POST "hello", "HTTP/1.1 100 Continue\r\n\r\n"},
    };
    for (size_t i = 0; i < COUNT(rows); i++) {
        struct relay_rig rig;
        init(&rig);
        struct peer *client = relay_rig_connect(&rig);
        relay_rig_say(&rig, client, rows[i].said);
        if (rows[i].answered != NULL) {
            relay_rig_say(&rig, &rig.backends[0], rows[i].answered);
        }
        peer_reset(client);
        relay_rig_settle(&rig);
        assert_int_equal(counter_get(&rig.counters, COUNTER_CONNS_OPEN), 0);
        assert_int_equal(counter_get(&rig.counters, COUNTER_EXCHANGES_OPEN), 0);
        assert_int_equal(counter_get(&rig.counters, COUNTER_BACKEND_CONNS_OPEN), 0);
        assert_true(rig.backends[0].has_ended);
        relay_rig_expect_access(&rig, "client_reset");
        relay_rig_fini(&rig);
    }
}

static void a_client_that_leaves_while_a_conn_is_dialled_ends_the_dial(void **state)
{
    (void)state;
    enum { CROWD = 8 };
    struct relay_rig rig;
    relay_rig_init(&rig, "");
    rig.config->backends[0].server_count = 1;
    relay_rig_open(&rig);
    /* A listening socket whose queue is full neither accepts nor refuses. */
    int server = rig.servers[0];
    rig.servers[0] = -1;
    assert_int_equal(listen(server, 0), 0);
    int crowd[CROWD];
    for (size_t i = 0; i < CROWD; i++) {
        const struct sockaddr_in address = {.sin_family = AF_INET,
                                            .sin_addr.s_addr = htonl(INADDR_LOOPBACK),
                                            .sin_port = htons(rig.server_ports[0])};
        crowd[i] = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
        (void)!connect(crowd[i], (const struct sockaddr *)&address, sizeof(address));
    }
    struct peer *client = relay_rig_connect(&rig);
    relay_rig_say(&rig, client, GET);
    assert_int_equal(counter_get(&rig.counters, COUNTER_EXCHANGES_OPEN), 1);
    peer_reset(client);
    relay_rig_settle(&rig);
    assert_int_equal(counter_get(&rig.counters, COUNTER_EXCHANGES_OPEN), 0);
    relay_rig_expect_access(&rig, "client_reset");
    for (size_t i = 0; i < CROWD; i++) {
        (void)close(crowd[i]);
    }
    (void)close(server);
    rig.config->backends[0].server_count = 2;
    relay_rig_fini(&rig);
}

static bool is_answered(void *self)
{
    struct relay_rig *rig = self;
    (void)relay_rig_serve(rig);
    return rig->clients[0].len > 0 || rig->clients[0].has_ended;
}

static void a_backend_that_does_not_answer_in_time_has_its_page(void **state)
{
    (void)state;
    struct relay_rig rig;
    relay_rig_init(&rig, "timeouts: {response: 200ms}\n");
    relay_rig_open(&rig);
    struct peer *client = relay_rig_connect(&rig);
    relay_rig_say(&rig, client, GET);
    turns_until(&rig.turns, is_answered, &rig);
    expect_status(client, "504");
    relay_rig_expect_access(&rig, "timeout_response");
    relay_rig_fini(&rig);
}

static void an_upload_that_stops_has_its_page_and_frees_the_backend(void **state)
{
    (void)state;
    struct relay_rig rig;
    relay_rig_init(&rig, "timeouts: {rate_grace: 200ms, minimum_rate: 1KiB/s}\n");
    relay_rig_open(&rig);
    struct peer *client = relay_rig_connect(&rig);
    relay_rig_say(&rig, client, POST "he");
    turns_until(&rig.turns, is_answered, &rig);
    expect_status(client, "408");
    relay_rig_settle(&rig);
    assert_int_equal(counter_get(&rig.counters, COUNTER_BACKEND_CONNS_OPEN), 0);
    relay_rig_expect_access(&rig, "timeout_body");
    relay_rig_fini(&rig);
}

/* ---- tunnels ---- */

static struct peer *begin_tunnel(struct relay_rig *rig)
{
    struct peer *client = relay_rig_connect(rig);
    relay_rig_say(rig, client,
                  "GET /ws HTTP/1.1\r\nhost: localhost\r\nconnection: upgrade\r\n"
                  "upgrade: websocket\r\n\r\n");
    relay_rig_say(rig, &rig->backends[0],
                  "HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\n"
                  "upgrade: websocket\r\n\r\nhello");
    expect_status(client, "101");
    assert_true(peer_heard(client, "\r\n\r\nhello"));
    assert_int_equal(counter_get(&rig->counters, COUNTER_TUNNELS_OPEN), 1);
    return client;
}

static void a_tunnel_carries_both_ways_and_ends_with_either_side(void **state)
{
    (void)state;
    for (int first = 0; first < 2; first++) {
        struct relay_rig rig;
        init(&rig);
        struct peer *client = begin_tunnel(&rig);
        struct peer *server = &rig.backends[0];
        relay_rig_say(&rig, client, "ping");
        assert_true(peer_heard(server, "ping"));
        relay_rig_say(&rig, server, "pong");
        assert_true(peer_heard(client, "pong"));
        struct peer *leaves = first == 0 ? client : server;
        struct peer *stays = first == 0 ? server : client;
        assert_int_equal(shutdown(leaves->descriptor, SHUT_WR), 0);
        relay_rig_settle(&rig);
        assert_true(stays->has_ended && !stays->was_reset);
        relay_rig_say(&rig, stays, "last words");
        assert_true(peer_heard(leaves, "last words"));
        peer_close(stays);
        relay_rig_settle(&rig);
        assert_true(leaves->has_ended);
        assert_int_equal(counter_get(&rig.counters, COUNTER_TUNNELS_OPEN), 0);
        assert_int_equal(counter_get(&rig.counters, COUNTER_CONNS_OPEN), 0);
        relay_rig_expect_access(&rig, "\"status\":101");
        relay_rig_fini(&rig);
    }
}

static void a_silent_tunnel_is_ended(void **state)
{
    (void)state;
    struct relay_rig rig;
    relay_rig_init(&rig, "");
    rig.config->timeouts.tunnel_idle_ms = 200;
    relay_rig_open(&rig);
    struct peer *client = begin_tunnel(&rig);
    peer_forget(client);
    turns_until(&rig.turns, is_answered, &rig);
    assert_true(client->has_ended);
    relay_rig_settle(&rig);
    relay_rig_expect_access(&rig, "timeout_tunnel");
    relay_rig_fini(&rig);
}

static void a_tunnel_that_is_cut_on_one_side_is_cut_on_the_other(void **state)
{
    (void)state;
    for (int first = 0; first < 2; first++) {
        struct relay_rig rig;
        init(&rig);
        struct peer *client = begin_tunnel(&rig);
        peer_reset(first == 0 ? client : &rig.backends[0]);
        relay_rig_settle(&rig);
        assert_true(first == 0 ? rig.backends[0].has_ended : client->has_ended);
        assert_int_equal(counter_get(&rig.counters, COUNTER_TUNNELS_OPEN), 0);
        relay_rig_fini(&rig);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_request_goes_to_the_backend_and_its_response_back),
        cmocka_unit_test(conns_on_both_sides_are_used_again),
        cmocka_unit_test(each_fault_of_a_backend_has_its_page),
        cmocka_unit_test(each_fault_of_a_client_has_its_page),
        cmocka_unit_test(a_server_that_refuses_is_passed_over),
        cmocka_unit_test(when_all_servers_refuse_the_client_is_told),
        cmocka_unit_test(a_stale_conn_is_tried_again_only_where_that_is_harmless),
        cmocka_unit_test(a_response_that_is_cut_is_cut_for_the_client),
        cmocka_unit_test(interim_responses_are_passed_on),
        cmocka_unit_test(a_client_that_leaves_in_any_state_is_forgotten),
        cmocka_unit_test(a_client_that_leaves_while_a_conn_is_dialled_ends_the_dial),
        cmocka_unit_test(a_backend_that_does_not_answer_in_time_has_its_page),
        cmocka_unit_test(an_upload_that_stops_has_its_page_and_frees_the_backend),
        cmocka_unit_test(a_tunnel_carries_both_ways_and_ends_with_either_side),
        cmocka_unit_test(a_silent_tunnel_is_ended),
        cmocka_unit_test(a_tunnel_that_is_cut_on_one_side_is_cut_on_the_other),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
