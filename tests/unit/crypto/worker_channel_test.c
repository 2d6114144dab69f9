/* tests/unit/crypto/worker_channel_test.c · SPDX-License-Identifier: Apache-2.0 */
#include "crypto/worker_channel.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

struct fixture {
    struct worker_channel *channel;
    int far; /* the worker's end */
};

static int set_up(void **state)
{
    static struct fixture fixture;
    static const uint32_t ids[] = {9, 1, 5};
    int pair[2];
    assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair), 0);
    fixture.channel = worker_channel_open(pair[0], ids, 3);
    fixture.far = pair[1];
    assert_non_null(fixture.channel);
    *state = &fixture;
    return 0;
}

static int tear_down(void **state)
{
    struct fixture *fixture = *state;
    worker_channel_close(fixture->channel);
    close(fixture->far);
    return 0;
}

static void far_ask(struct fixture *fixture, uint16_t slot)
{
    static struct key_message message;
    message = (struct key_message){.kind = KEY_MESSAGE_SIGN, .count = 1};
    message.requests[0] =
        (struct key_request){.slot = slot, .key_id = 5, .scheme = KEY_SCHEME_ECDSA_SHA256};
    uint8_t packet[KEY_CHANNEL_PACKET_MAX];
    size_t len = key_message_encode(&message, packet);
    assert_int_equal(send(fixture->far, packet, len, MSG_DONTWAIT | MSG_NOSIGNAL), len);
}

static void far_ask_tickets(struct fixture *fixture, uint64_t epoch)
{
    struct key_message message = {.kind = KEY_MESSAGE_ASK_TICKETS, .count = 1};
    message.tickets.keys.epoch = epoch;
    uint8_t packet[KEY_CHANNEL_PACKET_MAX];
    size_t len = key_message_encode(&message, packet);
    assert_int_equal(send(fixture->far, packet, len, MSG_DONTWAIT | MSG_NOSIGNAL), len);
}

static void grants_are_those_given(void **state)
{
    struct fixture *fixture = *state;
    static const struct {
        uint32_t id;
        bool granted;
    } rows[] = {{0, false}, {1, true}, {2, false}, {5, true}, {9, true}, {10, false}};
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        assert_int_equal(worker_channel_is_granted(fixture->channel, rows[i].id), rows[i].granted);
    }
}

static void requests_come_out_in_order_round_the_ring(void **state)
{
    struct fixture *fixture = *state;
    for (uint16_t i = 0; i < 3000; i++) {
        uint16_t slot = i % KEY_CHANNEL_SLOTS_MAX;
        far_ask(fixture, slot);
        assert_int_equal(worker_channel_read(fixture->channel), WORKER_CHANNEL_OPEN);
        assert_int_equal(worker_channel_waiting(fixture->channel), 1);
        assert_int_equal(worker_channel_waiting_at(fixture->channel, 0)->slot, slot);
        struct key_request request;
        assert_true(worker_channel_take_request(fixture->channel, &request));
        assert_int_equal(request.slot, slot);
        struct key_answer answer = {.slot = slot, .status = KEY_STATUS_FAILED};
        worker_channel_answer(fixture->channel, &answer);
        assert_int_equal(worker_channel_send(fixture->channel), WORKER_CHANNEL_OPEN);
        uint8_t packet[64];
        assert_int_equal(recv(fixture->far, packet, sizeof(packet), MSG_DONTWAIT), 14);
    }
}

static void answer_now(struct fixture *fixture, uint16_t slot)
{
    struct key_answer answer = {.slot = slot, .status = KEY_STATUS_FAILED};
    worker_channel_answer(fixture->channel, &answer);
    assert_int_equal(worker_channel_send(fixture->channel), WORKER_CHANNEL_OPEN);
    uint8_t packet[64];
    assert_true(recv(fixture->far, packet, sizeof(packet), MSG_DONTWAIT) > 0);
}

/* Five wait each time; one is taken from anywhere, at every place of the ring. */
static void one_taken_from_between_leaves_the_others_in_order(void **state)
{
    struct fixture *fixture = *state;
    uint16_t expected[6] = {0};
    uint16_t next = 0;
    size_t count = 0;
    for (uint16_t round = 0; round < 3000; round++) {
        while (count < 5) {
            uint16_t slot = next++ % KEY_CHANNEL_SLOTS_MAX;
            far_ask(fixture, slot);
            assert_int_equal(worker_channel_read(fixture->channel), WORKER_CHANNEL_OPEN);
            expected[count++] = slot;
        }
        size_t index = round % 5u;
        struct key_request request;
        assert_true(worker_channel_take_request_at(fixture->channel, index, &request));
        assert_int_equal(request.slot, expected[index]);
        memmove(expected + index, expected + index + 1, (5 - index) * sizeof(expected[0]));
        count--;
        answer_now(fixture, request.slot);
        for (size_t i = 0; i < count; i++) {
            assert_int_equal(worker_channel_waiting_at(fixture->channel, i)->slot, expected[i]);
        }
        assert_false(worker_channel_take_request_at(fixture->channel, count, &request));
    }
}

