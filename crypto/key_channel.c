/* crypto/key_channel.c
 *
 *   byte 0      kind
 *   byte 1      count (ticket messages: 1)
 *   byte 2, 3   0
 *   then        SIGN         slot 2, generation 4, key id 4, scheme 1, hash (the scheme's length)
 *               SIGNED       slot 2, generation 4, status 1, 0, length 2, signature
 *               ASK_TICKETS  epoch 8
 *               TICKETS      status 1, epoch 8, and when DONE: name 16, aes 32, hmac 32
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "crypto/key_channel.h"

#include <openssl/crypto.h>
#include <string.h>

/* What is left of a packet; every read checks, and `bad` sticks. */
struct reader {
    const uint8_t *at;
    size_t left;
    bool bad;
};

static uint64_t get_number(struct reader *reader, size_t bytes)
{
    if (reader->left < bytes) {
        reader->bad = true;
        return 0;
    }
    uint64_t value = 0;
    for (size_t i = 0; i < bytes; i++) {
        value = value << 8 | reader->at[i];
    }
    reader->at += bytes;
    reader->left -= bytes;
    return value;
}

static void get_bytes(struct reader *reader, uint8_t *out, size_t len)
{
    if (reader->left < len) {
        reader->bad = true;
        return;
    }
    memcpy(out, reader->at, len);
    reader->at += len;
    reader->left -= len;
}

static uint8_t *put_number(uint8_t *at, uint64_t value, size_t bytes)
{
    for (size_t i = 0; i < bytes; i++) {
        at[i] = (uint8_t)(value >> (8 * (bytes - 1 - i)));
    }
    return at + bytes;
}

static uint8_t *put_bytes(uint8_t *at, const uint8_t *bytes, size_t len)
{
    memcpy(at, bytes, len);
    return at + len;
}

static uint8_t *put_request(uint8_t *at, const struct key_request *request)
{
    const struct key_scheme_facts *scheme = key_scheme_facts(request->scheme);
    if (scheme == NULL || request->slot >= KEY_CHANNEL_SLOTS_MAX) {
        return NULL;
    }
    at = put_number(at, request->slot, 2);
    at = put_number(at, request->generation, 4);
    at = put_number(at, request->key_id, 4);
    at = put_number(at, scheme->scheme, 1);
    return put_bytes(at, request->hash, scheme->hash_bytes);
}

static void get_request(struct reader *reader, struct key_request *request)
{
    request->slot = (uint16_t)get_number(reader, 2);
    request->generation = (uint32_t)get_number(reader, 4);
    request->key_id = (uint32_t)get_number(reader, 4);
    const struct key_scheme_facts *scheme = key_scheme_facts((unsigned)get_number(reader, 1));
    if (reader->bad || scheme == NULL || request->slot >= KEY_CHANNEL_SLOTS_MAX) {
        reader->bad = true;
        return;
    }
    request->scheme = scheme->scheme;
    memset(request->hash, 0, sizeof(request->hash));
    get_bytes(reader, request->hash, scheme->hash_bytes);
}

/* A signature is there exactly when the status says so. */
static bool answer_is_sound(enum key_status status, size_t signature_len)
{
    return status == KEY_STATUS_DONE ? signature_len > 0 && signature_len <= KEY_SIGNATURE_BYTES_MAX
                                     : signature_len == 0;
}

static uint8_t *put_answer(uint8_t *at, const struct key_answer *answer)
{
    if (answer->slot >= KEY_CHANNEL_SLOTS_MAX ||
        !answer_is_sound(answer->status, answer->signature_len)) {
        return NULL;
    }
    at = put_number(at, answer->slot, 2);
    at = put_number(at, answer->generation, 4);
    at = put_number(at, answer->status, 1);
    at = put_number(at, 0, 1);
    at = put_number(at, answer->signature_len, 2);
    return put_bytes(at, answer->signature, answer->signature_len);
}

static bool get_status(struct reader *reader, enum key_status *status)
{
    uint64_t number = get_number(reader, 1);
    *status = number == KEY_STATUS_DONE ? KEY_STATUS_DONE : KEY_STATUS_FAILED;
    return !reader->bad && number <= KEY_STATUS_FAILED;
}

static void get_answer(struct reader *reader, struct key_answer *answer)
{
    answer->slot = (uint16_t)get_number(reader, 2);
    answer->generation = (uint32_t)get_number(reader, 4);
    bool sound = get_status(reader, &answer->status);
    uint64_t reserved = get_number(reader, 1);
    answer->signature_len = (size_t)get_number(reader, 2);
    if (reader->bad || !sound || reserved != 0 || answer->slot >= KEY_CHANNEL_SLOTS_MAX ||
        !answer_is_sound(answer->status, answer->signature_len)) {
        reader->bad = true;
        return;
    }
    get_bytes(reader, answer->signature, answer->signature_len);
}

