/* tests/unit/crypto/keyholder_test.c · SPDX-License-Identifier: Apache-2.0 */
#include "crypto/keyholder.h"

#include "crypto/key_channel.h"
#include "crypto/rig.h"
#include "crypto/rsa_batch_fake.h"

#include <openssl/rsa.h>
#include <sys/prctl.h>
#include <sys/resource.h>

enum { EPOCH_SECONDS = 3600, NOW = 3600 * 1000 + 5, WORKERS = 3 };

/* A keyholder in this process, turned by hand. Worker 0 and 1 may use both keys, worker 2 none. */
struct fixture {
    struct rig_identity rsa;
    struct rig_identity ec;
    struct keyholder *keyholder;
    int master;
    int master_far;
    int workers[WORKERS];
    struct key_message in;
    struct key_message out;
};

static uint64_t fixed_now(void *self)
{
    (void)self;
    return NOW;
}

static void add_worker(struct fixture *fixture, size_t index, const uint32_t *ids, size_t count)
{
    int pair[2];
    assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair), 0);
    assert_true(
        keyholder_add_worker(fixture->keyholder, (uint32_t)index, pair[1], ids, count, NULL));
    fixture->workers[index] = pair[0];
}

static int set_up(void **state)
{
    struct fixture *fixture = *state;
    memset(&fake_batch, 0, sizeof(fake_batch));
    int pair[2];
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
    fixture->master = pair[0];
    fixture->master_far = pair[1];
    struct secret secret;
    assert_true(secret_init(&secret, 32) &&
                secret_set(&secret, "0123456789abcdef0123456789abcdef", 32));
    struct keyholder_settings settings = {.master_descriptor = pair[1],
                                          .ticket_secret = &secret,
                                          .ticket_epoch_seconds = EPOCH_SECONDS,
                                          .now = fixed_now};
    fixture->keyholder = keyholder_new(&settings, NULL);
    assert_non_null(fixture->keyholder);
    secret_fini(&secret);
    assert_true(keyholder_add_key(fixture->keyholder, RIG_EC_ID, fixture->ec.pem,
                                  fixture->ec.pem_len, NULL, NULL));
    assert_true(keyholder_add_key(fixture->keyholder, RIG_RSA_ID, fixture->rsa.pem,
                                  fixture->rsa.pem_len, NULL, NULL));
    const uint32_t ids[] = {RIG_EC_ID, RIG_RSA_ID};
    add_worker(fixture, 0, ids, 2);
    add_worker(fixture, 1, ids, 2);
    add_worker(fixture, 2, NULL, 0);
    return 0;
}

static int tear_down(void **state)
{
    struct fixture *fixture = *state;
    keyholder_free(fixture->keyholder);
    close(fixture->master);
    close(fixture->master_far);
    for (size_t i = 0; i < WORKERS; i++) {
        close(fixture->workers[i]);
    }
    return 0;
}

static void ask(struct fixture *fixture, size_t worker, uint32_t key_id, enum key_scheme scheme,
                uint16_t slot, size_t count)
{
    fixture->out = (struct key_message){.kind = KEY_MESSAGE_SIGN, .count = count};
    for (size_t i = 0; i < count; i++) {
        struct key_request *request = &fixture->out.requests[i];
        *request = (struct key_request){.slot = (uint16_t)(slot + i),
                                        .generation = 100u + slot,
                                        .key_id = key_id,
                                        .scheme = scheme};
        memset(request->hash, 0x61, key_scheme_facts(scheme)->hash_bytes);
    }
    uint8_t packet[KEY_CHANNEL_PACKET_MAX];
    size_t len = key_message_encode(&fixture->out, packet);
    assert_int_equal(send(fixture->workers[worker], packet, len, MSG_NOSIGNAL), len);
}

