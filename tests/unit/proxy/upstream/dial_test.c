/* tests/unit/proxy/upstream/dial_test.c · SPDX-License-Identifier: Apache-2.0 */
#include "proxy/upstream/dial.h"

#include <sys/un.h>

#include "proxy/upstream/server.h"
#include "support/upstream_rig.h"

struct stage {
    struct upstream_rig rig;
    struct server server;
    struct dial *dial;
    struct stream *stream;
    enum fault_code fault;
    int outcomes;
};

static void stage_init(struct stage *stage)
{
    *stage = (struct stage){0};
    upstream_rig_init(&stage->rig, 1);
    server_init(&stage->server, &stage->rig.upstream, &stage->rig.config, &stage->rig.servers[0],
                NULL, NULL);
}

static void stage_fini(struct stage *stage)
{
    if (stage->stream != NULL) {
        stream_close(stage->stream);
    }
    server_fini(&stage->server);
    upstream_rig_fini(&stage->rig);
}

static void on_event(void *self)
{
    (void)self;
}

static void on_failed(void *self, enum stream_failure failure)
{
    (void)self;
    (void)failure;
}

static const struct stream_events quiet = {
    .on_open = on_event, .on_readable = on_event, .on_writable = on_event, .on_failed = on_failed};

static void on_done(void *self, struct stream *stream, enum fault_code fault)
{
    struct stage *stage = self;
    stage->dial = NULL;
    stage->stream = stream;
    stage->fault = fault;
    stage->outcomes++;
    if (stream != NULL) {
        stream_set_owner(stream, &quiet, stage);
    }
}

static void begin(struct stage *stage, const struct proxy_protocol *client)
{
    const struct dial_events events = {.on_done = on_done, .self = stage};
    const struct conn_need need = {.client = client};
    stage->dial = dial_begin(&stage->server, &need, &events);
    assert_non_null(stage->dial);
    assert_int_equal(stage->outcomes, 0); /* always from the loop */
}

static bool is_done(void *self)
{
    struct stage *stage = self;
    (void)upstream_rig_serve(&stage->rig);
    return stage->outcomes > 0;
}

static void dial(struct stage *stage)
{
    begin(stage, NULL);
    turns_until(&stage->rig.turns, is_done, stage);
    assert_int_equal(stage->outcomes, 1);
}

static void an_open_stream_comes_of_a_server_that_listens(void **state)
{
    (void)state;
    struct stage stage;
    stage_init(&stage);
    dial(&stage);
    assert_int_equal(stage.fault, FAULT_NONE);
    assert_non_null(stage.stream);
    size_t taken = 0;
    assert_int_equal(stream_write(stage.stream, SLICE("hello"), &taken), STATUS_OK);
    upstream_rig_settle(&stage.rig);
    assert_string_equal(stage.rig.conns[0].got, "hello");
    stage_fini(&stage);
}

/* Nothing is agreed with it first: the codec begins by itself. */
static void a_server_of_http2_in_plaintext_gets_no_handshake(void **state)
{
    (void)state;
    struct stage stage;
    stage_init(&stage);
    stage.rig.servers[0].scheme = CONFIG_SCHEME_H2C;
    dial(&stage);
    assert_int_equal(stage.fault, FAULT_NONE);
    upstream_rig_settle(&stage.rig);
    assert_int_equal(stage.rig.conns[0].len, 0);
    stage_fini(&stage);
}

static void a_server_that_refuses_is_told_of(void **state)
{
    (void)state;
    struct stage stage;
    stage_init(&stage);
    upstream_rig_refuse(&stage.rig, 0);
    dial(&stage);
    assert_null(stage.stream);
    assert_int_equal(stage.fault, FAULT_BACKEND_REFUSED);
    stage_fini(&stage);
}

static void the_next_address_is_tried_after_one_that_refuses(void **state)
{
    (void)state;
    struct stage stage;
    stage_init(&stage);
    struct resolved *addresses = &stage.server.addresses;
    for (size_t i = 0; i < 2; i++) {
        struct sockaddr_in *address = (struct sockaddr_in *)&addresses->at[i];
        address->sin_family = AF_INET;
        address->sin_addr.s_addr = htonl(INADDR_LOOPBACK + (i == 0 ? 1U : 0U)); /* 127.0.0.2 */
    }
    addresses->count = 2;
    stage.server.addresses_until_ms = UINT64_MAX;
    dial(&stage);
    assert_int_equal(stage.fault, FAULT_NONE);
    assert_non_null(stage.stream);
    stage_fini(&stage);
}

