/* crypto/gossip_cipher.h
 *
 * Memberlist's encryption: AES-GCM over whole packets (UDP) and frames (TCP), versions 0 (padded to
 * 16 bytes) and 1 (not padded).
 *
 *     packet    vsn(1) nonce(12) ciphertext tag(16)                AAD: the label
 *     frame     0a len(4, big endian) vsn nonce ciphertext tag     AAD: 0a len, then the label
 *     label     f4 len(1) label                                    in clear, before a packet, and
 *                                                                  once before the opener's frame
 *
 * Why it exists: every byte that leaves a node or comes to it goes through here, so this is the one
 * place that knows the format; it does no input or output and allocates nothing per packet. The
 * contexts of AES are made once a key.
 *
 * The version is not authenticated: that is the protocol's. Who flips it on the way from 0 to 1
 * makes the padding a part of the message; from 1 to 0 takes up to 16 bytes off a message that ends
 * like padding and is a multiple of 16 long. All other changes of a byte are refused.
 *
 * Owner: whoever called gossip_cipher_new; one thread at a time.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "crypto/bytes.h"
#include "crypto/error.h"
#include "crypto/keyring.h"

enum {
    GOSSIP_FRAME_HEAD_BYTES = 5, /* 0a and the length */
    GOSSIP_NONCE_BYTES = 12,
    GOSSIP_HEAD_BYTES = 1 + GOSSIP_NONCE_BYTES, /* before the ciphertext */
    GOSSIP_TAG_BYTES = 16,
    GOSSIP_PAD_BYTES_MAX = 16,
    /* What sealing adds at most: room after the plaintext included. */
    GOSSIP_TAIL_BYTES_MAX = GOSSIP_PAD_BYTES_MAX + GOSSIP_TAG_BYTES,
    GOSSIP_PACKET_BYTES_MAX = 65507,           /* of UDP over IPv4 */
    GOSSIP_FRAME_BYTES_MAX = 20 * 1024 * 1024, /* the length that a frame may name */
    GOSSIP_LABEL_BYTES_MAX = 255,
    GOSSIP_LABEL_HEAD_BYTES = 2,
    GOSSIP_FRAME_TYPE = 0x0a,
    GOSSIP_LABEL_TYPE = 0xf4,
};

/* Why something was not opened or sealed. GOSSIP_REFUSALS is their number. */
/* clang-format off */
#define GOSSIP_REFUSAL_TABLE(X)                                                                      \
    X(FINE,       "fine",            "nothing is wrong")                                             \
    X(EMPTY,      "empty",           "there is nothing in it")                                       \
    X(SHORT,      "truncated",       "it is shorter than its own overhead")                          \
    X(LONG,       "too_long",        "it is longer than the protocol allows")                        \
    X(VERSION,    "unknown_version", "it is neither of version 0 nor 1: plaintext, or not gossip")   \
    X(NO_KEY,     "no_key_fits",     "no key of the ring opens it: another key, another label, or plaintext") \
    X(PADDING,    "bad_padding",     "its padding is malformed")                                     \
    X(FRAME,      "no_frame",        "it is no encrypted frame: plaintext, or not gossip")           \
    X(LABEL,      "bad_label",       "its label header is malformed, or there are two")              \
    X(OTHER_LABEL, "other_label",    "its label is not the cluster's")                               \
    X(PLAINTEXT,  "plaintext",       "it is plaintext, and only encrypted gossip is taken")          \
    X(FAILED,     "cipher_failed",   "the cipher failed")
/* clang-format on */

#define GOSSIP_REFUSAL_ENUM(code, name, sentence) GOSSIP_##code,
enum gossip_refusal { GOSSIP_REFUSAL_TABLE(GOSSIP_REFUSAL_ENUM) GOSSIP_REFUSALS };
#undef GOSSIP_REFUSAL_ENUM

/* The stable name in logs and metrics, and a sentence for people. */
const char *gossip_refusal_name(enum gossip_refusal refusal);
const char *gossip_refusal_sentence(enum gossip_refusal refusal);

struct gossip_cipher;