static void ask_tickets(struct fixture *fixture, size_t worker, uint64_t epoch)
{
    fixture->out = (struct key_message){.kind = KEY_MESSAGE_ASK_TICKETS, .count = 1};
    fixture->out.tickets.keys.epoch = epoch;
    uint8_t packet[KEY_CHANNEL_PACKET_MAX];
    size_t len = key_message_encode(&fixture->out, packet);
    assert_int_equal(send(fixture->workers[worker], packet, len, MSG_NOSIGNAL), len);
}

/* 1: a message is in `in`; 0: nothing there; -1: the channel is closed. */
static int receive(struct fixture *fixture, size_t worker)
{
    uint8_t packet[KEY_CHANNEL_PACKET_MAX];
    ssize_t got = recv(fixture->workers[worker], packet, sizeof(packet), MSG_DONTWAIT);
    if (got < 0 && errno == EAGAIN) {
        return 0;
    }
    if (got <= 0) {
        return -1;
    }
    assert_true(key_message_decode(&fixture->in, packet, (size_t)got, false));
    return 1;
}

static void turns(struct fixture *fixture, int count)
{
    for (int i = 0; i < count; i++) {
        assert_true(keyholder_turn(fixture->keyholder, 0));
    }
}

static void check_signature(const struct fixture *fixture, const struct key_answer *answer,
                            enum key_scheme scheme)
{
    const struct key_scheme_facts *facts = key_scheme_facts(scheme);
    X509 *certificate =
        facts->family == KEY_FAMILY_ECDSA ? fixture->ec.certificate : fixture->rsa.certificate;
    EVP_PKEY_CTX *verify = EVP_PKEY_CTX_new_from_pkey(NULL, X509_get0_pubkey(certificate), NULL);
    EVP_MD *digest = EVP_MD_fetch(NULL, facts->digest, NULL);
    assert_int_equal(EVP_PKEY_verify_init(verify), 1);
    if (facts->family == KEY_FAMILY_RSA_PSS) {
        assert_int_equal(EVP_PKEY_CTX_set_rsa_padding(verify, RSA_PKCS1_PSS_PADDING), 1);
    }
    assert_int_equal(EVP_PKEY_CTX_set_signature_md(verify, digest), 1);
    if (facts->family == KEY_FAMILY_RSA_PSS) {
        assert_int_equal(EVP_PKEY_CTX_set_rsa_pss_saltlen(verify, RSA_PSS_SALTLEN_DIGEST), 1);
    }
    uint8_t hash[KEY_HASH_BYTES_MAX];
    memset(hash, 0x61, sizeof(hash));
    assert_int_equal(
        EVP_PKEY_verify(verify, answer->signature, answer->signature_len, hash, facts->hash_bytes),
        1);
    EVP_MD_free(digest);
    EVP_PKEY_CTX_free(verify);
}

static void every_scheme_is_signed(void **state)
{
    struct fixture *fixture = *state;
    for (unsigned number = 1; number <= KEY_SCHEME_COUNT; number++) {
        enum key_scheme scheme = key_scheme_facts(number)->scheme;
        bool is_ec = key_scheme_facts(number)->family == KEY_FAMILY_ECDSA;
        ask(fixture, 0, is_ec ? RIG_EC_ID : RIG_RSA_ID, scheme, (uint16_t)number, 1);
        turns(fixture, 1);
        assert_int_equal(receive(fixture, 0), 1);
        assert_int_equal(fixture->in.answers[0].status, KEY_STATUS_DONE);
        assert_int_equal(fixture->in.answers[0].slot, number);
        assert_int_equal(fixture->in.answers[0].generation, 100 + number);
        check_signature(fixture, &fixture->in.answers[0], scheme);
    }
    assert_int_equal(keyholder_counters(fixture->keyholder)->signatures, KEY_SCHEME_COUNT);
}