static uint8_t *put_tickets(uint8_t *at, const struct key_message *message)
{
    const struct ticket_keys *keys = &message->tickets.keys;
    at = put_number(at, message->tickets.status, 1);
    at = put_number(at, keys->epoch, 8);
    if (message->tickets.status != KEY_STATUS_DONE) {
        return at;
    }
    at = put_bytes(at, keys->name, sizeof(keys->name));
    at = put_bytes(at, keys->aes, sizeof(keys->aes));
    return put_bytes(at, keys->hmac, sizeof(keys->hmac));
}

static void get_tickets(struct reader *reader, struct key_message *message)
{
    struct ticket_keys *keys = &message->tickets.keys;
    *keys = (struct ticket_keys){0};
    if (!get_status(reader, &message->tickets.status)) {
        reader->bad = true;
        return;
    }
    keys->epoch = get_number(reader, 8);
    if (message->tickets.status == KEY_STATUS_DONE) {
        get_bytes(reader, keys->name, sizeof(keys->name));
        get_bytes(reader, keys->aes, sizeof(keys->aes));
        get_bytes(reader, keys->hmac, sizeof(keys->hmac));
    }
}

static bool is_batch(enum key_message_kind kind)
{
    return kind == KEY_MESSAGE_SIGN || kind == KEY_MESSAGE_SIGNED;
}

static uint8_t *put_batch(uint8_t *at, const struct key_message *message)
{
    for (size_t i = 0; at != NULL && i < message->count; i++) {
        at = message->kind == KEY_MESSAGE_SIGN ? put_request(at, &message->requests[i])
                                               : put_answer(at, &message->answers[i]);
    }
    return at;
}

size_t key_message_encode(const struct key_message *message, uint8_t *packet)
{
    size_t count = is_batch(message->kind) ? message->count : 1;
    if (count == 0 || count > KEY_CHANNEL_BATCH_MAX) {
        return 0;
    }
    uint8_t *at = put_number(packet, message->kind, 1);
    at = put_number(at, count, 1);
    at = put_number(at, 0, 2);
    if (is_batch(message->kind)) {
        at = put_batch(at, message);
    } else if (message->kind == KEY_MESSAGE_ASK_TICKETS) {
        at = put_number(at, message->tickets.keys.epoch, 8);
    } else {
        at = put_tickets(at, message);
    }
    return at != NULL ? (size_t)(at - packet) : 0;
}

static bool kind_may_arrive(uint64_t kind, bool from_worker)
{
    if (from_worker) {
        return kind == KEY_MESSAGE_SIGN || kind == KEY_MESSAGE_ASK_TICKETS;
    }
    return kind == KEY_MESSAGE_SIGNED || kind == KEY_MESSAGE_TICKETS;
}

static void get_body(struct reader *reader, struct key_message *message)
{
    if (message->kind == KEY_MESSAGE_ASK_TICKETS) {
        message->tickets.status = KEY_STATUS_DONE;
        message->tickets.keys = (struct ticket_keys){.epoch = get_number(reader, 8)};
        return;
    }
    if (message->kind == KEY_MESSAGE_TICKETS) {
        get_tickets(reader, message);
        return;
    }
    for (size_t i = 0; !reader->bad && i < message->count; i++) {
        if (message->kind == KEY_MESSAGE_SIGN) {
            get_request(reader, &message->requests[i]);
        } else {
            get_answer(reader, &message->answers[i]);
        }
    }
}

bool key_message_decode(struct key_message *message, const uint8_t *packet, size_t len,
                        bool from_worker)
{
    struct reader reader = {.at = packet, .left = len};
    uint64_t kind = get_number(&reader, 1);
    uint64_t count = get_number(&reader, 1);
    uint64_t reserved = get_number(&reader, 2);
    if (reader.bad || !kind_may_arrive(kind, from_worker) || reserved != 0) {
        return false;
    }
    message->kind = (enum key_message_kind)kind;
    message->count = (size_t)count;
    size_t most = is_batch(message->kind) ? KEY_CHANNEL_BATCH_MAX : 1;
    if (count == 0 || count > most) {
        return false;
    }
    get_body(&reader, message);
    return !reader.bad && reader.left == 0;
}

void key_message_wipe(struct key_message *message)
{
    OPENSSL_cleanse(message, sizeof(*message));
}
