/* tests/unit/proxy/gossip/raw_sender_test.c · SPDX-License-Identifier: Apache-2.0 */
#include "proxy/gossip/raw_sender.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

enum { PAYLOAD_MAX = 65507 };

static struct endpoint endpoint_of(const char *ip, uint16_t port)
{
    uint8_t bytes[16];
    struct endpoint endpoint;
    bool is_ip6 = strchr(ip, ':') != NULL;
    assert_int_equal(inet_pton(is_ip6 ? AF_INET6 : AF_INET, ip, bytes), 1);
    assert_true(endpoint_from_ip(&endpoint, bytes, is_ip6 ? 16 : 4, port));
    return endpoint;
}

/* ---- the checksum ---- */

/* RFC 1071, byte by byte as it is written there, over pseudo header, header and payload. */
static uint32_t add_bytes(uint32_t sum, const void *bytes, size_t len)
{
    const uint8_t *at = bytes;
    for (size_t i = 0; i < len; i++) {
        sum += i % 2 == 0 ? (uint32_t)at[i] << 8 : at[i];
        sum = (sum & 0xffff) + (sum >> 16);
    }
    return sum;
}

static uint16_t expected_checksum(const struct raw_packet *packet)
{
    bool is_ip4 = endpoint_is_ip4(&packet->source);
    size_t skipped = is_ip4 ? 12 : 0;
    uint16_t len = (uint16_t)(packet->payload.len + 8);
    const uint8_t rest[] = {0,
                            17,
                            (uint8_t)(len >> 8),
                            (uint8_t)len,
                            (uint8_t)(packet->source.port >> 8),
                            (uint8_t)packet->source.port,
                            (uint8_t)(packet->destination.port >> 8),
                            (uint8_t)packet->destination.port,
                            (uint8_t)(len >> 8),
                            (uint8_t)len};
    uint32_t sum = add_bytes(0, packet->source.ip + skipped, 16 - skipped);
    sum = add_bytes(sum, packet->destination.ip + skipped, 16 - skipped);
    sum = add_bytes(sum, rest, sizeof(rest));
    sum = add_bytes(sum, packet->payload.at, packet->payload.len);
    uint16_t folded = (uint16_t)~sum;
    return htons(folded == 0 ? 0xffff : folded);
}

static const struct {
    const char *source;
    const char *destination;
} PAIRS[] = {
    {"10.0.0.6", "10.0.0.7"},
    {"0.0.0.0", "255.255.255.255"},
    {"192.168.255.254", "1.2.3.4"},
    {"fd00::6", "fd00::7"},
    {"ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", "ffff:ffff:ffff:ffff:ffff:ffff:ffff:fffe"},
    {"2001:db8:1234:5678:9abc:def0:1357:2468", "::1"},
};

static void is_what_the_rfc_says_for_every_length(void **state)
{
    (void)state;
    static char bytes[PAYLOAD_MAX + 3];
    uint32_t x = 1;
    for (size_t i = 0; i < sizeof(bytes); i++) {
        x = x * 1664525U + 1013904223U;
        bytes[i] = (char)(x >> 24);
    }
    for (size_t i = 0; i < sizeof(PAIRS) / sizeof(PAIRS[0]); i++) {
        for (size_t len = 0; len <= PAYLOAD_MAX; len += len < 80 ? 1 : 4679) {
            const struct raw_packet packet = {
                .source = endpoint_of(PAIRS[i].source, 7946),
                .destination = endpoint_of(PAIRS[i].destination, (uint16_t)(40000 + len)),
                .payload = {bytes + len % 4, len},
            };
            assert_int_equal(raw_sender_checksum(&packet), expected_checksum(&packet));
        }
    }
}

static void is_what_the_rfc_says_for_nothing_but_ones(void **state)
{
    (void)state;
    static char ones[PAYLOAD_MAX];
    memset(ones, 0xff, sizeof(ones));
    const struct raw_packet packet = {.source = endpoint_of("255.255.255.255", 65535),
                                      .destination = endpoint_of("255.255.255.255", 65535),
                                      .payload = {ones, sizeof(ones)}};
    assert_int_equal(raw_sender_checksum(&packet), expected_checksum(&packet));
}

/* Reckoned by hand: 0a00 + 0006 + 0a00 + 0007 + 0011 + 000a + 1f0a + 1f0a + 000a = 5246; with
 * ADB9 the sum is ffff, whose complement is 0. */
static void never_is_zero_which_would_mean_none(void **state)
{
    (void)state;
    struct raw_packet packet = {.source = endpoint_of("10.0.0.6", 7946),
                                .destination = endpoint_of("10.0.0.7", 7946),
                                .payload = SLICE("\xad\xb9")};
    assert_int_equal(raw_sender_checksum(&packet), 0xffff);
    packet.payload = SLICE("\xad\xb8");
    assert_int_equal(raw_sender_checksum(&packet), htons(1));
}