static void workers_are_signed_for_in_rotation(void **state)
{
    struct fixture *fixture = *state;
    ask(fixture, 0, RIG_EC_ID, KEY_SCHEME_ECDSA_SHA256, 0, 8);
    ask(fixture, 0, RIG_EC_ID, KEY_SCHEME_ECDSA_SHA256, 8, 8);
    ask(fixture, 1, RIG_EC_ID, KEY_SCHEME_ECDSA_SHA256, 0, 1);
    turns(fixture, 3);
    assert_int_equal(receive(fixture, 1), 1); /* not after the sixteen of worker 0 */
    turns(fixture, 20);
    int answered = 0;
    while (receive(fixture, 0) == 1) {
        answered += (int)fixture->in.count;
    }
    assert_int_equal(answered, 16);
}

struct bad_packet {
    const char *name;
    uint8_t bytes[20];
    size_t len;
};

static void a_bad_packet_closes_its_channel_only(void **state)
{
    struct fixture *fixture = *state;
    static const struct bad_packet rows[] = {
        {"one byte", {1}, 1},
        {"all zero", {0}, 16},
        {"an answer", {2, 1, 0, 0, 0, 1, 0, 0, 0, 1, 1, 0, 0, 0}, 14},
        {"ticket keys", {4, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 1}, 13},
        {"cut", {1, 1, 0, 0, 0, 1}, 6},
    };
    uint64_t bad = 0;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        send(fixture->workers[0], rows[i].bytes, rows[i].len, MSG_NOSIGNAL);
        turns(fixture, 1);
        if (receive(fixture, 0) != -1) {
            fail_msg("accepted: %s", rows[i].name);
        }
        assert_int_equal(keyholder_counters(fixture->keyholder)->bad_messages, ++bad);
        close(fixture->workers[0]);
        const uint32_t ids[] = {RIG_RSA_ID};
        add_worker(fixture, 0, ids, 1);
    }
    ask(fixture, 1, RIG_EC_ID, KEY_SCHEME_ECDSA_SHA256, 0, 1);
    turns(fixture, 1);
    assert_int_equal(receive(fixture, 1), 1);
}

static void a_packet_longer_than_any_closes_its_channel(void **state)
{
    struct fixture *fixture = *state;
    static uint8_t packet[KEY_CHANNEL_PACKET_MAX * 4] = {KEY_MESSAGE_SIGN, 1};
    send(fixture->workers[0], packet, sizeof(packet), MSG_NOSIGNAL);
    turns(fixture, 1);
    assert_int_equal(receive(fixture, 0), -1);
    assert_int_equal(keyholder_counters(fixture->keyholder)->bad_messages, 1);
}

static void a_slot_asked_for_twice_closes_its_channel(void **state)
{
    struct fixture *fixture = *state;
    ask(fixture, 0, RIG_RSA_ID, KEY_SCHEME_RSA_PSS_SHA256, 5, 3);
    ask(fixture, 0, RIG_RSA_ID, KEY_SCHEME_RSA_PSS_SHA256, 7, 1);
    turns(fixture, 1);
    assert_int_equal(receive(fixture, 0), -1);
    assert_int_equal(keyholder_counters(fixture->keyholder)->bad_messages, 1);
}

static void a_slot_may_be_used_again_after_its_answer(void **state)
{
    struct fixture *fixture = *state;
    for (int i = 0; i < 3; i++) {
        ask(fixture, 0, RIG_EC_ID, KEY_SCHEME_ECDSA_SHA384, 5, 1);
        turns(fixture, 1);
        assert_int_equal(receive(fixture, 0), 1);
    }
}

static void wrong_keys_close_the_channel(void **state)
{
    static const struct {
        size_t worker;
        uint32_t key_id;
        enum key_scheme scheme;
    } rows[] = {
        {2, RIG_RSA_ID, KEY_SCHEME_RSA_PSS_SHA256},      /* not granted */
        {0, RIG_STRANGER_ID, KEY_SCHEME_RSA_PSS_SHA256}, /* neither granted nor there */
        {1, RIG_EC_ID, KEY_SCHEME_RSA_PKCS1_SHA256},     /* does not fit the key */
    };
    struct fixture *fixture = *state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        ask(fixture, rows[i].worker, rows[i].key_id, rows[i].scheme, 1, 1);
        turns(fixture, 1);
        assert_int_equal(receive(fixture, rows[i].worker), -1);
        assert_int_equal(keyholder_counters(fixture->keyholder)->bad_keys, i + 1);
    }
    assert_int_equal(keyholder_counters(fixture->keyholder)->signatures, 0);
}

