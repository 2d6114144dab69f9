/* tests/unit/proxy/gossip/probe_message_test.c · SPDX-License-Identifier: Apache-2.0 */
#include "proxy/gossip/probe_message.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "proxy/base/slice.h"

#define OUR_KEYS   "Z/PRmPCMiNOQND8U0ar/ckgnNfneNE6wShDY1YN+EKQ=\nY3qgfuHq8j3HOW0NpngWgA==\n"
#define OTHER_KEYS "V03XMTk8Jp9WaUg7DTI0pwx5PRokN7/Ci9IWIM+EfL4=\n"
#define SECOND_KEY "Y3qgfuHq8j3HOW0NpngWgA==\n"

#define ACK       SLICE("\x02\x82\xa7Payload\xc0\xa5SeqNo\xce\x01\x02\x03\x04")
#define OTHER_ACK SLICE("\x02\x82\xa7Payload\xc0\xa5SeqNo\xce\x01\x02\x03\x05")
#define COMPOUND                                                                                   \
    SLICE("\x07\x02\0\x16\0\x02\x02\x82\xa7Payload\xc0\xa5SeqNo\xce\x01\x02\x03\x04\x03\x80")
#define WORDS                                                                                      \
    SLICE("\x0d\x81\xa5"                                                                           \
          "Error\xa7no\x1bkeys")
#define PING SLICE("\x00\x81\xa5SeqNo\xce\x01\x02\x03\x04")

enum { NUMBER = 0x01020304, ROOM = 1024 };

static const struct bytes NO_LABEL;
static const struct bytes LABEL = {(const uint8_t *)"prod", 4};
static const struct bytes OTHER = {(const uint8_t *)"test", 4};

static struct gossip_cipher *cipher_of(const char *text)
{
    struct keyring *ring = keyring_parse((struct bytes){(const uint8_t *)text, strlen(text)}, NULL);
    assert_non_null(ring);
    struct gossip_cipher *cipher = gossip_cipher_new(ring, NULL);
    assert_non_null(cipher);
    keyring_free(ring);
    return cipher;
}

/* ---- what is sent ---- */

static void pings_so_that_every_member_answers_to_where_it_came_from(void **state)
{
    (void)state;
    struct probe probe = {cipher_of(OUR_KEYS), LABEL, 1, NUMBER};
    slice expected = SLICE("\x00\x83\xa4Node\xa0\xa5SeqNo\xce\x01\x02\x03\x04\xaaSourceNode"
                           "\xafsallyport-probe");
    uint8_t out[PROBE_SENT_BYTES_MAX];
    struct bytes plain;
    size_t key = 9;
    for (probe.version = 0; probe.version <= 1; probe.version++) {
        size_t len = probe_packet_write(&probe, out);
        assert_memory_equal(out, "\xf4\x04prod", 6);
        assert_int_equal(gossip_packet_open(probe.cipher, LABEL, out + 6, len - 6, &plain, &key),
                         GOSSIP_FINE);
        assert_int_equal(key, 0);
        assert_int_equal(plain.len, expected.len);
        assert_memory_equal(plain.at, expected.at, plain.len);
        len = probe_stream_write(&probe, out);
        assert_memory_equal(out, "\xf4\x04prod", 6);
        assert_int_equal(gossip_frame_open(probe.cipher, LABEL, out + 6, len - 6, &plain, &key),
                         GOSSIP_FINE);
        assert_int_equal(plain.len, expected.len);
        assert_memory_equal(plain.at, expected.at, plain.len);
    }
    gossip_cipher_free(probe.cipher);
}

static void sends_no_label_header_without_a_label(void **state)
{
    (void)state;
    struct probe probe = {cipher_of(OUR_KEYS), NO_LABEL, 1, NUMBER};
    uint8_t out[PROBE_SENT_BYTES_MAX];
    assert_true(probe_packet_write(&probe, out) > 0);
    assert_int_equal(out[0], 1);
    assert_true(probe_stream_write(&probe, out) > 0);
    assert_int_equal(out[0], GOSSIP_FRAME_TYPE);
    gossip_cipher_free(probe.cipher);
}

/* ---- what is answered ---- */

/* Seals an answer as a peer with these keys and this label does; no keys: as it is. */
static size_t answer_packet(const char *keys, struct bytes label, slice message, uint8_t *out)
{
    size_t at = gossip_label_put(out, label);
    if (keys == NULL) {
        memcpy(out + at, message.at, message.len);
        return at + message.len;
    }
    size_t sealed = 0;
    struct gossip_cipher *cipher = cipher_of(keys);
    memcpy(out + at + GOSSIP_HEAD_BYTES, message.at, message.len);
    assert_int_equal(gossip_packet_seal(cipher, 1, label, out + at, message.len, &sealed),
                     GOSSIP_FINE);
    gossip_cipher_free(cipher);
    return at + sealed;
}

