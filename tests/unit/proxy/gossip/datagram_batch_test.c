/* tests/unit/proxy/gossip/datagram_batch_test.c · SPDX-License-Identifier: Apache-2.0 */
#include "proxy/gossip/datagram_batch.h"

#include <netinet/in.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

enum { PACKET_MAX = 65507 };

struct fixture {
    struct datagram_batch *batch;
    int receiver;
    int sender;
    struct endpoint at;
    struct endpoint from;
};

static int set_up(void **state)
{
    struct fixture *fixture = calloc(1, sizeof(*fixture));
    assert_non_null(fixture);
    *fixture = (struct fixture){.batch = datagram_batch_new(), .receiver = -1, .sender = -1};
    assert_non_null(fixture->batch);
    *state = fixture;
    return 0;
}

static int tear_down(void **state)
{
    struct fixture *fixture = *state;
    datagram_batch_free(fixture->batch);
    (void)close(fixture->receiver);
    (void)close(fixture->sender);
    free(fixture);
    return 0;
}

static int bound(int family, struct endpoint *at)
{
    static const int BUFFER = 4 * 1024 * 1024;
    static const uint8_t IP4[4] = {127, 0, 0, 1};
    static const uint8_t IP6[16] = {[15] = 1};
    struct sockaddr_storage address;
    socklen_t len = sizeof(address);
    bool is_ip4 = family == AF_INET;
    int descriptor = socket(family, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    assert_true(endpoint_from_ip(at, is_ip4 ? IP4 : IP6, is_ip4 ? 4 : 16, 0));
    socklen_t own_len = endpoint_to_sockaddr(at, &address);
    if (descriptor < 0 || bind(descriptor, (struct sockaddr *)&address, own_len) != 0) {
        skip(); /* without IPv6 */
    }
    (void)setsockopt(descriptor, SOL_SOCKET, SO_RCVBUF, &BUFFER, sizeof(BUFFER));
    assert_int_equal(getsockname(descriptor, (struct sockaddr *)&address, &len), 0);
    assert_true(endpoint_from_sockaddr(at, (struct sockaddr *)&address));
    return descriptor;
}

static void open_pair(struct fixture *fixture, int family, bool tells_where)
{
    static const int ON = 1;
    fixture->receiver = bound(family, &fixture->at);
    fixture->sender = bound(family, &fixture->from);
    int level = family == AF_INET ? SOL_IP : SOL_IPV6;
    if (tells_where) {
        assert_int_equal(setsockopt(fixture->receiver, level,
                                    family == AF_INET ? IP_RECVORIGDSTADDR : IPV6_RECVORIGDSTADDR,
                                    &ON, sizeof(ON)),
                         0);
        assert_int_equal(setsockopt(fixture->receiver, level,
                                    family == AF_INET ? IP_PKTINFO : IPV6_RECVPKTINFO, &ON,
                                    sizeof(ON)),
                         0);
    }
}

static void send_to(struct fixture *fixture, const void *bytes, size_t len)
{
    struct sockaddr_storage address;
    socklen_t address_len = endpoint_to_sockaddr(&fixture->at, &address);
    assert_int_equal(
        sendto(fixture->sender, bytes, len, 0, (struct sockaddr *)&address, address_len), len);
}

static void tells_who_sent_it_where_it_was_going_and_that_it_is_from_here(void **state)
{
    struct fixture *fixture = *state;
    static const int FAMILIES[] = {AF_INET, AF_INET6};
    for (size_t i = 0; i < 2; i++) {
        open_pair(fixture, FAMILIES[i], true);
        send_to(fixture, "hello", 5);
        assert_int_equal(datagram_batch_receive(fixture->batch, fixture->receiver), 1);
        const struct datagram *datagram = datagram_batch_at(fixture->batch, 0);
        assert_int_equal(datagram->packet.len, 5);
        assert_memory_equal(datagram->packet.at, "hello", 5);
        assert_true(endpoint_equal(&datagram->source, &fixture->from));
        assert_true(endpoint_equal(&datagram->destination, &fixture->at));
        assert_true(datagram->is_from_here);
        (void)close(fixture->receiver);
        (void)close(fixture->sender);
    }
}

static void says_so_when_the_system_does_not_tell_where(void **state)
{
    struct fixture *fixture = *state;
    open_pair(fixture, AF_INET, true);
    send_to(fixture, "hello", 5);
    assert_int_equal(datagram_batch_receive(fixture->batch, fixture->receiver), 1);
    (void)close(fixture->receiver);
    (void)close(fixture->sender);
    open_pair(fixture, AF_INET, false);
    send_to(fixture, "hello", 5);
    assert_int_equal(datagram_batch_receive(fixture->batch, fixture->receiver), 1);
    const struct datagram *datagram = datagram_batch_at(fixture->batch, 0);
    assert_int_equal(datagram->destination.port, 0); /* not that of the packet before */
    assert_false(datagram->is_from_here);
    assert_true(endpoint_equal(&datagram->source, &fixture->from));
}

static void takes_what_is_there_in_order_and_at_most_a_batch(void **state)
{
    struct fixture *fixture = *state;
    open_pair(fixture, AF_INET, true);
    assert_int_equal(datagram_batch_receive(fixture->batch, fixture->receiver), 0);
    for (int i = 0; i < DATAGRAM_BATCH + 3; i++) {
        uint8_t byte = (uint8_t)i;
        send_to(fixture, &byte, 1);
    }
    assert_int_equal(datagram_batch_receive(fixture->batch, fixture->receiver), DATAGRAM_BATCH);
    for (int i = 0; i < DATAGRAM_BATCH; i++) {
        assert_int_equal(*datagram_batch_at(fixture->batch, (size_t)i)->packet.at, i);
    }
    assert_int_equal(datagram_batch_receive(fixture->batch, fixture->receiver), 3);
    assert_int_equal(*datagram_batch_at(fixture->batch, 0)->packet.at, DATAGRAM_BATCH);
    assert_int_equal(datagram_batch_receive(fixture->batch, -1), 0);
}

static void an_empty_packet_is_one_too(void **state)
{
    struct fixture *fixture = *state;
    open_pair(fixture, AF_INET, true);
    send_to(fixture, "", 0);
    send_to(fixture, "x", 1);
    assert_int_equal(datagram_batch_receive(fixture->batch, fixture->receiver), 2);
    assert_int_equal(datagram_batch_at(fixture->batch, 0)->packet.len, 0);
    assert_int_equal(datagram_batch_at(fixture->batch, 1)->packet.len, 1);
}

/* Each has room for what sealing writes before and behind it, however large its neighbours are. */
static void what_is_written_around_a_packet_is_no_neighbours(void **state)
{
    struct fixture *fixture = *state;
    static uint8_t large[PACKET_MAX];
    open_pair(fixture, AF_INET, true);
    memset(large, 0x5a, sizeof(large));
    for (int i = 0; i < 3; i++) {
        send_to(fixture, large, sizeof(large));
    }
    size_t count = datagram_batch_receive(fixture->batch, fixture->receiver);
    assert_int_equal(count, 3);
    struct cluster_packet middle = datagram_batch_at(fixture->batch, 1)->packet;
    memset(middle.at - GOSSIP_HEAD_BYTES, 0xff, GOSSIP_HEAD_BYTES);
    memset(middle.at + middle.len, 0xff, GOSSIP_TAIL_BYTES_MAX);
    for (size_t i = 0; i < count; i++) {
        struct cluster_packet packet = datagram_batch_at(fixture->batch, i)->packet;
        assert_int_equal(packet.len, PACKET_MAX);
        assert_memory_equal(packet.at, large, sizeof(large));
    }
}

#define TEST(claim) cmocka_unit_test_setup_teardown(claim, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(tells_who_sent_it_where_it_was_going_and_that_it_is_from_here),
        TEST(says_so_when_the_system_does_not_tell_where),
        TEST(takes_what_is_there_in_order_and_at_most_a_batch),
        TEST(an_empty_packet_is_one_too),
        TEST(what_is_written_around_a_packet_is_no_neighbours),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