static void a_key_removed_while_asked_for_fails_the_request_only(void **state)
{
    struct fixture *fixture = *state;
    ask(fixture, 0, RIG_RSA_ID, KEY_SCHEME_RSA_PSS_SHA256, 1, 2);
    turns(fixture, 1);
    assert_int_equal(receive(fixture, 0), 1);
    assert_int_equal(fixture->in.answers[0].status, KEY_STATUS_DONE);
    keyholder_remove_key(fixture->keyholder, RIG_RSA_ID);
    keyholder_remove_key(fixture->keyholder, RIG_RSA_ID);
    turns(fixture, 1);
    assert_int_equal(receive(fixture, 0), 1);
    assert_int_equal(fixture->in.answers[0].status, KEY_STATUS_FAILED);
    assert_int_equal(fixture->in.answers[0].slot, 2);
}

static void keys_of_a_generation_are_granted_to_all_and_go_together(void **state)
{
    struct fixture *fixture = *state;
    enum { BASE = 8 * KEYHOLDER_KEYS_MAX };
    struct keyholder *keyholder = fixture->keyholder;
    assert_true(
        keyholder_add_key(keyholder, BASE, fixture->ec.pem, fixture->ec.pem_len, NULL, NULL));
    assert_true(
        keyholder_add_key(keyholder, BASE + 1, fixture->rsa.pem, fixture->rsa.pem_len, NULL, NULL));
    assert_true(keyholder_grant(keyholder, BASE, 2, NULL));
    for (size_t worker = 0; worker < WORKERS; worker++) { /* also the one without any grant */
        ask(fixture, worker, BASE, KEY_SCHEME_ECDSA_SHA256, 1, 1);
        turns(fixture, 1);
        assert_int_equal(receive(fixture, worker), 1);
        assert_int_equal(fixture->in.answers[0].status, KEY_STATUS_DONE);
    }
    keyholder_remove_keys(keyholder, BASE, KEYHOLDER_KEYS_MAX);
    ask(fixture, 0, RIG_RSA_ID, KEY_SCHEME_RSA_PSS_SHA256, 2, 1); /* others stay */
    turns(fixture, 1);
    assert_int_equal(receive(fixture, 0), 1);
    assert_int_equal(fixture->in.answers[0].status, KEY_STATUS_DONE);
    ask(fixture, 0, BASE + 1, KEY_SCHEME_RSA_PSS_SHA256, 3, 1);
    turns(fixture, 1);
    assert_int_equal(receive(fixture, 0), -1);
    assert_int_equal(keyholder_counters(keyholder)->bad_keys, 1);
}

static void epochs_around_the_present_are_given_out_and_no_others(void **state)
{
    struct fixture *fixture = *state;
    static const struct {
        uint64_t epoch;
        enum key_status status;
    } rows[] = {
        {999, KEY_STATUS_DONE},          {1000, KEY_STATUS_DONE},   {1001, KEY_STATUS_DONE},
        {998, KEY_STATUS_FAILED},        {1002, KEY_STATUS_FAILED}, {0, KEY_STATUS_FAILED},
        {UINT64_MAX, KEY_STATUS_FAILED},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        ask_tickets(fixture, 2, rows[i].epoch);
        turns(fixture, 1);
        assert_int_equal(receive(fixture, 2), 1);
        assert_int_equal(fixture->in.kind, KEY_MESSAGE_TICKETS);
        assert_int_equal(fixture->in.tickets.keys.epoch, rows[i].epoch);
        assert_int_equal(fixture->in.tickets.status, rows[i].status);
    }
    assert_int_equal(keyholder_counters(fixture->keyholder)->tickets, 3);
}