/* An answer has no label header. */
static size_t answer_stream(const char *keys, struct bytes label, slice message, uint8_t *out)
{
    if (keys == NULL) {
        memcpy(out, message.at, message.len);
        return message.len;
    }
    size_t sealed = 0;
    struct gossip_cipher *cipher = cipher_of(keys);
    memcpy(out + GOSSIP_FRAME_HEAD_BYTES + GOSSIP_HEAD_BYTES, message.at, message.len);
    assert_int_equal(gossip_frame_seal(cipher, 0, label, out, message.len, &sealed), GOSSIP_FINE);
    gossip_cipher_free(cipher);
    return sealed;
}

struct answer_case {
    const char *claim;
    const char *keys;
    const struct bytes *label; /* of the peer; ours is LABEL */
    slice message;
    enum probe_answer answer;
    const char *words;
};

static const struct answer_case packet_cases[] = {
    {"an ack", OUR_KEYS, &LABEL, ACK, PROBE_ACK, ""},
    {"an ack with gossip beside it", OUR_KEYS, &LABEL, COMPOUND, PROBE_ACK, ""},
    {"an ack of something else", OUR_KEYS, &LABEL, OTHER_ACK, PROBE_FOREIGN, ""},
    {"our own ping, come back", OUR_KEYS, &LABEL, PING, PROBE_FOREIGN, ""},
    {"an ack without the label", OUR_KEYS, &NO_LABEL, ACK, PROBE_OTHER_LABEL, ""},
    {"an ack of another label", OUR_KEYS, &OTHER, ACK, PROBE_OTHER_LABEL, ""},
    {"an ack of another key", OTHER_KEYS, &LABEL, ACK, PROBE_OTHER_KEY, ""},
    {"an ack in plaintext", NULL, &LABEL, ACK, PROBE_ACK_PLAIN, ""},
    {"an error in plaintext", NULL, &NO_LABEL, WORDS, PROBE_PLAINTEXT, "no?keys"},
    {"DNS", NULL, &NO_LABEL, SLICE("\x12\x34\x81\x80\0\1\0\1\0\0\0\0"), PROBE_FOREIGN, ""},
    {"nothing", NULL, &NO_LABEL, SLICE(""), PROBE_FOREIGN, ""},
};

static void judges_packets(void **state)
{
    (void)state;
    struct probe probe = {cipher_of(OUR_KEYS), LABEL, 1, NUMBER};
    for (size_t i = 0; i < sizeof(packet_cases) / sizeof(packet_cases[0]); i++) {
        const struct answer_case *row = &packet_cases[i];
        uint8_t packet[ROOM];
        struct probe_reply reply;
        size_t len = answer_packet(row->keys, *row->label, row->message, packet);
        probe_packet_judge(&probe, packet, len, &reply);
        if (reply.answer != row->answer || strcmp(reply.words, row->words) != 0) {
            fail_msg("%s: %s, %s", row->claim, probe_answer_name(reply.answer), reply.words);
        }
    }
    gossip_cipher_free(probe.cipher);
}

static const struct answer_case stream_cases[] = {
    {"an ack", OUR_KEYS, &LABEL, ACK, PROBE_ACK, ""},
    {"an ack by our second key", SECOND_KEY, &LABEL, ACK, PROBE_ACK, ""},
    {"an error by our second key", SECOND_KEY, &LABEL, WORDS, PROBE_LACKS_KEY, "no?keys"},
    {"an error by another key", OTHER_KEYS, &LABEL, WORDS, PROBE_OTHER_KEY, ""},
    {"an error of who has no label", OUR_KEYS, &NO_LABEL, WORDS, PROBE_OTHER_LABEL, "no?keys"},
    {"an error in plaintext", NULL, &NO_LABEL, WORDS, PROBE_PLAINTEXT, "no?keys"},
    {"an ack in plaintext", NULL, &NO_LABEL, ACK, PROBE_ACK_PLAIN, ""},
    {"our own ping, come back", OUR_KEYS, &LABEL, PING, PROBE_FOREIGN, ""},
    {"HTTP", NULL, &NO_LABEL, SLICE("HTTP/1.1 400 Bad Request\r\n\r\n"), PROBE_FOREIGN, ""},
    {"TLS", NULL, &NO_LABEL, SLICE("\x15\x03\x01\0\x02\x02\x32"), PROBE_FOREIGN, ""},
    {"a frame too long for an ack", NULL, &NO_LABEL, SLICE("\x0a\x00\x10\x00\x00"), PROBE_FOREIGN,
     ""},
    {"a frame shorter than its overhead", NULL, &NO_LABEL, SLICE("\x0a\0\0\0\1x"), PROBE_FOREIGN,
     ""},
};

