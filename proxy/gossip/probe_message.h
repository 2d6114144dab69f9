/* proxy/gossip/probe_message.h
 *
 * The ping of a probe, sealed for UDP or TCP, and what an answer to it says about the peer.
 *
 *     a peer that reads it        ack, sealed with the first of its own keys
 *     of another key              over TCP an error, sealed with its own key; over UDP nothing
 *     without any key             over TCP an error in plaintext; over UDP nothing
 *     of another label            closes (0.3.0 and newer); those that know no labels take the
 *                                 header for plaintext and say so, sealed without a label
 *
 * The ping names no node, so that any answers, and says no address, so that it answers to where the
 * packet came from. It names its sender, without which some peers (RequireNodeNames) do not answer.
 *
 * Owner: the caller, on the stack; the cipher is borrowed.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "crypto/gossip_cipher.h"
#include "proxy/base/status.h"
#include "proxy/gossip/probe_verdict.h"

enum {
    PROBE_PING_BYTES = 64, /* of the plaintext; less is used */
    PROBE_SENT_BYTES_MAX = GOSSIP_LABEL_HEAD_BYTES + GOSSIP_LABEL_BYTES_MAX +
                           GOSSIP_FRAME_HEAD_BYTES + GOSSIP_HEAD_BYTES + PROBE_PING_BYTES +
                           GOSSIP_TAIL_BYTES_MAX,
    PROBE_ANSWER_BYTES_MAX = 65536,
    PROBE_WORDS_BYTES = 160,
};

struct probe {
    struct gossip_cipher *cipher;
    struct bytes label;
    unsigned version;
    uint32_t number; /* by which the answer is known */
};

struct probe_reply {
    enum probe_answer answer;
    bool has_key;
    size_t key;                    /* of the ring, that opened it */
    char words[PROBE_WORDS_BYTES]; /* of the peer's error, printable; "": none */
};

/* Write what is to be sent and return its length; 0: the cipher failed. */
size_t probe_packet_write(const struct probe *probe, uint8_t out[PROBE_SENT_BYTES_MAX]);
size_t probe_stream_write(const struct probe *probe, uint8_t out[PROBE_SENT_BYTES_MAX]);

/* The header of a label that nobody has, to find out who reads labels. */
size_t probe_label_write(uint8_t out[PROBE_SENT_BYTES_MAX]);

/* Judge what came, decrypting it in place. An answer of a packet is one packet. Of a stream it is
 * all that came so far; AGAIN: more is needed to tell, never when it `is_end`. */
void probe_packet_judge(const struct probe *probe, uint8_t *packet, size_t len,
                        struct probe_reply *reply);
MUST_CHECK enum status probe_stream_judge(const struct probe *probe, uint8_t *stream, size_t len,
                                          bool is_end, struct probe_reply *reply);
