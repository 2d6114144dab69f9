/* tests/unit/proxy/gossip/sidecar_test.c · SPDX-License-Identifier: Apache-2.0
 *
 * Two sidecars in mode relay on one loop, each with its node, all on loopback addresses of their
 * own: what one node says the other hears, and in between it is sealed. (Mode transparent needs
 * rules and rights: the end-to-end tests have them.)
 */
#include "proxy/gossip/sidecar.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include "proxy/gossip/conversations.h"
#include "support/turns.h"

#define TEN(text) text text text text text text text text text text
#define KEY_A     TEN("ERER") "ERE=\n"
#define KEY_B     TEN("IiIi") "IiI=\n"
#define PING                                                                                       \
    "\x00\x82\xa5"                                                                                 \
    "SeqNo\x01\xa4Node\xa1n"
#define USER "\x08\x81\xaaUserMsgLen\x05hello"
#define ACK  "\x02\x82\xa7Payload\xc0\xa5SeqNo\x01"

enum { PORT = 7946, LOG_BYTES = 1 << 20 };

/* The last byte of an address: 127.x.y.N, where x and y are of this process. */
enum spot {
    NODE_OF_A = 1, /* and by what A knows it */
    B_AT_A = 2,    /* what stands for B at A */
    REAL_A = 11,
    REAL_B = 12,
    NODE_OF_B = 22,
    A_AT_B = 21,
    SOMEBODY = 99,
};

struct side {
    uint16_t ports[1];
    struct config_gossip_peer member;
    struct config_gossip settings;
    struct peer_pages *pages;
    struct sidecar *sidecar;
};

struct fixture {
    struct turns turns;
    struct log *log;
    int log_file;
    char *lines;
    struct side a;
    struct side b;
};

/* ---- addresses and sockets ---- */

static void put_ip(uint8_t *ip, enum spot spot)
{
    unsigned of_process = (unsigned)getpid();
    const uint8_t bytes[] = {127, (uint8_t)(64 + (of_process >> 8 & 127)), (uint8_t)of_process,
                             (uint8_t)spot};
    memcpy(ip, bytes, sizeof(bytes));
}

static struct config_address address_of(enum spot spot)
{
    struct config_address address = {.kind = CONFIG_ADDRESS_IP4, .port = PORT};
    put_ip(address.ip, spot);
    return address;
}

static struct sockaddr_in socket_address(enum spot spot, uint16_t port)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(port)};
    uint8_t ip[4];
    put_ip(ip, spot);
    memcpy(&address.sin_addr, ip, 4);
    return address;
}

