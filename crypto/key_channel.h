/* crypto/key_channel.h
 *
 * The packets between a worker and the keyholder over a SOCK_SEQPACKET socket pair, written and
 * read without any state: one packet is one message.
 *
 *   worker    -> sign           1..8 x { slot, generation, key id, scheme, hash }
 *   keyholder -> signed         1..8 x { slot, generation, status, signature }
 *   worker    -> ask tickets    epoch
 *   keyholder -> tickets        status, keys of that epoch
 *
 * A *slot* is the worker's place for one request and belongs to the keyholder until it is
 * answered; its *generation* tells a late answer from the present one. Numbers are big-endian.
 *
 * Why it exists: it is all that a broken worker can say to the process that holds the keys, so it
 * is small, has a fixed form, and everything outside it is refused: a wrong length, count, scheme,
 * hash length, slot, reserved byte or trailing byte makes the whole packet bad.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "crypto/key_scheme.h"
#include "crypto/ticket_keys.h"

enum {
    KEY_CHANNEL_BATCH_MAX = 8,
    KEY_CHANNEL_SLOTS_MAX = 1024, /* slots are 0 .. this - 1 */
    KEY_CHANNEL_PACKET_MAX = 4 + KEY_CHANNEL_BATCH_MAX * (10 + KEY_SIGNATURE_BYTES_MAX),
};

enum key_message_kind {
    KEY_MESSAGE_SIGN = 1,
    KEY_MESSAGE_SIGNED,
    KEY_MESSAGE_ASK_TICKETS,
    KEY_MESSAGE_TICKETS,
};

enum key_status {
    KEY_STATUS_DONE = 0,
    KEY_STATUS_FAILED = 1, /* the keyholder could not; asking again may help */
};

struct key_request {
    uint16_t slot;
    uint32_t generation;
    uint32_t key_id;
    enum key_scheme scheme; /* says how many bytes of `hash` count */
    uint8_t hash[KEY_HASH_BYTES_MAX];
};

struct key_answer {
    uint16_t slot;
    uint32_t generation;
    enum key_status status; /* FAILED has no signature */
    size_t signature_len;
    uint8_t signature[KEY_SIGNATURE_BYTES_MAX];
};

/* One decoded packet; which member counts follows from `kind`. */
struct key_message {
    enum key_message_kind kind;
    size_t count; /* requests or answers */
    union {
        struct key_request requests[KEY_CHANNEL_BATCH_MAX];
        struct key_answer answers[KEY_CHANNEL_BATCH_MAX];
        struct {
            enum key_status status;  /* only in TICKETS; FAILED has no keys, only the epoch */
            struct ticket_keys keys; /* ASK_TICKETS: only the epoch */
        } tickets;
    };
};

/* Writes `message` as one packet into `packet` (KEY_CHANNEL_PACKET_MAX bytes). Returns its length,
 * or 0 when the message breaks a rule above: a mistake of the caller. */
size_t key_message_encode(const struct key_message *message, uint8_t *packet);

/* Reads one packet. False: bad packet, `message` holds nothing useful. `from_worker` says which
 * half of the protocol may arrive: a keyholder never accepts an answer, a worker never a request.
 * A TICKETS message holds keys: wipe it (key_message_wipe). */
bool key_message_decode(struct key_message *message, const uint8_t *packet, size_t len,
                        bool from_worker) __attribute__((warn_unused_result));

void key_message_wipe(struct key_message *message);
