/* tests/unit/crypto/key_channel_test.c · SPDX-License-Identifier: Apache-2.0 */
#include "crypto/key_channel.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static struct key_message sign_message(size_t count)
{
    struct key_message message = {.kind = KEY_MESSAGE_SIGN, .count = count};
    for (size_t i = 0; i < count && i < KEY_CHANNEL_BATCH_MAX; i++) {
        struct key_request *request = &message.requests[i];
        request->slot = (uint16_t)(KEY_CHANNEL_SLOTS_MAX - 1 - i);
        request->generation = 0xfffffff0u + (uint32_t)i;
        request->key_id = 0x80000001u * (uint32_t)(i + 1);
        request->scheme = (enum key_scheme)(1 + i % KEY_SCHEME_COUNT);
        memset(request->hash, (int)(0x40 + i), key_scheme_facts(request->scheme)->hash_bytes);
    }
    return message;
}

static struct key_message signed_message(size_t count)
{
    struct key_message message = {.kind = KEY_MESSAGE_SIGNED, .count = count};
    for (size_t i = 0; i < count; i++) {
        struct key_answer *answer = &message.answers[i];
        answer->slot = (uint16_t)i;
        answer->generation = (uint32_t)(i * 1000);
        answer->status = i % 3 == 2 ? KEY_STATUS_FAILED : KEY_STATUS_DONE;
        answer->signature_len = i % 3 == 2 ? 0 : KEY_SIGNATURE_BYTES_MAX - i;
        memset(answer->signature, (int)(0x20 + i), answer->signature_len);
    }
    return message;
}

static struct key_message tickets_message(enum key_message_kind kind, enum key_status status)
{
    struct key_message message = {.kind = kind, .count = 1};
    message.tickets.status = status;
    message.tickets.keys.epoch = 0x0102030405060708u;
    if (kind == KEY_MESSAGE_TICKETS && status == KEY_STATUS_DONE) {
        memset(message.tickets.keys.name, 1, TICKET_NAME_BYTES);
        memset(message.tickets.keys.aes, 2, TICKET_AES_BYTES);
        memset(message.tickets.keys.hmac, 3, TICKET_HMAC_BYTES);
    }
    return message;
}

static bool comes_from_worker(const struct key_message *message)
{
    return message->kind == KEY_MESSAGE_SIGN || message->kind == KEY_MESSAGE_ASK_TICKETS;
}

static void check_equal(const struct key_message *left, const struct key_message *right)
{
    assert_int_equal(left->kind, right->kind);
    assert_int_equal(left->count, right->count);
    for (size_t i = 0; i < left->count; i++) {
        if (left->kind == KEY_MESSAGE_SIGN) {
            assert_int_equal(left->requests[i].slot, right->requests[i].slot);
            assert_int_equal(left->requests[i].generation, right->requests[i].generation);
            assert_int_equal(left->requests[i].key_id, right->requests[i].key_id);
            assert_int_equal(left->requests[i].scheme, right->requests[i].scheme);
            assert_memory_equal(left->requests[i].hash, right->requests[i].hash,
                                KEY_HASH_BYTES_MAX);
        } else if (left->kind == KEY_MESSAGE_SIGNED) {
            assert_int_equal(left->answers[i].slot, right->answers[i].slot);
            assert_int_equal(left->answers[i].generation, right->answers[i].generation);
            assert_int_equal(left->answers[i].status, right->answers[i].status);
            assert_int_equal(left->answers[i].signature_len, right->answers[i].signature_len);
            assert_memory_equal(left->answers[i].signature, right->answers[i].signature,
                                left->answers[i].signature_len);
        } else {
            assert_int_equal(left->tickets.status, right->tickets.status);
            assert_memory_equal(&left->tickets.keys, &right->tickets.keys,
                                sizeof(struct ticket_keys));
        }
    }
}

/* Every packet whole, every prefix of it, one byte more, and the wrong way round. */
static void check_packet(const struct key_message *message)
{
    uint8_t packet[KEY_CHANNEL_PACKET_MAX + 1] = {0};
    size_t len = key_message_encode(message, packet);
    assert_true(len > 0 && len <= KEY_CHANNEL_PACKET_MAX);
    bool from_worker = comes_from_worker(message);
    static struct key_message got;
    assert_true(key_message_decode(&got, packet, len, from_worker));
    check_equal(message, &got);
    assert_false(key_message_decode(&got, packet, len, !from_worker));
    assert_false(key_message_decode(&got, packet, len + 1, from_worker));
    for (size_t shorter = 0; shorter < len; shorter++) {
        uint8_t *exact = malloc(shorter + 1); /* so that a read too far is seen */
        memcpy(exact, packet, shorter);
        uint8_t *tight = realloc(exact, shorter > 0 ? shorter : 1);
        assert_false(key_message_decode(&got, tight, shorter, from_worker));
        free(tight);
    }
}