static void a_unix_socket_is_reached_by_its_path(void **state)
{
    (void)state;
    struct stage stage;
    stage_init(&stage);
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    (void)snprintf(address.sun_path, sizeof(address.sun_path), "/tmp/dial-%d", (int)getpid());
    int listening = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(bind(listening, (struct sockaddr *)&address, sizeof(address)), 0);
    assert_int_equal(listen(listening, 4), 0);
    stage.rig.servers[0].unix_path = address.sun_path;
    stage.rig.servers[0].host = NULL;
    dial(&stage);
    assert_int_equal(stage.fault, FAULT_NONE);
    stream_close(stage.stream);
    stage.stream = NULL;
    (void)close(listening);
    stage.outcomes = 0;
    dial(&stage);
    assert_int_equal(stage.fault, FAULT_BACKEND_REFUSED);
    (void)unlink(address.sun_path);
    stage.outcomes = 0;
    dial(&stage);
    assert_int_equal(stage.fault, FAULT_BACKEND_REFUSED);
    stage_fini(&stage);
}

static void the_proxy_header_comes_first(void **state)
{
    (void)state;
    static const enum config_proxy_protocol versions[] = {CONFIG_PROXY_PROTOCOL_V1,
                                                          CONFIG_PROXY_PROTOCOL_V2};
    for (size_t i = 0; i < 2; i++) {
        struct stage stage;
        stage_init(&stage);
        stage.rig.config.proxy_protocol = versions[i];
        struct proxy_protocol client = {.version = 2};
        struct sockaddr_in *source = (struct sockaddr_in *)&client.source;
        source->sin_family = AF_INET;
        source->sin_addr.s_addr = htonl(0xc0000201); /* 192.0.2.1 */
        source->sin_port = htons(4711);
        client.destination = client.source;
        begin(&stage, &client);
        turns_until(&stage.rig.turns, is_done, &stage);
        assert_int_equal(stage.fault, FAULT_NONE);
        size_t taken = 0;
        assert_int_equal(stream_write(stage.stream, SLICE("GET"), &taken), STATUS_OK);
        upstream_rig_settle(&stage.rig);
        const struct peer *server = &stage.rig.conns[0];
        if (i == 0) {
            assert_string_equal(server->got, "PROXY TCP4 192.0.2.1 192.0.2.1 4711 4711\r\nGET");
        } else {
            assert_memory_equal(server->got, "\r\n\r\n\0\r\nQUIT\n\x21\x11", 14);
            assert_memory_equal(server->got + server->len - 3, "GET", 3);
        }
        stage_fini(&stage);
    }
}

/* A listening socket whose queue is full neither accepts nor refuses. */
static void a_server_that_does_not_accept_is_not_waited_for(void **state)
{
    (void)state;
    struct stage stage;
    stage_init(&stage);
    assert_int_equal(listen(stage.rig.listening[0], 0), 0);
    int crowd[8];
    for (size_t i = 0; i < 8; i++) {
        struct sockaddr_in address = {.sin_family = AF_INET,
                                      .sin_addr.s_addr = htonl(INADDR_LOOPBACK),
                                      .sin_port = htons(stage.rig.servers[0].port)};
        crowd[i] = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
        (void)!connect(crowd[i], (struct sockaddr *)&address, sizeof(address));
    }
    stage.rig.upstream.connect_ms = 200;
    begin(&stage, NULL);
    for (int i = 0; i < 20 && stage.outcomes == 0; i++) {
        turns_pass(&stage.rig.turns, 100);
    }
    assert_int_equal(stage.outcomes, 1);
    assert_int_equal(stage.fault, FAULT_TIMEOUT_CONNECT);
    for (size_t i = 0; i < 8; i++) {
        (void)close(crowd[i]);
    }
    stage_fini(&stage);
}

static void a_dial_that_was_cancelled_says_nothing(void **state)
{
    (void)state;
    for (int turns = 0; turns < 2; turns++) {
        struct stage stage;
        stage_init(&stage);
        if (turns == 1) {
            upstream_rig_refuse(&stage.rig, 0);
        }
        begin(&stage, NULL);
        dial_cancel(stage.dial);
        upstream_rig_settle(&stage.rig);
        assert_int_equal(stage.outcomes, 0);
        stage_fini(&stage);
    }
    dial_cancel(NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_open_stream_comes_of_a_server_that_listens),
        cmocka_unit_test(a_server_of_http2_in_plaintext_gets_no_handshake),
        cmocka_unit_test(a_server_that_refuses_is_told_of),
        cmocka_unit_test(the_next_address_is_tried_after_one_that_refuses),
        cmocka_unit_test(a_unix_socket_is_reached_by_its_path),
        cmocka_unit_test(the_proxy_header_comes_first),
        cmocka_unit_test(a_server_that_does_not_accept_is_not_waited_for),
        cmocka_unit_test(a_dial_that_was_cancelled_says_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