static int bound_socket(int type, enum spot spot, uint16_t port)
{
    static const int ON = 1;
    struct sockaddr_in address = socket_address(spot, port);
    int descriptor = socket(AF_INET, type | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    assert_true(descriptor >= 0);
    (void)setsockopt(descriptor, SOL_SOCKET, SO_REUSEADDR, &ON, sizeof(ON));
    assert_int_equal(bind(descriptor, (struct sockaddr *)&address, sizeof(address)), 0);
    return descriptor;
}

static int udp_at(enum spot spot)
{
    return bound_socket(SOCK_DGRAM, spot, PORT);
}

static int listen_at(enum spot spot)
{
    int descriptor = bound_socket(SOCK_STREAM, spot, PORT);
    assert_int_equal(listen(descriptor, 64), 0);
    return descriptor;
}

static int dial(enum spot from, enum spot to)
{
    struct sockaddr_in address = socket_address(to, PORT);
    int descriptor = bound_socket(SOCK_STREAM, from, 0);
    int status = connect(descriptor, (struct sockaddr *)&address, sizeof(address));
    assert_true(status == 0 || errno == EINPROGRESS);
    return descriptor;
}

static void send_to(int descriptor, enum spot to, slice bytes)
{
    struct sockaddr_in address = socket_address(to, PORT);
    assert_int_equal(
        sendto(descriptor, bytes.at, bytes.len, 0, (struct sockaddr *)&address, sizeof(address)),
        bytes.len);
}

/* What waits in the socket is this, from there; `bytes` NULL: nothing waits. */
static void expect_packet(int descriptor, enum spot from, slice bytes)
{
    char room[65536];
    struct sockaddr_in source;
    socklen_t len = sizeof(source);
    ssize_t got =
        recvfrom(descriptor, room, sizeof(room), MSG_DONTWAIT, (struct sockaddr *)&source, &len);
    if (bytes.at == NULL) {
        assert_int_equal(got, -1);
        return;
    }
    struct sockaddr_in expected = socket_address(from, PORT);
    assert_int_equal(got, bytes.len);
    assert_memory_equal(room, bytes.at, bytes.len);
    assert_memory_equal(&source.sin_addr, &expected.sin_addr, sizeof(source.sin_addr));
    assert_int_equal(source.sin_port, expected.sin_port);
}

static void turn(struct fixture *fixture)
{
    for (int i = 0; i < 4; i++) {
        turns_settle(&fixture->turns, NULL, NULL);
    }
}

/* ---- the two ---- */

static void side_init(struct side *side, const char *name, enum spot node, enum spot real,
                      enum spot stand_in, enum spot real_of_other)
{
    *side = (struct side){.ports = {PORT}};
    side->member = (struct config_gossip_peer){.stand_in = address_of(stand_in),
                                               .address = address_of(real_of_other)};
    side->settings = (struct config_gossip){
        .name = name,
        .ports = side->ports,
        .port_count = 1,
        .mode = CONFIG_GOSSIP_RELAY,
        .version = 1,
        .replay_window = 1024,
        .node = {.stand_in = address_of(node), .address = address_of(real)},
        .peers = &side->member,
        .peer_count = 1,
    };
    int descriptor = peer_pages_new();
    side->pages = peer_pages_map(descriptor, true);
    (void)close(descriptor);
    assert_non_null(side->pages);
}

static enum status side_open(struct fixture *fixture, struct side *side, const char *keyring,
                             char error[SIDECAR_ERROR_BYTES])
{
    const struct sidecar_start start = {
        .settings = &side->settings,
        .loop = fixture->turns.loop,
        .log = fixture->log,
        .pages = side->pages,
        .keyring = {(const uint8_t *)keyring, strlen(keyring)},
    };
    error[0] = '\0';
    return sidecar_open(&side->sidecar, &start, error);
}

static int set_up(void **state)
{
    struct fixture *fixture = calloc(1, sizeof(*fixture));
    char error[SIDECAR_ERROR_BYTES];
    assert_non_null(fixture);
    turns_init(&fixture->turns);
    fixture->log_file = memfd_create("log", MFD_CLOEXEC);
    fixture->log = log_new(LOG_INFO, LOG_JSON, fixture->log_file, "test");
    fixture->lines = calloc(1, LOG_BYTES + 1);
    assert_true(fixture->log != NULL && fixture->lines != NULL);
    side_init(&fixture->a, "a", NODE_OF_A, REAL_A, B_AT_A, REAL_B);
    side_init(&fixture->b, "b", NODE_OF_B, REAL_B, A_AT_B, REAL_A);
    assert_int_equal(side_open(fixture, &fixture->a, KEY_A, error), STATUS_OK);
    assert_int_equal(side_open(fixture, &fixture->b, KEY_B KEY_A, error), STATUS_OK);
    *state = fixture;
    return 0;
}

static int tear_down(void **state)
{
    struct fixture *fixture = *state;
    sidecar_close(fixture->a.sidecar);
    sidecar_close(fixture->b.sidecar);
    turn(fixture);
    peer_pages_unmap(fixture->a.pages);
    peer_pages_unmap(fixture->b.pages);
    turns_fini(&fixture->turns);
    log_free(fixture->log);
    (void)close(fixture->log_file);
    free(fixture->lines);
    free(fixture);
    return 0;
}

static uint64_t counted(const struct side *side, enum peer_counter counter)
{
    uint64_t sum = 0;
    for (size_t i = 0; i < side->pages->used; i++) {
        sum += peer_counter_get(&side->pages->peers[i], counter);
    }
    return sum;
}

static uint64_t refused(const struct side *side, enum gossip_refusal refusal)
{
    uint64_t sum = 0;
    for (size_t i = 0; i < side->pages->used; i++) {
        sum += side->pages->peers[i].refused[refusal];
    }
    return sum;
}

static bool log_has_line(struct fixture *fixture, const char *text)
{
    log_flush(fixture->log);
    ssize_t len = pread(fixture->log_file, fixture->lines, LOG_BYTES, 0);
    assert_true(len >= 0);
    fixture->lines[len] = '\0';
    return strstr(fixture->lines, text) != NULL;
}

static void set_keyring(struct side *side, const char *text)
{
    sidecar_set_keyring(side->sidecar, (struct bytes){(const uint8_t *)text, strlen(text)});
}

/* ---- packets ---- */

static void packets_go_from_node_to_node_and_back(void **state)
{
    struct fixture *fixture = *state;
    int node_a = udp_at(NODE_OF_A);
    int node_b = udp_at(NODE_OF_B);
    set_keyring(&fixture->b, KEY_A);
    for (int i = 0; i < 200; i++) { /* more than a batch */
        send_to(node_a, B_AT_A, SLICE(PING));
    }
    turn(fixture);
    for (int i = 0; i < 200; i++) {
        expect_packet(node_b, A_AT_B, SLICE(PING));
    }
    send_to(node_b, A_AT_B, SLICE(ACK));
    turn(fixture);
    expect_packet(node_a, B_AT_A, SLICE(ACK));
    assert_int_equal(counted(&fixture->a, PEER_SEALED), 200);
    assert_int_equal(counted(&fixture->b, PEER_OPENED), 200);
    assert_int_equal(counted(&fixture->b, PEER_SEALED), 1);
    assert_int_equal(counted(&fixture->a, PEER_OPENED), 1);
    (void)close(node_a);
    (void)close(node_b);
}

static void what_is_in_between_is_sealed(void **state)
{
    struct fixture *fixture = *state;
    sidecar_close(fixture->b.sidecar);
    fixture->b.sidecar = NULL;
    int node_a = udp_at(NODE_OF_A);
    int wire = udp_at(REAL_B);
    send_to(node_a, B_AT_A, SLICE(PING));
    turn(fixture);
    char room[256];
    ssize_t got = recv(wire, room, sizeof(room), MSG_DONTWAIT);
    assert_int_equal(got, gossip_packet_bytes(1, sizeof(PING) - 1));
    assert_int_equal(room[0], 1);
    for (ssize_t i = 0; i + 5 <= got; i++) {
        assert_memory_not_equal(room + i, "SeqNo", 5);
    }
    (void)close(node_a);
    (void)close(wire);
}

static void whoever_is_not_our_node_sends_nothing_through_us(void **state)
{
    struct fixture *fixture = *state;
    int somebody = udp_at(SOMEBODY);
    int node_b = udp_at(NODE_OF_B);
    send_to(somebody, B_AT_A, SLICE(PING));
    turn(fixture);
    expect_packet(node_b, A_AT_B, (slice){NULL, 0});
    assert_int_equal(counted(&fixture->a, PEER_UNMAPPED), 1);
    assert_int_equal(counted(&fixture->a, PEER_SEALED), 0);
    assert_true(log_has_line(fixture, "it was not sent by our node"));
    (void)close(somebody);
    (void)close(node_b);
}

static void whoever_is_not_in_the_map_is_not_heard(void **state)
{
    struct fixture *fixture = *state;
    int somebody = udp_at(SOMEBODY);
    int node_a = udp_at(NODE_OF_A);
    send_to(somebody, REAL_A, SLICE(PING));
    turn(fixture);
    expect_packet(node_a, B_AT_A, (slice){NULL, 0});
    assert_int_equal(counted(&fixture->a, PEER_UNMAPPED), 1);
    assert_true(log_has_line(fixture, "it came from an address that is not in the map"));
    (void)close(somebody);
    (void)close(node_a);
}

/* ---- keyrings ---- */

static void a_rotation_loses_no_packet(void **state)
{
    struct fixture *fixture = *state;
    static const char *const STEPS[][2] = {
        {KEY_A, KEY_A},
        {KEY_A KEY_B, KEY_A},
        {KEY_A KEY_B, KEY_A KEY_B},
        {KEY_B KEY_A, KEY_A KEY_B},
        {KEY_B KEY_A, KEY_B},
        {KEY_B, KEY_B},
    };
    int node_a = udp_at(NODE_OF_A);
    int node_b = udp_at(NODE_OF_B);
    for (size_t i = 0; i < sizeof(STEPS) / sizeof(STEPS[0]); i++) {
        set_keyring(&fixture->a, STEPS[i][0]);
        set_keyring(&fixture->b, STEPS[i][1]);
        send_to(node_a, B_AT_A, SLICE(PING));
        send_to(node_b, A_AT_B, SLICE(ACK));
        turn(fixture);
        expect_packet(node_b, A_AT_B, SLICE(PING));
        expect_packet(node_a, B_AT_A, SLICE(ACK));
    }
    (void)close(node_a);
    (void)close(node_b);
}

static void what_is_no_keyring_leaves_the_former_one_and_is_told(void **state)
{
    struct fixture *fixture = *state;
    int node_a = udp_at(NODE_OF_A);
    int node_b = udp_at(NODE_OF_B);
    set_keyring(&fixture->a, "half a k");
    assert_true(log_has_line(fixture, "\"event\":\"keyring_refused\",\"cluster\":\"a\""));
    assert_false(log_has_line(fixture, "half a k"));
    send_to(node_a, B_AT_A, SLICE(PING));
    turn(fixture);
    expect_packet(node_b, A_AT_B, SLICE(PING));
    (void)close(node_a);
    (void)close(node_b);
}

static void a_foreign_key_is_told(void **state)
{
    struct fixture *fixture = *state;
    int node_b = udp_at(NODE_OF_B);
    send_to(node_b, A_AT_B, SLICE(ACK)); /* sealed with a key that A has not */
    turn(fixture);
    assert_int_equal(refused(&fixture->a, GOSSIP_NO_KEY), 1);
    assert_true(log_has_line(fixture, "\"cluster\":\"a\",\"direction\":\"in\",\"transport\":"
                                      "\"udp\""));
    (void)close(node_b);
}

/* ---- conns ---- */

struct hearing {
    int descriptor;
    char got[512];
    size_t len;
    bool has_ended;
};

static bool hears(void *self)
{
    struct hearing *hearing = self;
    ssize_t more;
    while ((more = recv(hearing->descriptor, hearing->got + hearing->len,
                        sizeof(hearing->got) - hearing->len, MSG_DONTWAIT)) > 0) {
        hearing->len += (size_t)more;
    }
    hearing->has_ended = more == 0 || (errno != EAGAIN && errno != EINTR);
    return hearing->has_ended;
}

static bool hears_ack(void *self)
{
    struct hearing *hearing = self;
    (void)hears(self);
    return hearing->len == sizeof(ACK) - 1;
}

static bool hears_ping(void *self)
{
    struct hearing *hearing = self;
    (void)hears(self);
    return hearing->len == sizeof(PING) - 1;
}

struct accepting {
    int listening;
    int accepted;
};

static bool accepts(void *self)
{
    struct accepting *accepting = self;
    accepting->accepted = accept(accepting->listening, NULL, NULL);
    return accepting->accepted >= 0;
}

/* From our node's conn to the other's, with the request heard there. */
static int reach_node_b(struct fixture *fixture, int listening, int node_a)
{
    struct accepting accepting = {listening, -1};
    assert_int_equal(send(node_a, PING, sizeof(PING) - 1, MSG_NOSIGNAL), sizeof(PING) - 1);
    turns_until(&fixture->turns, accepts, &accepting);
    struct hearing hearing = {.descriptor = accepting.accepted};
    turns_until(&fixture->turns, hears_ping, &hearing);
    assert_memory_equal(hearing.got, PING, sizeof(PING) - 1);
    return accepting.accepted;
}

static void a_conn_goes_from_node_to_node_and_its_answer_back(void **state)
{
    struct fixture *fixture = *state;
    int listening = listen_at(NODE_OF_B);
    int node_a = dial(NODE_OF_A, B_AT_A);
    int node_b = reach_node_b(fixture, listening, node_a);
    set_keyring(&fixture->b, KEY_A); /* while an answer is awaited */
    assert_int_equal(send(node_b, ACK, sizeof(ACK) - 1, MSG_NOSIGNAL), sizeof(ACK) - 1);
    struct hearing hearing = {.descriptor = node_a};
    turns_until(&fixture->turns, hears_ack, &hearing);
    assert_memory_equal(hearing.got, ACK, sizeof(ACK) - 1);
    turns_until(&fixture->turns, hears, &hearing);
    assert_int_equal(counted(&fixture->a, PEER_SEALED), 1);
    assert_int_equal(counted(&fixture->a, PEER_OPENED), 1);
    assert_int_equal(counted(&fixture->b, PEER_SEALED), 1);
    assert_int_equal(counted(&fixture->b, PEER_OPENED), 1);
    (void)close(node_a);
    (void)close(node_b);
    (void)close(listening);
}

static void a_conn_from_beside_the_map_is_closed_and_told(void **state)
{
    struct fixture *fixture = *state;
    int somebody = dial(SOMEBODY, REAL_A);
    struct hearing hearing = {.descriptor = somebody};
    turns_until(&fixture->turns, hears, &hearing);
    assert_int_equal(hearing.len, 0);
    assert_int_equal(counted(&fixture->a, PEER_UNMAPPED), 1);
    assert_true(log_has_line(fixture, "\"transport\":\"tcp\""));
    (void)close(somebody);
}

static void close_ends_what_is_open_with_a_reset(void **state)
{
    struct fixture *fixture = *state;
    int listening = listen_at(NODE_OF_B);
    int node_a = dial(NODE_OF_A, B_AT_A);
    int node_b = reach_node_b(fixture, listening, node_a);
    int gathering = dial(NODE_OF_A, B_AT_A);
    assert_int_equal(send(gathering, PING, 4, MSG_NOSIGNAL), 4);
    turn(fixture);
    sidecar_close(fixture->a.sidecar);
    fixture->a.sidecar = NULL;
    const int ends[] = {node_a, gathering};
    for (size_t i = 0; i < 2; i++) {
        char byte;
        assert_int_equal(recv(ends[i], &byte, 1, MSG_DONTWAIT), -1);
        assert_int_equal(errno, ECONNRESET);
        (void)close(ends[i]);
    }
    (void)close(node_b);
    (void)close(listening);
}

static bool may_open(size_t descriptors)
{
    struct rlimit limit;
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &limit), 0);
    limit.rlim_cur = limit.rlim_max;
    return limit.rlim_max >= descriptors && setrlimit(RLIMIT_NOFILE, &limit) == 0;
}