static void a_slot_is_taken_until_it_is_answered(void **state)
{
    struct fixture *fixture = *state;
    struct key_request request;
    far_ask(fixture, 3);
    assert_int_equal(worker_channel_read(fixture->channel), WORKER_CHANNEL_OPEN);
    assert_true(worker_channel_take_request(fixture->channel, &request));
    far_ask(fixture, 3);
    assert_int_equal(worker_channel_read(fixture->channel), WORKER_CHANNEL_BAD_MESSAGE);
}

static void eight_answers_leave_together(void **state)
{
    struct fixture *fixture = *state;
    for (uint16_t slot = 0; slot < 9; slot++) {
        far_ask(fixture, slot);
    }
    assert_int_equal(worker_channel_read(fixture->channel), WORKER_CHANNEL_OPEN);
    struct key_request request;
    for (int i = 0; i < KEY_CHANNEL_BATCH_MAX; i++) {
        assert_true(worker_channel_take_request(fixture->channel, &request));
        struct key_answer answer = {.slot = request.slot, .status = KEY_STATUS_FAILED};
        worker_channel_answer(fixture->channel, &answer);
    }
    assert_false(worker_channel_take_request(fixture->channel, &request)); /* no room to answer */
    assert_int_equal(worker_channel_send(fixture->channel), WORKER_CHANNEL_OPEN);
    uint8_t packet[KEY_CHANNEL_PACKET_MAX];
    assert_int_equal(recv(fixture->far, packet, sizeof(packet), MSG_DONTWAIT), 4 + 8 * 10);
    assert_true(worker_channel_take_request(fixture->channel, &request));
}

static void epochs_asked_again_are_one_question_and_too_many_are_bad(void **state)
{
    struct fixture *fixture = *state;
    uint64_t epoch = 0;
    for (int i = 0; i < 20; i++) {
        far_ask_tickets(fixture, 7);
        far_ask_tickets(fixture, 8);
        assert_int_equal(worker_channel_read(fixture->channel), WORKER_CHANNEL_OPEN);
    }
    assert_true(worker_channel_take_epoch(fixture->channel, &epoch) && epoch == 7);
    assert_true(worker_channel_take_epoch(fixture->channel, &epoch) && epoch == 8);
    assert_false(worker_channel_take_epoch(fixture->channel, &epoch));
    for (uint64_t asked = 0; asked < 7; asked++) {
        far_ask_tickets(fixture, asked);
    }
    assert_int_equal(worker_channel_read(fixture->channel), WORKER_CHANNEL_BAD_MESSAGE);
}

static void the_end_of_the_worker_is_seen(void **state)
{
    struct fixture *fixture = *state;
    close(fixture->far);
    assert_int_equal(worker_channel_read(fixture->channel), WORKER_CHANNEL_ENDED);
    struct key_answer answer = {.status = KEY_STATUS_FAILED};
    worker_channel_answer(fixture->channel, &answer);
    assert_int_equal(worker_channel_send(fixture->channel), WORKER_CHANNEL_ENDED);
    fixture->far = dup(0);
}

static void grants_come_and_go_by_range(void **state)
{
    struct fixture *fixture = *state;
    struct worker_channel *channel = fixture->channel;
    assert_true(worker_channel_grant(channel, 100, 3));
    assert_true(worker_channel_grant(channel, 100, 3)); /* none twice */
    for (uint32_t id = 100; id < 103; id++) {
        assert_true(worker_channel_is_granted(channel, id));
    }
    assert_false(worker_channel_is_granted(channel, 103));
    worker_channel_revoke(channel, 101, 4096);
    assert_true(worker_channel_is_granted(channel, 100));
    assert_false(worker_channel_is_granted(channel, 101));
    assert_true(worker_channel_is_granted(channel, 5));
    assert_true(worker_channel_grant(channel, UINT32_MAX - 1, 2));
    assert_true(worker_channel_is_granted(channel, UINT32_MAX));
    worker_channel_revoke(channel, UINT32_MAX - 4095, 4096);
    assert_false(worker_channel_is_granted(channel, UINT32_MAX));
    assert_true(worker_channel_is_granted(channel, 9));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(grants_are_those_given, set_up, tear_down),
        cmocka_unit_test_setup_teardown(grants_come_and_go_by_range, set_up, tear_down),
        cmocka_unit_test_setup_teardown(requests_come_out_in_order_round_the_ring, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(one_taken_from_between_leaves_the_others_in_order, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(a_slot_is_taken_until_it_is_answered, set_up, tear_down),
        cmocka_unit_test_setup_teardown(eight_answers_leave_together, set_up, tear_down),
        cmocka_unit_test_setup_teardown(epochs_asked_again_are_one_question_and_too_many_are_bad,
                                        set_up, tear_down),
        cmocka_unit_test_setup_teardown(the_end_of_the_worker_is_seen, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
