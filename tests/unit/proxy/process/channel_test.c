/* tests/unit/proxy/process/channel_test.c · SPDX-License-Identifier: Apache-2.0 */
#include "proxy/process/channel.h"

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

static uint8_t packet[CHANNEL_PACKET_MAX];

static int count_descriptors(void)
{
    int count = 0;
    for (int i = 0; i < 512; i++) {
        count += fcntl(i, F_GETFD) >= 0;
    }
    return count;
}

static void carries_number_payload_and_descriptors(void **state)
{
    (void)state;
    int master = -1;
    int child = -1;
    assert_int_equal(channel_pair(&master, &child), STATUS_OK);
    assert_int_equal(fcntl(master, F_GETFD) & FD_CLOEXEC, FD_CLOEXEC);
    struct channel_message sent = {.kind = CHANNEL_WORKER,
                                   .number = 0x01020304,
                                   .payload = SLICE("abcd"),
                                   .descriptors = {0},
                                   .descriptor_count = 1};
    assert_int_equal(channel_send(master, &sent), STATUS_OK);
    struct channel_message got;
    assert_int_equal(channel_receive(child, CHANNEL_MASTER, packet, &got), STATUS_OK);
    assert_int_equal(got.kind, CHANNEL_WORKER);
    assert_int_equal(got.number, 0x01020304);
    assert_true(slice_equal(got.payload, SLICE("abcd")));
    assert_int_equal(got.descriptor_count, 1);
    assert_int_equal(fcntl(got.descriptors[0], F_GETFD) & FD_CLOEXEC, FD_CLOEXEC);
    (void)close(got.descriptors[0]);
    assert_int_equal(channel_receive(child, CHANNEL_MASTER, packet, &got), STATUS_AGAIN);
    (void)close(master);
    assert_int_equal(channel_receive(child, CHANNEL_MASTER, packet, &got), STATUS_END);
    (void)close(child);
}

static void tells_when_the_other_end_is_gone_or_does_not_read(void **state)
{
    (void)state;
    int master = -1;
    int child = -1;
    assert_int_equal(channel_pair(&master, &child), STATUS_OK);
    enum status status = STATUS_OK;
    for (int i = 0; i < 100000 && status == STATUS_OK; i++) {
        status = channel_send_kind(child, CHANNEL_READY);
    }
    assert_int_equal(status, STATUS_AGAIN);
    (void)close(master);
    assert_int_equal(channel_send_kind(child, CHANNEL_READY), STATUS_BROKEN);
    (void)close(child);
}

struct packet_row {
    const char *name;
    enum channel_end from;
    const char *bytes;
    size_t len;
    size_t descriptors;
    bool is_good;
};

#define ROW_BYTES(literal) (literal), sizeof(literal) - 1

static const struct packet_row PACKET_ROWS[] = {
    {"start", CHANNEL_MASTER, ROW_BYTES("\4\0\0\0\0\0\0\0"), 0, true},
    {"ready", CHANNEL_CHILD, ROW_BYTES("\11\0\0\0\0\0\0\0"), 0, true},
    {"failed with a sentence", CHANNEL_CHILD, ROW_BYTES("\12\0\0\0\0\0\0\7why"), 0, true},
    {"failed without one", CHANNEL_CHILD, ROW_BYTES("\12\0\0\0\0\0\0\7"), 0, false},
    {"a child that commands", CHANNEL_CHILD, ROW_BYTES("\4\0\0\0\0\0\0\0"), 0, false},
    {"a master that obeys", CHANNEL_MASTER, ROW_BYTES("\11\0\0\0\0\0\0\0"), 0, false},
    {"ready with a payload", CHANNEL_CHILD, ROW_BYTES("\11\0\0\0\0\0\0\0x"), 0, false},
    {"ready with a descriptor", CHANNEL_CHILD, ROW_BYTES("\11\0\0\1\0\0\0\0"), 1, false},
    {"a descriptor not told of", CHANNEL_MASTER, ROW_BYTES("\2\0\0\0\0\0\0\0"), 1, false},
    {"a descriptor that did not come", CHANNEL_MASTER, ROW_BYTES("\2\0\0\1\0\0\0\0"), 0, false},
    {"keys", CHANNEL_MASTER, ROW_BYTES("\2\0\0\1\0\0\0\0"), 1, true},
    {"an unknown kind", CHANNEL_MASTER, ROW_BYTES("\100\0\0\0\0\0\0\0"), 0, false},
    {"a reserved byte", CHANNEL_MASTER, ROW_BYTES("\4\1\0\0\0\0\0\0"), 0, false},
    {"a short head", CHANNEL_MASTER, ROW_BYTES("\4\0\0\0\0\0\0"), 0, false},
    {"nothing", CHANNEL_MASTER, ROW_BYTES(""), 0, false},
};