/* A member that only holds conns open keeps out neither our node nor others. */
static void at_the_limit_the_oldest_that_has_proven_nothing_gives_way(void **state)
{
    struct fixture *fixture = *state;
    static int idle[CONVERSATIONS_MAX];
    if (!may_open(2 * CONVERSATIONS_MAX + 64)) {
        skip();
    }
    for (size_t i = 0; i < CONVERSATIONS_MAX; i++) {
        idle[i] = dial(REAL_B, REAL_A);
        if (i % 64 == 63) { /* as many as wait in a backlog */
            turn(fixture);
        }
    }
    struct hearing oldest = {.descriptor = idle[0]};
    assert_false(hears(&oldest));
    int listening = listen_at(NODE_OF_B);
    int node_a = dial(NODE_OF_A, B_AT_A);
    int node_b = reach_node_b(fixture, listening, node_a);
    turns_until(&fixture->turns, hears, &oldest);
    struct hearing next = {.descriptor = idle[1]};
    assert_false(hears(&next));
    (void)close(node_a);
    (void)close(node_b);
    (void)close(listening);
    for (size_t i = 0; i < CONVERSATIONS_MAX; i++) {
        (void)close(idle[i]);
    }
}

/* ---- the start ---- */

static void what_cannot_be_opened_is_told_by_its_address(void **state)
{
    struct fixture *fixture = *state;
    char error[SIDECAR_ERROR_BYTES];
    char expected[128];
    uint8_t ip[4];
    put_ip(ip, REAL_A);
    struct sidecar *former = fixture->a.sidecar;
    assert_int_equal(side_open(fixture, &fixture->a, KEY_A, error), STATUS_SYS);
    (void)snprintf(expected, sizeof(expected),
                   "gossip a: %u.%u.%u.%u:7946 cannot be opened: Address already in use", ip[0],
                   ip[1], ip[2], ip[3]);
    assert_string_equal(error, expected);
    fixture->a.sidecar = former;
}