static void workers_get_the_same_ticket_keys(void **state)
{
    struct fixture *fixture = *state;
    ask_tickets(fixture, 0, 1000);
    ask_tickets(fixture, 1, 1000);
    turns(fixture, 2);
    assert_int_equal(receive(fixture, 0), 1);
    struct ticket_keys first = fixture->in.tickets.keys;
    assert_int_equal(receive(fixture, 1), 1);
    assert_memory_equal(&first, &fixture->in.tickets.keys, sizeof(first));
}

/* Worker 0 never reads: its socket fills, its requests wait, and worker 1 is served as before. */
static void a_worker_that_does_not_read_stops_only_itself(void **state)
{
    struct fixture *fixture = *state;
    for (int round = 0; round < 200; round++) {
        ask_tickets(fixture, 0, 1000);
        for (int i = 0; i < 5; i++) {
            turns(fixture, 1);
        }
    }
    for (uint16_t slot = 0; slot < 1000; slot = (uint16_t)(slot + 8)) {
        ask(fixture, 0, RIG_EC_ID, KEY_SCHEME_ECDSA_SHA256, slot, 8);
        turns(fixture, 8);
    }
    ask(fixture, 1, RIG_EC_ID, KEY_SCHEME_ECDSA_SHA256, 0, 1);
    turns(fixture, 3);
    assert_int_equal(receive(fixture, 1), 1);
    int answered = 0;
    for (int round = 0; round < 5000; round++) {
        int got = receive(fixture, 0);
        assert_int_not_equal(got, -1);
        answered += got == 1 && fixture->in.kind == KEY_MESSAGE_SIGNED ? (int)fixture->in.count : 0;
        turns(fixture, 1);
    }
    assert_int_equal(answered, 1000);
}

/* ---- batches ---- */

/* Reads what is answered to a worker: every answer must be a good signature of the scheme that
 * ask_mixed has given to its slot. Returns how many. */
static size_t check_mixed(struct fixture *fixture, size_t worker)
{
    size_t answered = 0;
    while (receive(fixture, worker) == 1) {
        for (size_t i = 0; i < fixture->in.count; i++) {
            const struct key_answer *answer = &fixture->in.answers[i];
            assert_int_equal(answer->status, KEY_STATUS_DONE);
            check_signature(fixture, answer, key_scheme_facts(1 + answer->slot % 6u)->scheme);
        }
        answered += fixture->in.count;
    }
    return answered;
}

/* `count` requests of all RSA schemes in turn. */
static void ask_mixed(struct fixture *fixture, size_t worker, size_t count)
{
    for (uint16_t slot = 0; slot < count; slot++) {
        ask(fixture, worker, RIG_RSA_ID, key_scheme_facts(1 + slot % 6u)->scheme, slot, 1);
    }
}

static void any_number_of_requests_is_answered(void **state)
{
    struct fixture *fixture = *state;
    uint64_t batches = 0;
    for (size_t count = 1; count <= 20; count++) {
        ask_mixed(fixture, 0, count);
        turns(fixture, (int)count);
        assert_int_equal(check_mixed(fixture, 0), count);
        batches += count / 8 + (count % 8 >= 4 ? 1 : 0);
        assert_int_equal(keyholder_counters(fixture->keyholder)->batches, batches);
    }
    assert_int_equal(keyholder_counters(fixture->keyholder)->signatures, 210);
    assert_int_equal(keyholder_counters(fixture->keyholder)->faults, 0);
    assert_int_equal(keyholder_batch_lanes(fixture->keyholder), 8);
}

static void all_workers_are_read_before_a_batch_is_made(void **state)
{
    struct fixture *fixture = *state;
    ask_mixed(fixture, 0, 4);
    ask_mixed(fixture, 1, 4);
    turns(fixture, 1);
    assert_int_equal(keyholder_counters(fixture->keyholder)->batches, 1);
    assert_int_equal(fake_batch.last_count, 8);
    assert_int_equal(receive(fixture, 0), 1);
    assert_int_equal(fixture->in.count, 4); /* one packet for each worker */
    assert_int_equal(receive(fixture, 1), 1);
    assert_int_equal(fixture->in.count, 4);
}

