/* tests/unit/proxy/gossip/sockets_test.c · SPDX-License-Identifier: Apache-2.0 */
#include "proxy/gossip/sockets.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

enum { PORT = 7946 };

/* 127.x.y.N, where x and y are of this process. */
static struct config_address address_of(uint8_t last)
{
    unsigned of_process = (unsigned)getpid();
    return (struct config_address){
        .kind = CONFIG_ADDRESS_IP4,
        .ip = {127, (uint8_t)(64 + (of_process >> 8 & 127)), (uint8_t)of_process, last},
        .port = PORT};
}

struct fixture {
    struct config_gossip_peer members[2];
    struct config_gossip settings;
    struct gossip_sockets sockets;
    struct endpoint what;
};

static int set_up(void **state)
{
    struct fixture *fixture = calloc(1, sizeof(*fixture));
    assert_non_null(fixture);
    for (uint8_t i = 0; i < 2; i++) {
        fixture->members[i] = (struct config_gossip_peer){.stand_in = address_of(2 + i),
                                                          .address = address_of(102 + i)};
    }
    fixture->settings = (struct config_gossip){
        .mode = CONFIG_GOSSIP_RELAY,
        .node = {.stand_in = address_of(1), .address = address_of(101)},
        .peers = fixture->members,
        .peer_count = 2,
    };
    *state = fixture;
    return 0;
}

static int tear_down(void **state)
{
    struct fixture *fixture = *state;
    gossip_sockets_close(&fixture->sockets);
    gossip_sockets_close(&fixture->sockets); /* harmless */
    free(fixture);
    return 0;
}

static enum status open_all(struct fixture *fixture)
{
    return gossip_sockets_open(&fixture->sockets, &fixture->settings, &fixture->what);
}

static struct endpoint own_address(int descriptor)
{
    struct sockaddr_storage address;
    socklen_t len = sizeof(address);
    struct endpoint endpoint;
    assert_int_equal(getsockname(descriptor, (struct sockaddr *)&address, &len), 0);
    assert_true(endpoint_from_sockaddr(&endpoint, (struct sockaddr *)&address));
    return endpoint;
}

static void a_relay_has_two_on_each_stand_in_and_on_its_real_address(void **state)
{
    struct fixture *fixture = *state;
    assert_int_equal(open_all(fixture), STATUS_OK);
    assert_int_equal(fixture->sockets.count, 6);
    const struct config_gossip_peer *const MEMBERS[] = {NULL, &fixture->members[0],
                                                        &fixture->members[1]};
    for (size_t i = 0; i < 6; i++) {
        const struct gossip_socket *socket = &fixture->sockets.at[i];
        int type = 0;
        socklen_t len = sizeof(type);
        struct endpoint expected;
        endpoint_from_config(&expected, i < 2 ? &fixture->settings.node.address
                                              : &fixture->members[i / 2 - 1].stand_in);
        struct endpoint own = own_address(socket->descriptor);
        assert_true(endpoint_equal(&own, &expected));
        assert_ptr_equal(socket->member, MEMBERS[i / 2]);
        assert_int_equal(socket->transport, i % 2 == 0 ? GOSSIP_UDP : GOSSIP_TCP);
        assert_int_equal(getsockopt(socket->descriptor, SOL_SOCKET, SO_TYPE, &type, &len), 0);
        assert_int_equal(type, i % 2 == 0 ? SOCK_DGRAM : SOCK_STREAM);
        assert_true((fcntl(socket->descriptor, F_GETFD) & FD_CLOEXEC) != 0);
        assert_true((fcntl(socket->descriptor, F_GETFL) & O_NONBLOCK) != 0);
    }
}

static void an_address_in_use_is_named_and_nothing_is_left_open(void **state)
{
    struct fixture *fixture = *state;
    struct endpoint taken;
    struct sockaddr_storage address;
    endpoint_from_config(&taken, &fixture->members[1].stand_in);
    socklen_t len = endpoint_to_sockaddr(&taken, &address);
    int other = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    int next = dup(other); /* the lowest that is free afterwards */
    assert_int_equal(bind(other, (struct sockaddr *)&address, len), 0);
    (void)close(next);
    assert_int_equal(open_all(fixture), STATUS_SYS);
    assert_int_equal(errno, EADDRINUSE);
    assert_true(endpoint_equal(&fixture->what, &taken));
    assert_int_equal(fixture->sockets.count, 0);
    int again = dup(other);
    assert_int_equal(again, next);
    (void)close(again);
    (void)close(other);
}

static void transparent_sockets_are_of_both_families(void **state)
{
    struct fixture *fixture = *state;
    fixture->settings.mode = CONFIG_GOSSIP_TRANSPARENT;
    fixture->settings.own_port = 0; /* whichever is free */
    enum status status = open_all(fixture);
    if (status != STATUS_OK) {
        assert_int_equal(status, STATUS_SYS);
        assert_true(errno == EPERM || errno == EACCES);
        skip(); /* only root may */
    }
    assert_true(fixture->sockets.count == 4 || fixture->sockets.count == 2);
    for (size_t i = 0; i < fixture->sockets.count; i++) {
        struct endpoint own = own_address(fixture->sockets.at[i].descriptor);
        assert_int_equal(endpoint_is_ip4(&own), i < 2);
    }
}

static void a_conn_to_our_own_port_was_going_nowhere_else(void **state)
{
    (void)state;
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof(address);
    int listening = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    int near = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(bind(listening, (struct sockaddr *)&address, len), 0);
    assert_int_equal(listen(listening, 1), 0);
    assert_int_equal(getsockname(listening, (struct sockaddr *)&address, &len), 0);
    assert_int_equal(connect(near, (struct sockaddr *)&address, len), 0);
    int accepted = accept(listening, NULL, NULL);
    struct endpoint destination;
    enum cluster_direction direction;
    assert_false(gossip_original_destination(accepted, &destination, &direction));
    assert_false(gossip_original_destination(-1, &destination, &direction));
    (void)close(accepted);
    (void)close(near);
    (void)close(listening);
}

#define TEST(claim) cmocka_unit_test_setup_teardown(claim, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_relay_has_two_on_each_stand_in_and_on_its_real_address),
        TEST(an_address_in_use_is_named_and_nothing_is_left_open),
        TEST(transparent_sockets_are_of_both_families),
        cmocka_unit_test(a_conn_to_our_own_port_was_going_nowhere_else),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
