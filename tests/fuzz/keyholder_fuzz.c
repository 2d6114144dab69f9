/* tests/fuzz/keyholder_fuzz.c
 *
 * A keyholder and four workers that are all in the attacker's hands. The bytes are a programme of
 * what the workers and the master do, in any order. It must go on turning; and a signature may only
 * come for what was asked, once, over the channel that asked, with a key granted to it.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "crypto/keyholder.h"

#include <openssl/evp.h>
#include <openssl/pem.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "crypto/key_channel.h"
#include "proxy/base/assert.h"
#include "tests/fuzz/fuzz_input.h"

enum {
    WORKERS = 4,
    KEYS = 6,
    ROUNDS = 64, /* turns that answer whatever a programme has asked */
    RAW_MAX = 300,
    PEM_MAX = 512,
};

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len);

struct asked {
    bool is_open;
    uint32_t generation;
    uint32_t key_id;
};

struct worker {
    int end; /* -1: none */
    bool was_granted[KEYS];
    struct asked slots[KEY_CHANNEL_SLOTS_MAX];
};

struct stage {
    struct keyholder *keyholder;
    int master[2];
    struct worker workers[WORKERS];
    struct fuzz_input input;
};

/* ---- what workers do ---- */

static void forget(struct worker *worker)
{
    if (worker->end >= 0) {
        (void)close(worker->end);
    }
    memset(worker, 0, sizeof(*worker));
    worker->end = -1;
}

/* One packet. False: none is there. */
static bool hear(struct worker *worker)
{
    static struct key_message message;
    static uint8_t packet[KEY_CHANNEL_PACKET_MAX];
    ssize_t got = worker->end < 0 ? -1 : recv(worker->end, packet, sizeof(packet), MSG_DONTWAIT);
    if (got <= 0) {
        return false;
    }
    assert_always(key_message_decode(&message, packet, (size_t)got, false));
    for (size_t i = 0; message.kind == KEY_MESSAGE_SIGNED && i < message.count; i++) {
        const struct key_answer *answer = &message.answers[i];
        struct asked *asked = &worker->slots[answer->slot];
        assert_always(asked->is_open && asked->generation == answer->generation);
        assert_always(answer->status == KEY_STATUS_FAILED ||
                      (asked->key_id < KEYS && worker->was_granted[asked->key_id]));
        asked->is_open = false;
    }
    return true;
}

/* Who asks with a slot before he has heard the answer breaks the rules; the first question counts.
 */
static void note_asked(struct worker *worker, const uint8_t *packet, size_t len)
{
    static struct key_message message;
    if (!key_message_decode(&message, packet, len, true) || message.kind != KEY_MESSAGE_SIGN) {
        return;
    }
    for (size_t i = 0; i < message.count; i++) {
        const struct key_request *request = &message.requests[i];
        worker->slots[request->slot] = (struct asked){true, request->generation, request->key_id};
    }
}

static void say(struct worker *worker, const uint8_t *packet, size_t len)
{
    while (hear(worker)) {
    }
    if (worker->end >= 0 && len > 0 &&
        send(worker->end, packet, len, MSG_DONTWAIT | MSG_NOSIGNAL) == (ssize_t)len) {
        note_asked(worker, packet, len);
    }
}

static void say_anything(struct stage *stage, struct worker *worker)
{
    size_t len = (size_t)fuzz_input_take(&stage->input) + (fuzz_input_take(&stage->input) & 31);
    len = len > stage->input.left ? stage->input.left : len;
    say(worker, stage->input.at, len > RAW_MAX ? RAW_MAX : len);
    stage->input.at += len;
    stage->input.left -= len;
}

static void ask_signatures(struct stage *stage, struct worker *worker)
{
    static struct key_message message;
    static uint8_t packet[KEY_CHANNEL_PACKET_MAX];
    message = (struct key_message){.kind = KEY_MESSAGE_SIGN,
                                   .count = 1 + (fuzz_input_take(&stage->input) & 7)};
    for (size_t i = 0; i < message.count; i++) {
        uint8_t shape = fuzz_input_take(&stage->input);
        message.requests[i] = (struct key_request){
            .slot = (uint16_t)(fuzz_input_take(&stage->input) * 4),
            .generation = shape,
            .key_id = shape % KEYS,
            .scheme = (shape & 64) != 0 ? KEY_SCHEME_RSA_PSS_SHA256 : KEY_SCHEME_ECDSA_SHA256};
    }
    say(worker, packet, key_message_encode(&message, packet));
}