static void a_lone_request_does_not_wait_for_others(void **state)
{
    struct fixture *fixture = *state;
    ask_mixed(fixture, 0, 1);
    turns(fixture, 1);
    assert_int_equal(check_mixed(fixture, 0), 1);
    assert_int_equal(fake_batch.calls, 0);
}

static void a_faulty_signature_does_not_leave(void **state)
{
    struct fixture *fixture = *state;
    for (unsigned lane = 1; lane <= 8; lane++) {
        fake_batch.faulty_lane = lane;
        ask_mixed(fixture, 0, 8);
        turns(fixture, 1);
        assert_int_equal(check_mixed(fixture, 0), 8); /* OpenSSL has signed it again */
        assert_int_equal(keyholder_counters(fixture->keyholder)->faults, lane);
    }
    assert_int_equal(keyholder_counters(fixture->keyholder)->failures, 0);
    assert_int_equal(keyholder_counters(fixture->keyholder)->signatures, 64);
}

static void a_library_that_refuses_is_done_without(void **state)
{
    struct fixture *fixture = *state;
    fake_batch.private_fails = true;
    ask_mixed(fixture, 0, 8);
    turns(fixture, 1);
    assert_int_equal(check_mixed(fixture, 0), 8);
    assert_int_equal(keyholder_counters(fixture->keyholder)->faults, 8);
}

static void a_bad_request_among_good_ones_harms_its_worker_only(void **state)
{
    struct fixture *fixture = *state;
    ask_mixed(fixture, 0, 5);
    ask_mixed(fixture, 1, 5);
    ask(fixture, 1, RIG_STRANGER_ID, KEY_SCHEME_RSA_PSS_SHA256, 5, 1);
    ask(fixture, 1, RIG_RSA_ID, KEY_SCHEME_RSA_PSS_SHA256, 6, 2);
    turns(fixture, 2);
    assert_int_equal(check_mixed(fixture, 0), 5);
    assert_int_equal(receive(fixture, 1), -1);
    assert_int_equal(keyholder_counters(fixture->keyholder)->bad_keys, 1);
    assert_int_equal(keyholder_counters(fixture->keyholder)->signatures, 5);
}

static void other_schemes_and_kinds_are_answered_beside_batches(void **state)
{
    struct fixture *fixture = *state;
    ask_mixed(fixture, 0, 6);
    ask(fixture, 0, RIG_EC_ID, KEY_SCHEME_ECDSA_SHA256, 6, 3);
    ask(fixture, 1, RIG_EC_ID, KEY_SCHEME_ECDSA_SHA384, 0, 1);
    ask(fixture, 1, RIG_RSA_ID, KEY_SCHEME_RSA_PKCS1_SHA384, 1, 2);
    turns(fixture, 10);
    assert_int_equal(keyholder_counters(fixture->keyholder)->signatures, 12);
    assert_int_equal(keyholder_counters(fixture->keyholder)->batches, 1);
    assert_int_equal(fake_batch.wrong_mixes, 0);
}

static void a_key_removed_under_a_batch_fails_its_requests(void **state)
{
    struct fixture *fixture = *state;
    ask_mixed(fixture, 0, 16);
    turns(fixture, 1);
    assert_int_equal(check_mixed(fixture, 0), 8);
    keyholder_remove_key(fixture->keyholder, RIG_RSA_ID);
    turns(fixture, 8);
    for (int i = 0; i < 8; i++) {
        assert_int_equal(receive(fixture, 0), 1);
        assert_int_equal(fixture->in.answers[0].status, KEY_STATUS_FAILED);
    }
    assert_int_equal(keyholder_counters(fixture->keyholder)->failures, 8);
}

