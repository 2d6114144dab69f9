/* tests/fuzz/key_client_fuzz.c
 *
 * A worker whose keyholder is in the attacker's hands: handshakes are parked, answers come in any
 * order, doubled, for slots nobody asked with, and keyholders die in between. Each handshake must
 * be woken once and end, with a signature only if one was sent for it.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "crypto/key_client.h"

#include <openssl/async.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "crypto/key_channel.h"
#include "proxy/base/assert.h"
#include "tests/fuzz/fuzz_input.h"

enum {
    PARKED_MAX = 6,
    HANDSHAKES = PARKED_MAX + 2, /* more than may be parked */
    RAW_MAX = 300,
    KEY_ID = 7,
};

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len);

struct stage;

struct handshake {
    struct stage *stage;
    ASYNC_JOB *job; /* NULL: there is none */
    ASYNC_WAIT_CTX *wait;
    bool is_awake;
    uint8_t mark; /* its hash, and the only signature that is good for it */
};

struct stage {
    struct key_client *client;
    int far; /* the keyholder's end; -1: none */
    struct handshake handshakes[HANDSHAKES];
    struct key_request asked[PARKED_MAX]; /* what the keyholders were asked last */
    size_t asked_count;
    uint8_t marks;
    struct fuzz_input input;
};

/* ---- handshakes ---- */

static int on_wake(void *argument)
{
    struct handshake *handshake = argument;
    assert_always(!handshake->is_awake); /* once */
    handshake->is_awake = true;
    return 1;
}

static int sign(void *argument)
{
    struct handshake *handshake = *(struct handshake **)argument;
    static uint8_t signature[KEY_SIGNATURE_BYTES_MAX];
    const uint8_t hash[KEY_HASH_BYTES_MAX] = {handshake->mark};
    size_t len = 0;
    bool is_signed =
        key_client_sign(handshake->stage->client, KEY_ID, key_scheme_facts(KEY_SCHEME_ECDSA_SHA256),
                        hash, signature, &len);
    assert_always(!is_signed || (len > 0 && len <= KEY_SIGNATURE_BYTES_MAX));
    /* No other one's, unless the keyholder lies about it. */
    assert_always(!is_signed || signature[0] == handshake->mark || signature[0] == 0);
    return 1;
}

static void resume(struct handshake *handshake)
{
    int result = 0;
    int how = ASYNC_start_job(&handshake->job, handshake->wait, &result, sign, &handshake,
                              sizeof(struct handshake *));
    assert_always(how == ASYNC_PAUSE || how == ASYNC_FINISH);
    if (how == ASYNC_FINISH) {
        ASYNC_WAIT_CTX_free(handshake->wait);
        *handshake = (struct handshake){.stage = handshake->stage};
    }
}

static void begin(struct stage *stage, struct handshake *handshake)
{
    if (handshake->wait != NULL) {
        return;
    }
    handshake->wait = ASYNC_WAIT_CTX_new();
    assert_always(handshake->wait != NULL &&
                  ASYNC_WAIT_CTX_set_callback(handshake->wait, on_wake, handshake) == 1);
    stage->marks = (uint8_t)(stage->marks % 255 + 1);
    handshake->mark = stage->marks;
    resume(handshake);
}

static void resume_the_woken(struct stage *stage)
{
    for (size_t i = 0; i < HANDSHAKES; i++) {
        if (stage->handshakes[i].is_awake) {
            stage->handshakes[i].is_awake = false;
            resume(&stage->handshakes[i]);
            assert_always(stage->handshakes[i].wait == NULL); /* it was over */
        }
    }
}

/* ---- keyholders ---- */

static void die(struct stage *stage)
{
    if (stage->far >= 0) {
        (void)close(stage->far);
        stage->far = -1;
    }
}

static void attach(struct stage *stage)
{
    int pair[2];
    die(stage);
    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) == 0) {
        stage->far = pair[1];
        key_client_attach(stage->client, pair[0]);
    }
}

