/* tests/fuzz/probe_message_fuzz.c
 *
 * What stands in the way of a probe may answer anything. Nothing is taken for an ack of a key that
 * was not there, the same is said of a stream whole and byte by byte, and words are printable. The
 * input is judged as it is, and sealed, as a peer that has the key may send it.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include <stdlib.h>
#include <string.h>

#include "proxy/base/assert.h"
#include "proxy/gossip/probe_message.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len);

enum { INPUT_BYTES_MAX = 2048, ROOM = INPUT_BYTES_MAX + 128 };

static const char RING[] = "Z/PRmPCMiNOQND8U0ar/ckgnNfneNE6wShDY1YN+EKQ=\n";

static struct gossip_cipher *cipher(void)
{
    static struct gossip_cipher *made;
    if (made == NULL) {
        struct keyring *ring =
            keyring_parse((struct bytes){(const uint8_t *)RING, sizeof(RING) - 1}, NULL);
        assert_always(ring != NULL);
        made = gossip_cipher_new(ring, NULL);
        assert_always(made != NULL);
        keyring_free(ring);
    }
    return made;
}

static void check(const struct probe_reply *reply)
{
    assert_always(reply->answer == PROBE_ACK || reply->answer == PROBE_LACKS_KEY ? reply->has_key
                                                                                 : true);
    assert_always(!reply->has_key || reply->key == 0);
    size_t len = strnlen(reply->words, PROBE_WORDS_BYTES);
    assert_always(len < PROBE_WORDS_BYTES);
    for (size_t i = 0; i < len; i++) {
        assert_always(reply->words[i] >= ' ' && reply->words[i] <= '~');
    }
}

/* Opening is in place, so each judge gets a copy of its own. */
static void judge_stream(const struct probe *probe, const uint8_t *bytes, size_t len)
{
    uint8_t whole[ROOM];
    uint8_t grown[ROOM];
    struct probe_reply expected;
    struct probe_reply reply = {.answer = PROBE_UNTRIED};
    memcpy(whole, bytes, len);
    memcpy(grown, bytes, len);
    assert_always(probe_stream_judge(probe, whole, len, true, &expected) == STATUS_OK);
    enum status status = STATUS_AGAIN;
    for (size_t come = 0; come <= len && status == STATUS_AGAIN; come++) {
        status = probe_stream_judge(probe, grown, come, come == len, &reply);
    }
    assert_always(status == STATUS_OK && reply.answer == expected.answer);
    assert_always(strcmp(reply.words, expected.words) == 0);
    check(&reply);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
    static const struct bytes labels[] = {{NULL, 0}, {(const uint8_t *)"prod", 4}};
    uint8_t room[ROOM];
    if (len == 0 || len > INPUT_BYTES_MAX) {
        return 0;
    }
    for (size_t i = 0; i < 2; i++) {
        struct probe probe = {cipher(), labels[i], 1, 0x01020304};
        struct probe_reply reply;
        size_t sealed = 0;
        memcpy(room, bytes, len);
        probe_packet_judge(&probe, room, len, &reply);
        check(&reply);
        judge_stream(&probe, bytes, len);
        memcpy(room + GOSSIP_HEAD_BYTES, bytes, len);
        assert_always(gossip_packet_seal(cipher(), 1, labels[0], room, len, &sealed) ==
                      GOSSIP_FINE);
        probe_packet_judge(&probe, room, sealed, &reply);
        check(&reply);
        assert_always(reply.has_key && (reply.answer != PROBE_ACK || i == 0));
        memcpy(room + GOSSIP_FRAME_HEAD_BYTES + GOSSIP_HEAD_BYTES, bytes, len);
        assert_always(gossip_frame_seal(cipher(), 1, labels[i], room, len, &sealed) == GOSSIP_FINE);
        judge_stream(&probe, room, sealed);
    }
    return 0;
}