/* Worker 0 asks for more than anybody can sign; worker 1's eight come with the next two batches. */
static void a_flood_of_one_worker_leaves_lanes_to_the_others(void **state)
{
    struct fixture *fixture = *state;
    for (uint16_t slot = 0; slot < 200; slot = (uint16_t)(slot + 8)) {
        ask(fixture, 0, RIG_RSA_ID, KEY_SCHEME_RSA_PSS_SHA256, slot, 8);
    }
    turns(fixture, 1);
    ask_mixed(fixture, 1, 8);
    turns(fixture, 2);
    assert_int_equal(check_mixed(fixture, 1), 8);
}

static void without_the_library_it_signs_one_by_one(void **state)
{
    struct fixture *fixture = *state;
    fake_batch.is_missing = true;
    keyholder_free(fixture->keyholder);
    struct keyholder_settings settings = {.master_descriptor = fixture->master_far};
    fixture->keyholder = keyholder_new(&settings, NULL);
    assert_true(keyholder_add_key(fixture->keyholder, RIG_RSA_ID, fixture->rsa.pem,
                                  fixture->rsa.pem_len, NULL, NULL));
    for (size_t i = 0; i < WORKERS; i++) {
        close(fixture->workers[i]);
        const uint32_t ids[] = {RIG_RSA_ID};
        add_worker(fixture, i, ids, 1);
    }
    assert_int_equal(keyholder_batch_lanes(fixture->keyholder), 0);
    ask_mixed(fixture, 0, 8);
    turns(fixture, 8);
    assert_int_equal(check_mixed(fixture, 0), 8);
    assert_int_equal(fake_batch.calls, 0);
}

/* ---- the master ---- */

static void it_ends_with_its_master(void **state)
{
    struct fixture *fixture = *state;
    assert_int_equal(write(fixture->master, "ignored", 7), 7);
    turns(fixture, 2);
    close(fixture->master);
    assert_false(keyholder_turn(fixture->keyholder, 0));
    fixture->master = dup(fixture->master_far);
}

static bool on_master(void *self, struct keyholder *keyholder, int descriptor)
{
    int *calls = self;
    char byte;
    if (read(descriptor, &byte, 1) != 1) {
        return false;
    }
    (*calls)++;
    int pair[2];
    assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair), 0);
    close(pair[0]);
    return keyholder_add_worker(keyholder, (uint32_t)*calls, pair[1], NULL, 0, NULL);
}

static void the_master_may_add_workers_later(void **state)
{
    (void)state;
    int pair[2];
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
    int calls = 0;
    struct keyholder_settings settings = {
        .master_descriptor = pair[1], .on_master = on_master, .self = &calls};
    struct keyholder *keyholder = keyholder_new(&settings, NULL);
    assert_non_null(keyholder);
    assert_int_equal(write(pair[0], "ab", 2), 2);
    for (int i = 0; i < 4; i++) {
        assert_true(keyholder_turn(keyholder, 0));
    }
    assert_int_equal(calls, 2);
    assert_int_equal(keyholder_counters(keyholder)->workers_closed, 2);
    close(pair[0]);
    assert_false(keyholder_turn(keyholder, 0));
    keyholder_free(keyholder);
    close(pair[1]);
}

static bool has_ended(int descriptor)
{
    uint8_t byte;
    return recv(descriptor, &byte, 1, MSG_DONTWAIT) == 0;
}

static void a_worker_has_one_channel(void **state)
{
    struct fixture *fixture = *state;
    int former = fixture->workers[1];
    add_worker(fixture, 1, NULL, 0);
    assert_true(has_ended(former));
    assert_false(has_ended(fixture->workers[0]));
    assert_false(has_ended(fixture->workers[1]));
    assert_false(has_ended(fixture->workers[2]));
    assert_int_equal(keyholder_counters(fixture->keyholder)->workers_closed, 1);
    close(former);
}