/* Keeps what it is asked, the latest in place of the earliest. */
static void hear(struct stage *stage)
{
    static struct key_message message;
    static uint8_t packet[KEY_CHANNEL_PACKET_MAX];
    ssize_t got = stage->far < 0 ? -1 : recv(stage->far, packet, sizeof(packet), MSG_DONTWAIT);
    if (got <= 0) {
        return;
    }
    assert_always(key_message_decode(&message, packet, (size_t)got, true));
    for (size_t i = 0; message.kind == KEY_MESSAGE_SIGN && i < message.count; i++) {
        assert_always(message.requests[i].key_id == KEY_ID);
        stage->asked[stage->asked_count++ % PARKED_MAX] = message.requests[i];
    }
}

/* The right signatures, in any order and as often as the programme says; or a wrong generation. */
static void answer(struct stage *stage)
{
    static struct key_message message;
    static uint8_t packet[KEY_CHANNEL_PACKET_MAX];
    uint8_t shape = fuzz_input_take(&stage->input);
    message = (struct key_message){.kind = KEY_MESSAGE_SIGNED, .count = 1 + (shape & 3)};
    for (size_t i = 0; i < message.count; i++) {
        uint8_t which = fuzz_input_take(&stage->input);
        const struct key_request *request = &stage->asked[which % PARKED_MAX];
        struct key_answer *sent = &message.answers[i];
        sent->slot = request->slot;
        sent->generation = request->generation + (which > 250 ? 1U : 0U);
        sent->status = (shape & 4) != 0 ? KEY_STATUS_FAILED : KEY_STATUS_DONE;
        sent->signature_len = sent->status == KEY_STATUS_DONE ? 1U + (shape >> 3) : 0;
        sent->signature[0] = which > 250 ? 0 : request->hash[0]; /* a lie is known by its zero */
    }
    size_t len = key_message_encode(&message, packet);
    if (stage->far >= 0 && len > 0) {
        (void)!send(stage->far, packet, len, MSG_DONTWAIT | MSG_NOSIGNAL);
    }
}

/* Bytes as they come, but for signatures, which would be lies that nobody knows.
 */
static void answer_anything(struct stage *stage)
{
    static struct key_message message;
    size_t len = (size_t)fuzz_input_take(&stage->input) + (fuzz_input_take(&stage->input) & 31);
    len = len > stage->input.left ? stage->input.left : len;
    bool is_signature = key_message_decode(&message, stage->input.at, len, false) &&
                        message.kind == KEY_MESSAGE_SIGNED;
    if (stage->far >= 0 && len > 0 && !is_signature) {
        (void)!send(stage->far, stage->input.at, len, MSG_DONTWAIT | MSG_NOSIGNAL);
    }
    stage->input.at += len;
    stage->input.left -= len;
}

/* ---- the programme ---- */

static void step(struct stage *stage)
{
    uint8_t what = fuzz_input_take(&stage->input);
    switch (what & 15) {
    case 0:
        attach(stage);
        break;
    case 1:
        die(stage);
        break;
    case 2:
        answer_anything(stage);
        break;
    case 3:
        key_client_on_tick(stage->client);
        break;
    case 4:
        (void)key_client_ask_tickets(stage->client, fuzz_input_take(&stage->input));
        break;
    case 5:
    case 6:
        key_client_on_readable(stage->client);
        break;
    case 7:
    case 8:
        key_client_flush(stage->client);
        break;
    case 9:
        hear(stage);
        break;
    case 10:
    case 11:
        answer(stage);
        break;
    case 12:
        resume_the_woken(stage);
        break;
    default:
        begin(stage, &stage->handshakes[(what >> 4) % HANDSHAKES]);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
    static struct stage stage;
    stage = (struct stage){.far = -1, .input = {bytes, len}};
    stage.client = key_client_new(PARKED_MAX, NULL, NULL);
    if (stage.client == NULL) {
        return 0;
    }
    for (size_t i = 0; i < HANDSHAKES; i++) {
        stage.handshakes[i].stage = &stage;
    }
    attach(&stage);
    while (stage.input.left > 0) {
        step(&stage);
    }
    resume_the_woken(&stage);
    key_client_detach(stage.client); /* fails and wakes all that are parked still */
    resume_the_woken(&stage);
    for (size_t i = 0; i < HANDSHAKES; i++) {
        assert_always(stage.handshakes[i].wait == NULL);
    }
    assert_always(key_client_waiting(stage.client) == 0);
    key_client_free(stage.client);
    die(&stage);
    return 0;
}