/* Contexts for all keys of the ring, of which nothing is kept. NULL with a sentence. */
struct gossip_cipher *gossip_cipher_new(const struct keyring *ring, struct crypto_error *error)
    __attribute__((warn_unused_result));
void gossip_cipher_free(struct gossip_cipher *cipher);

/* ---- packets ---- */

/* Bytes of a sealed packet, without label header. */
size_t gossip_packet_bytes(unsigned version, size_t plain_len);

/* Seals plain_len bytes that stand at `room` + GOSSIP_HEAD_BYTES, in place: the packet then begins
 * at `room`, which has GOSSIP_TAIL_BYTES_MAX more bytes behind the plaintext. Checked in this
 * order: VERSION (above 1), LABEL (above 255 bytes), EMPTY, LONG (the packet would be above
 * GOSSIP_PACKET_BYTES_MAX), FAILED (no randomness); only the last changes anything in `room`. */
enum gossip_refusal gossip_packet_seal(struct gossip_cipher *cipher, unsigned version,
                                       struct bytes label, uint8_t *room, size_t plain_len,
                                       size_t *sealed_len) __attribute__((warn_unused_result));

/* Opens a packet (label header taken off already) in place: the plaintext is `plain`, inside of the
 * packet, and *key the index of the key that fitted; keys are tried in the ring's order. When
 * refused the bytes are as they were, so that they may still be taken for plaintext; only after
 * FAILED nothing is known of them. Checked in this order:
 *   EMPTY no bytes, LABEL above 255 bytes, VERSION, LONG, SHORT (below 29; version 0: 45), NO_KEY,
 *   then, of what was authenticated (a member sent it, plaintext it is not; *key is set): PADDING
 *   (version 0: not whole blocks of 16, or not 1 to 16 bytes of that value), EMPTY (nothing in it).
 */
enum gossip_refusal gossip_packet_open(struct gossip_cipher *cipher, struct bytes label,
                                       uint8_t *packet, size_t len, struct bytes *plain,
                                       size_t *key) __attribute__((warn_unused_result));

/* ---- frames ---- */

size_t gossip_frame_bytes(unsigned version, size_t plain_len);

/* The same with the plaintext at `room` + GOSSIP_FRAME_HEAD_BYTES + GOSSIP_HEAD_BYTES. LONG: its
 * length would be above GOSSIP_FRAME_BYTES_MAX. */
enum gossip_refusal gossip_frame_seal(struct gossip_cipher *cipher, unsigned version,
                                      struct bytes label, uint8_t *room, size_t plain_len,
                                      size_t *sealed_len) __attribute__((warn_unused_result));

/* The whole length of the frame that begins with these GOSSIP_FRAME_HEAD_BYTES bytes, head
 * included. FRAME (another type), SHORT (below 29 bytes), LONG when it cannot be one. */
enum gossip_refusal gossip_frame_length(const uint8_t *head, size_t *len)
    __attribute__((warn_unused_result));

/* Opens a whole frame, head included: as gossip_packet_open, but that the length is checked by
 * gossip_frame_length, before the version; SHORT or LONG when `len` is not that length. */
enum gossip_refusal gossip_frame_open(struct gossip_cipher *cipher, struct bytes label,
                                      uint8_t *frame, size_t len, struct bytes *plain, size_t *key)
    __attribute__((warn_unused_result));

/* The nonce of a sealed packet (for replay windows and tests), or of a frame after its head. */
static inline const uint8_t *gossip_nonce(const uint8_t *packet)
{
    return packet + 1;
}

/* ---- labels ---- */

/* Takes the label header off the beginning of a packet: `label` is empty when there is none.
 * LABEL: malformed (empty label, cut short) or followed by another one; nothing is taken. */
enum gossip_refusal gossip_label_take(struct bytes *packet, struct bytes *label)
    __attribute__((warn_unused_result));

/* Writes the header, if the label is not empty (nor above GOSSIP_LABEL_BYTES_MAX, with which
 * nothing can be sealed). Returns its bytes, 0 or 3 to 257. */
size_t gossip_label_put(uint8_t *room, struct bytes label);