/* Whole, and byte by byte, where no answer is told before it is there. */
static void judges_streams(void **state)
{
    (void)state;
    struct probe probe = {cipher_of(OUR_KEYS), LABEL, 1, NUMBER};
    for (size_t i = 0; i < sizeof(stream_cases) / sizeof(stream_cases[0]); i++) {
        const struct answer_case *row = &stream_cases[i];
        uint8_t stream[ROOM];
        struct probe_reply reply = {.answer = PROBE_UNTRIED};
        size_t len = answer_stream(row->keys, *row->label, row->message, stream);
        enum status status = STATUS_AGAIN;
        for (size_t come = 0; come <= len && status == STATUS_AGAIN; come++) {
            status = probe_stream_judge(&probe, stream, come, false, &reply);
        }
        if (status != STATUS_OK || reply.answer != row->answer ||
            strcmp(reply.words, row->words) != 0) {
            fail_msg("%s: %s, %s", row->claim, probe_answer_name(reply.answer), reply.words);
        }
        len = answer_stream(row->keys, *row->label, row->message, stream);
        assert_int_equal(probe_stream_judge(&probe, stream, len, true, &reply), STATUS_OK);
        assert_int_equal(reply.answer, row->answer);
    }
    gossip_cipher_free(probe.cipher);
}

static void tells_what_ended_early(void **state)
{
    (void)state;
    struct probe probe = {cipher_of(OUR_KEYS), NO_LABEL, 1, NUMBER};
    uint8_t stream[ROOM];
    struct probe_reply reply;
    size_t len = answer_stream(OUR_KEYS, NO_LABEL, ACK, stream);
    assert_int_equal(probe_stream_judge(&probe, stream, 0, true, &reply), STATUS_OK);
    assert_int_equal(reply.answer, PROBE_CLOSED);
    for (size_t cut = 1; cut < len; cut++) {
        assert_int_equal(probe_stream_judge(&probe, stream, cut, true, &reply), STATUS_OK);
        assert_int_equal(reply.answer, PROBE_FOREIGN);
    }
    assert_int_equal(probe_stream_judge(&probe, stream, len, true, &reply), STATUS_OK);
    assert_int_equal(reply.answer, PROBE_ACK);
    assert_true(reply.has_key);
    gossip_cipher_free(probe.cipher);
}

static void tells_which_key_fitted(void **state)
{
    (void)state;
    struct probe probe = {cipher_of(OUR_KEYS), NO_LABEL, 1, NUMBER};
    uint8_t packet[ROOM];
    struct probe_reply reply;
    size_t len = answer_packet(SECOND_KEY, NO_LABEL, ACK, packet);
    probe_packet_judge(&probe, packet, len, &reply);
    assert_int_equal(reply.answer, PROBE_ACK);
    assert_true(reply.has_key);
    assert_int_equal(reply.key, 1);
    gossip_cipher_free(probe.cipher);
}

static void cuts_long_words(void **state)
{
    (void)state;
    struct probe probe = {cipher_of(OUR_KEYS), NO_LABEL, 1, NUMBER};
    uint8_t stream[ROOM] = "\x0d\x81\xa5"
                           "Error\xda\x02\x00";
    struct probe_reply reply;
    memset(stream + 11, 'x', 512);
    assert_int_equal(probe_stream_judge(&probe, stream, 11 + 512, true, &reply), STATUS_OK);
    assert_int_equal(reply.answer, PROBE_PLAINTEXT);
    assert_int_equal(strlen(reply.words), PROBE_WORDS_BYTES - 1);
    gossip_cipher_free(probe.cipher);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(pings_so_that_every_member_answers_to_where_it_came_from),
        cmocka_unit_test(sends_no_label_header_without_a_label),
        cmocka_unit_test(judges_packets),
        cmocka_unit_test(judges_streams),
        cmocka_unit_test(tells_what_ended_early),
        cmocka_unit_test(tells_which_key_fitted),
        cmocka_unit_test(cuts_long_words),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