static void a_start_without_a_keyring_is_refused(void **state)
{
    struct fixture *fixture = *state;
    char error[SIDECAR_ERROR_BYTES];
    sidecar_close(fixture->a.sidecar);
    fixture->a.sidecar = NULL;
    assert_int_equal(side_open(fixture, &fixture->a, "", error), STATUS_REFUSED);
    assert_non_null(strstr(error, "gossip a: keyring: "));
    assert_int_equal(side_open(fixture, &fixture->a, KEY_A, error),
                     STATUS_OK); /* nothing is left */
}

#define TEST(claim) cmocka_unit_test_setup_teardown(claim, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(packets_go_from_node_to_node_and_back),
        TEST(what_is_in_between_is_sealed),
        TEST(whoever_is_not_our_node_sends_nothing_through_us),
        TEST(whoever_is_not_in_the_map_is_not_heard),
        TEST(a_rotation_loses_no_packet),
        TEST(what_is_no_keyring_leaves_the_former_one_and_is_told),
        TEST(a_foreign_key_is_told),
        TEST(a_conn_goes_from_node_to_node_and_its_answer_back),
        TEST(a_conn_from_beside_the_map_is_closed_and_told),
        TEST(close_ends_what_is_open_with_a_reset),
        TEST(at_the_limit_the_oldest_that_has_proven_nothing_gives_way),
        TEST(what_cannot_be_opened_is_told_by_its_address),
        TEST(a_start_without_a_keyring_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