/* ---- sending, where the machine lets us ---- */

static void on_unsent(void *self, void *owner)
{
    (void)owner;
    ++*(unsigned *)self;
}

static struct raw_sender *open_or_skip(unsigned *unsent)
{
    struct raw_sender *sender = NULL;
    enum status status = raw_sender_open(&sender, 0, on_unsent, unsent);
    if (status != STATUS_OK) {
        assert_int_equal(status, STATUS_SYS);
        assert_true(errno == EPERM || errno == EACCES);
        skip(); /* only root has raw sockets */
    }
    return sender;
}

static int receiver(int family, struct endpoint *at)
{
    struct sockaddr_storage address;
    socklen_t len = sizeof(address);
    const struct timeval patience = {.tv_sec = 2};
    *at = endpoint_of(family == AF_INET ? "127.0.0.1" : "::1", 0);
    socklen_t own_len = endpoint_to_sockaddr(at, &address);
    int descriptor = socket(family, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (descriptor < 0 || bind(descriptor, (struct sockaddr *)&address, own_len) != 0) {
        skip();
    }
    assert_int_equal(getsockname(descriptor, (struct sockaddr *)&address, &len), 0);
    assert_true(endpoint_from_sockaddr(at, (struct sockaddr *)&address));
    assert_int_equal(setsockopt(descriptor, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience)),
                     0);
    return descriptor;
}

static void expect_received(int descriptor, const struct raw_packet *packet)
{
    static char bytes[65536];
    struct sockaddr_storage address;
    socklen_t len = sizeof(address);
    struct endpoint source;
    ssize_t got = recvfrom(descriptor, bytes, sizeof(bytes), 0, (struct sockaddr *)&address, &len);
    assert_int_equal(got, packet->payload.len);
    assert_memory_equal(bytes, packet->payload.at, packet->payload.len);
    assert_true(endpoint_from_sockaddr(&source, (struct sockaddr *)&address));
    assert_true(endpoint_equal(&source, &packet->source));
}

static void arrives_with_the_source_that_was_named(void **state)
{
    (void)state;
    static char bytes[3000];
    memset(bytes, 'x', sizeof(bytes));
    unsigned unsent = 0;
    struct raw_sender *sender = open_or_skip(&unsent);
    for (int i = 0; i < 2; i++) {
        struct endpoint at;
        int descriptor = receiver(i == 0 ? AF_INET : AF_INET6, &at);
        /* More than fit into the queue, which is then flushed by itself. */
        for (uint16_t number = 0; number < RAW_SENDER_BATCH + 6; number++) {
            const struct raw_packet packet = {
                .source = endpoint_of(i == 0 ? "127.0.0.9" : "::1", (uint16_t)(1000 + number)),
                .destination = at,
                .payload = {bytes, 1U + number * 40U}};
            raw_sender_send(sender, &packet);
        }
        raw_sender_flush(sender);
        for (uint16_t number = 0; number < RAW_SENDER_BATCH + 6; number++) {
            expect_received(descriptor,
                            &(struct raw_packet){.source = endpoint_of(i == 0 ? "127.0.0.9" : "::1",
                                                                       (uint16_t)(1000 + number)),
                                                 .payload = {bytes, 1U + number * 40U}});
        }
        (void)close(descriptor);
    }
    assert_int_equal(unsent, 0);
    raw_sender_close(sender);
}

static void what_the_system_refuses_is_told_and_does_not_stop_the_others(void **state)
{
    (void)state;
    unsigned unsent = 0;
    struct endpoint at;
    struct raw_sender *sender = open_or_skip(&unsent);
    int descriptor = receiver(AF_INET, &at);
    struct raw_packet packet = {.source = endpoint_of("127.0.0.9", 1),
                                .destination = endpoint_of("255.255.255.255", 1),
                                .payload = SLICE("to all: a socket may not")};
    raw_sender_send(sender, &packet);
    packet.destination = at;
    packet.payload = SLICE("behind it");
    raw_sender_send(sender, &packet);
    raw_sender_flush(sender);
    assert_int_equal(unsent, 1);
    expect_received(descriptor, &packet);
    (void)close(descriptor);
    raw_sender_close(sender);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(is_what_the_rfc_says_for_every_length),
        cmocka_unit_test(is_what_the_rfc_says_for_nothing_but_ones),
        cmocka_unit_test(never_is_zero_which_would_mean_none),
        cmocka_unit_test(arrives_with_the_source_that_was_named),
        cmocka_unit_test(what_the_system_refuses_is_told_and_does_not_stop_the_others),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