static void refuses_what_the_table_does_not_allow(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(PACKET_ROWS) / sizeof(PACKET_ROWS[0]); i++) {
        const struct packet_row *row = &PACKET_ROWS[i];
        struct channel_message message;
        bool is_good = channel_decode(&message, row->from, (const uint8_t *)row->bytes, row->len,
                                      row->descriptors);
        if (is_good != row->is_good) {
            fail_msg("%s", row->name);
        }
    }
}

static void closes_the_descriptors_of_a_bad_packet(void **state)
{
    (void)state;
    int master = -1;
    int child = -1;
    assert_int_equal(channel_pair(&master, &child), STATUS_OK);
    int before = count_descriptors();
    struct channel_message keys = {.kind = CHANNEL_KEYS, .descriptors = {0}, .descriptor_count = 1};
    assert_int_equal(channel_send(master, &keys), STATUS_OK);
    struct channel_message got;
    assert_int_equal(channel_receive(child, CHANNEL_CHILD, packet, &got), STATUS_PEER);
    assert_int_equal(count_descriptors(), before);
    (void)close(master);
    (void)close(child);
}

static void an_end_may_refuse_descriptors(void **state)
{
    (void)state;
    int master = -1;
    int child = -1;
    assert_int_equal(channel_pair(&master, &child), STATUS_OK);
    struct channel_message answer = {
        .kind = CHANNEL_ANSWER, .descriptors = {0}, .descriptor_count = 1};
    if (channel_refuse_descriptors(master)) {
        assert_int_equal(channel_send(child, &answer), STATUS_BROKEN);
    }
    struct channel_message got;
    assert_int_equal(channel_receive(master, CHANNEL_CHILD, packet, &got), STATUS_AGAIN);
    assert_int_equal(channel_send_kind(child, CHANNEL_DRAINED), STATUS_OK);
    assert_int_equal(channel_receive(master, CHANNEL_CHILD, packet, &got), STATUS_OK);
    answer.kind = CHANNEL_KEYS; /* the other way it goes on */
    assert_int_equal(channel_send(master, &answer), STATUS_OK);
    assert_int_equal(channel_receive(child, CHANNEL_MASTER, packet, &got), STATUS_OK);
    (void)close(got.descriptors[0]);
    (void)close(master);
    (void)close(child);
}

static void refuses_a_packet_that_was_cut(void **state)
{
    (void)state;
    int master = -1;
    int child = -1;
    static uint8_t large[CHANNEL_PACKET_MAX + 1];
    large[0] = CHANNEL_WORKER;
    assert_int_equal(channel_pair(&master, &child), STATUS_OK);
    assert_int_equal(send(master, large, sizeof(large), 0), (ssize_t)sizeof(large));
    struct channel_message got;
    assert_int_equal(channel_receive(child, CHANNEL_MASTER, packet, &got), STATUS_PEER);
    (void)close(master);
    (void)close(child);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(carries_number_payload_and_descriptors),
        cmocka_unit_test(tells_when_the_other_end_is_gone_or_does_not_read),
        cmocka_unit_test(refuses_what_the_table_does_not_allow),
        cmocka_unit_test(closes_the_descriptors_of_a_bad_packet),
        cmocka_unit_test(an_end_may_refuse_descriptors),
        cmocka_unit_test(refuses_a_packet_that_was_cut),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