static void ask_tickets(struct stage *stage, struct worker *worker)
{
    static struct key_message message;
    uint8_t packet[KEY_CHANNEL_PACKET_MAX];
    message = (struct key_message){.kind = KEY_MESSAGE_ASK_TICKETS};
    message.tickets.keys.epoch = fuzz_input_take(&stage->input);
    say(worker, packet, key_message_encode(&message, packet));
}

/* ---- what the master does ---- */

static void add_worker(struct stage *stage, uint32_t number)
{
    struct worker *worker = &stage->workers[number];
    uint8_t granted = fuzz_input_take(&stage->input);
    uint32_t ids[KEYS];
    size_t count = 0;
    int pair[2];
    forget(worker);
    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) != 0) {
        return;
    }
    worker->end = pair[0];
    for (uint32_t id = 0; id < KEYS; id++) {
        worker->was_granted[id] = (granted >> id & 1) != 0;
        if (worker->was_granted[id]) {
            ids[count++] = id;
        }
    }
    assert_always(keyholder_add_worker(stage->keyholder, number, pair[1], ids, count, NULL));
}

static void grant(struct stage *stage)
{
    uint8_t first = fuzz_input_take(&stage->input) % KEYS;
    assert_always(keyholder_grant(stage->keyholder, first, 2, NULL));
    for (size_t i = 0; i < WORKERS; i++) {
        for (size_t id = first; id < KEYS && id < first + 2U; id++) {
            stage->workers[i].was_granted[id] = true;
        }
    }
}

static void add_key(struct stage *stage, uint32_t id)
{
    static uint8_t pem[PEM_MAX];
    static size_t pem_len;
    if (pem_len == 0) {
        EVP_PKEY *key = EVP_PKEY_Q_keygen(NULL, NULL, "EC", "P-256");
        BIO *out = BIO_new(BIO_s_mem());
        assert_always(PEM_write_bio_PrivateKey(out, key, NULL, NULL, 0, NULL, NULL) == 1);
        pem_len = (size_t)BIO_read(out, pem, sizeof(pem));
        BIO_free(out);
        EVP_PKEY_free(key);
    }
    assert_always(keyholder_add_key(stage->keyholder, id, pem, pem_len, NULL, NULL));
}

/* ---- the programme ---- */

static void step(struct stage *stage)
{
    uint8_t what = fuzz_input_take(&stage->input);
    struct worker *worker = &stage->workers[what >> 4 & (WORKERS - 1)];
    switch (what & 15) {
    case 0:
        add_worker(stage, (uint32_t)(worker - stage->workers));
        return;
    case 1:
        say_anything(stage, worker);
        return;
    case 2:
        ask_tickets(stage, worker);
        return;
    case 3:
        forget(worker);
        return;
    case 4:
        grant(stage);
        return;
    case 5:
        keyholder_remove_keys(stage->keyholder, fuzz_input_take(&stage->input) % KEYS, 2);
        return;
    case 6:
        add_key(stage, fuzz_input_take(&stage->input) % KEYS);
        return;
    case 7:
    case 8:
    case 9:
        assert_always(keyholder_turn(stage->keyholder, 0));
        return;
    case 10:
    case 11:
        (void)hear(worker);
        return;
    default:
        ask_signatures(stage, worker);
    }
}

static uint64_t first_epoch(void *self)
{
    (void)self;
    return 1; /* so that a byte can name an epoch that is given out */
}

static bool open_stage(struct stage *stage)
{
    const struct keyholder_settings settings = {.master_descriptor = stage->master[1],
                                                .now = first_epoch};
    stage->keyholder = keyholder_new(&settings, NULL);
    if (stage->keyholder == NULL) {
        return false;
    }
    for (uint32_t i = 0; i < WORKERS; i++) {
        stage->workers[i].end = -1;
        add_worker(stage, i);
        add_key(stage, i);
    }
    return true;
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
    static struct stage stage;
    stage = (struct stage){.input = {bytes, len}};
    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, stage.master) != 0) {
        return 0;
    }
    bool is_open = open_stage(&stage);
    while (is_open && stage.input.left > 0) {
        step(&stage);
    }
    for (size_t i = 0; is_open && i < ROUNDS; i++) {
        assert_always(keyholder_turn(stage.keyholder, 0));
        (void)hear(&stage.workers[i % WORKERS]);
    }
    for (size_t i = 0; is_open && i < WORKERS; i++) {
        forget(&stage.workers[i]);
    }
    (void)close(stage.master[0]);
    assert_always(!is_open || !keyholder_turn(stage.keyholder, 0));
    keyholder_free(stage.keyholder);
    (void)close(stage.master[1]);
    return 0;
}