static void a_channel_too_many_is_refused_with_a_sentence(void **state)
{
    struct fixture *fixture = *state;
    struct crypto_error error = {{0}};
    for (uint32_t i = WORKERS; i <= KEYHOLDER_WORKERS_MAX; i++) {
        int pair[2];
        assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair), 0);
        bool is_added = keyholder_add_worker(fixture->keyholder, i, pair[1], NULL, 0, &error);
        assert_int_equal(is_added, i < KEYHOLDER_WORKERS_MAX);
        close(pair[0]);
    }
    assert_non_null(strstr(error.text, "too many"));
}

static void a_short_ticket_secret_is_refused(void **state)
{
    (void)state;
    struct secret secret;
    assert_true(secret_init(&secret, 31) && secret_set_random(&secret, 31));
    struct keyholder_settings settings = {.master_descriptor = -1, .ticket_secret = &secret};
    struct crypto_error error = {{0}};
    assert_null(keyholder_new(&settings, &error));
    assert_non_null(strstr(error.text, "32 bytes"));
    secret_fini(&secret);
}

/* In a child: it cannot be undone. */
static void hardening_forbids_dumps(void **state)
{
    (void)state;
    pid_t child = fork();
    if (child == 0) {
        (void)keyholder_harden();
        struct rlimit core;
        bool ok =
            prctl(PR_GET_DUMPABLE) == 0 && getrlimit(RLIMIT_CORE, &core) == 0 && core.rlim_max == 0;
        _exit(ok ? 0 : 1);
    }
    int status = 0;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
}

int main(void)
{
    static struct fixture fixture;
    rig_identity_init(&fixture.rsa, true);
    rig_identity_init(&fixture.ec, false);
    struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(every_scheme_is_signed, set_up, tear_down),
        cmocka_unit_test_setup_teardown(workers_are_signed_for_in_rotation, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_bad_packet_closes_its_channel_only, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_packet_longer_than_any_closes_its_channel, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(a_slot_asked_for_twice_closes_its_channel, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(a_slot_may_be_used_again_after_its_answer, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(wrong_keys_close_the_channel, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_key_removed_while_asked_for_fails_the_request_only,
                                        set_up, tear_down),
        cmocka_unit_test_setup_teardown(keys_of_a_generation_are_granted_to_all_and_go_together,
                                        set_up, tear_down),
        cmocka_unit_test_setup_teardown(epochs_around_the_present_are_given_out_and_no_others,
                                        set_up, tear_down),
        cmocka_unit_test_setup_teardown(workers_get_the_same_ticket_keys, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_worker_that_does_not_read_stops_only_itself, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(any_number_of_requests_is_answered, set_up, tear_down),
        cmocka_unit_test_setup_teardown(all_workers_are_read_before_a_batch_is_made, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(a_lone_request_does_not_wait_for_others, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_faulty_signature_does_not_leave, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_library_that_refuses_is_done_without, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_bad_request_among_good_ones_harms_its_worker_only, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(other_schemes_and_kinds_are_answered_beside_batches, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(a_key_removed_under_a_batch_fails_its_requests, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(a_flood_of_one_worker_leaves_lanes_to_the_others, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(without_the_library_it_signs_one_by_one, set_up, tear_down),
        cmocka_unit_test_setup_teardown(it_ends_with_its_master, set_up, tear_down),
        cmocka_unit_test(the_master_may_add_workers_later),
        cmocka_unit_test(a_short_ticket_secret_is_refused),
        cmocka_unit_test_setup_teardown(a_worker_has_one_channel, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_channel_too_many_is_refused_with_a_sentence, set_up,
                                        tear_down),
        cmocka_unit_test(hardening_forbids_dumps),
    };
    for (size_t i = 0; i < sizeof(tests) / sizeof(tests[0]); i++) {
        tests[i].initial_state = &fixture;
    }
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    rig_identity_fini(&fixture.rsa);
    rig_identity_fini(&fixture.ec);
    return failed;
}