static void every_message_survives_the_wire_and_no_prefix_does(void **state)
{
    (void)state;
    static struct key_message message;
    for (size_t count = 1; count <= KEY_CHANNEL_BATCH_MAX; count++) {
        message = sign_message(count);
        check_packet(&message);
        message = signed_message(count);
        check_packet(&message);
    }
    message = tickets_message(KEY_MESSAGE_ASK_TICKETS, KEY_STATUS_DONE);
    check_packet(&message);
    message = tickets_message(KEY_MESSAGE_TICKETS, KEY_STATUS_DONE);
    check_packet(&message);
    message = tickets_message(KEY_MESSAGE_TICKETS, KEY_STATUS_FAILED);
    check_packet(&message);
}

static void messages_that_break_a_rule_are_not_written(void **state)
{
    (void)state;
    uint8_t packet[KEY_CHANNEL_PACKET_MAX];
    static struct key_message message;
    message = sign_message(0);
    assert_int_equal(key_message_encode(&message, packet), 0);
    message = sign_message(KEY_CHANNEL_BATCH_MAX + 1);
    assert_int_equal(key_message_encode(&message, packet), 0);
    message = sign_message(1);
    message.requests[0].slot = KEY_CHANNEL_SLOTS_MAX;
    assert_int_equal(key_message_encode(&message, packet), 0);
    message = signed_message(1);
    message.answers[0].signature_len = 0;
    assert_int_equal(key_message_encode(&message, packet), 0);
    message.answers[0].signature_len = KEY_SIGNATURE_BYTES_MAX + 1;
    assert_int_equal(key_message_encode(&message, packet), 0);
    message.answers[0].signature_len = 1;
    message.answers[0].status = KEY_STATUS_FAILED;
    assert_int_equal(key_message_encode(&message, packet), 0);
}

/* One byte of a good packet changed; offsets are those of key_channel.c's drawing. */
static void packets_with_a_forbidden_value_are_refused(void **state)
{
    (void)state;
    static const struct {
        const char *name;
        bool is_answer;
        size_t offset;
        uint8_t value;
    } rows[] = {
        {"unknown kind", false, 0, 0},
        {"kind beyond the last", false, 0, 5},
        {"an answer's kind from a worker", false, 0, KEY_MESSAGE_SIGNED},
        {"no request", false, 1, 0},
        {"more requests than there are", false, 1, 2},
        {"nine requests", false, 1, 9},
        {"reserved byte", false, 2, 1},
        {"other reserved byte", false, 3, 1},
        {"slot beyond the last", false, 4, 0x04},
        {"scheme 0", false, 14, 0},
        {"scheme beyond the last", false, 14, 10},
        {"scheme with a longer hash", false, 14, KEY_SCHEME_RSA_PSS_SHA384},
        {"status beyond the last", true, 10, 2},
        {"failure with a signature", true, 10, KEY_STATUS_FAILED},
        {"reserved byte of an answer", true, 11, 1},
        {"signature longer than the packet", true, 12, 0x04},
        {"signature shorter than the packet", true, 12, 0x03},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        static struct key_message message;
        message = rows[i].is_answer ? signed_message(1) : sign_message(1);
        if (rows[i].is_answer) {
            message.answers[0].signature_len = 0x03ff;
        }
        uint8_t packet[KEY_CHANNEL_PACKET_MAX];
        size_t len = key_message_encode(&message, packet);
        if (packet[rows[i].offset] == rows[i].value) {
            packet[rows[i].offset + 1]--; /* "shorter": 0x03fe */
        }
        packet[rows[i].offset] = rows[i].value;
        static struct key_message got;
        if (key_message_decode(&got, packet, len, !rows[i].is_answer)) {
            fail_msg("accepted: %s", rows[i].name);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_message_survives_the_wire_and_no_prefix_does),
        cmocka_unit_test(messages_that_break_a_rule_are_not_written),
        cmocka_unit_test(packets_with_a_forbidden_value_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
