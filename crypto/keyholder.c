/* crypto/keyholder.c
 *
 * One turn:   poll ─► read all channels ─► check grants ─► choose ─► sign ─► answer ─┐
 *              ▲                                                                     │
 *              └────────────────── without sleeping while requests wait ─────────────┘
 *
 * While one signature is made the next requests gather in the sockets, so what is chosen from
 * grows by itself under load; a lone request never waits for company.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "crypto/keyholder.h"

#include "crypto/error.h"
#include "crypto/key_table.h"
#include "crypto/private_key.h"
#include "crypto/secret.h"
#include "crypto/signing_batch.h"
#include "crypto/signing_key.h"
#include "crypto/signing_rota.h"
#include "crypto/ticket_keys.h"
#include "crypto/worker_channel.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

struct keyholder {
    struct keyholder_settings settings;
    struct secret ticket_secret;
    struct key_table keys;
    struct worker_channel *workers[KEYHOLDER_WORKERS_MAX];
    uint32_t numbers[KEYHOLDER_WORKERS_MAX]; /* whose they are */
    size_t worker_count;
    struct signing_rota rota;
    struct signing_batch *batch;                   /* NULL: one at a time */
    struct signing_choice chosen[RSA_BATCH_LANES]; /* what this turn signs, and */
    struct key_answer answers[RSA_BATCH_LANES];    /* what is answered */
    struct pollfd polled[1 + KEYHOLDER_WORKERS_MAX];
    struct keyholder_counters counters;
};

bool keyholder_harden(void)
{
    (void)prctl(PR_SET_DUMPABLE, 0);
    (void)setrlimit(RLIMIT_CORE, &(struct rlimit){0, 0});
    (void)setrlimit(RLIMIT_MEMLOCK, &(struct rlimit){RLIM_INFINITY, RLIM_INFINITY});
    struct rlimit limit = {0, 0};
    bool unlimited = getrlimit(RLIMIT_MEMLOCK, &limit) == 0 && limit.rlim_cur == RLIM_INFINITY;
    /* With a limit, locking the future would make an ordinary allocation fail one day. */
    bool is_locked = mlockall(unlimited ? MCL_CURRENT | MCL_FUTURE : MCL_CURRENT) == 0;
    return is_locked && unlimited;
}

static bool copy_ticket_secret(struct keyholder *keyholder, const struct secret *given)
{
    if (given == NULL) {
        return secret_init(&keyholder->ticket_secret, TICKET_SECRET_BYTES_MIN) &&
               secret_set_random(&keyholder->ticket_secret, TICKET_SECRET_BYTES_MIN);
    }
    return secret_len(given) >= TICKET_SECRET_BYTES_MIN &&
           secret_init(&keyholder->ticket_secret, secret_len(given)) &&
           secret_set(&keyholder->ticket_secret, secret_bytes(given), secret_len(given));
}

struct keyholder *keyholder_new(const struct keyholder_settings *settings,
                                struct crypto_error *error)
{
    struct keyholder *keyholder = calloc(1, sizeof(*keyholder));
    if (keyholder == NULL) {
        crypto_error_set(error, "out of memory");
        return NULL;
    }
    keyholder->settings = *settings;
    keyholder->settings.ticket_secret = NULL; /* copied, not kept */
    if (settings->ticket_epoch_seconds == 0) {
        keyholder->settings.ticket_epoch_seconds = TICKET_EPOCH_SECONDS_DEFAULT;
    }
    if (!copy_ticket_secret(keyholder, settings->ticket_secret)) {
        crypto_error_set(error, "no usable ticket secret; expected at least %d bytes",
                         TICKET_SECRET_BYTES_MIN);
        keyholder_free(keyholder);
        return NULL;
    }
    keyholder->batch = signing_batch_new();
    keyholder->rota.most = keyholder->batch != NULL ? RSA_BATCH_LANES : 1;
    return keyholder;
}

void keyholder_free(struct keyholder *keyholder)
{
    if (keyholder == NULL) {
        return;
    }
    for (size_t i = 0; i < keyholder->worker_count; i++) {
        worker_channel_close(keyholder->workers[i]);
    }
    key_table_fini(&keyholder->keys);
    signing_batch_free(keyholder->batch);
    secret_fini(&keyholder->ticket_secret);
    free(keyholder);
}

bool keyholder_add_key(struct keyholder *keyholder, uint32_t key_id, const uint8_t *bytes,
                       size_t len, const struct secret *password, struct crypto_error *error)
{
    EVP_PKEY *read = private_key_read(bytes, len, password, error);
    if (read == NULL) {
        return false;
    }
    struct signing_key *key = signing_key_new(read);
    if (key == NULL || !key_table_put(&keyholder->keys, key_id, key, KEYHOLDER_HELD_MAX)) {
        crypto_error_set(error, "no room for a private key; at most %d", KEYHOLDER_HELD_MAX);
        return false;
    }
    return true;
}

void keyholder_remove_key(struct keyholder *keyholder, uint32_t key_id)
{
    key_table_remove(&keyholder->keys, key_id);
}

bool keyholder_grant(struct keyholder *keyholder, uint32_t first, size_t count,
                     struct crypto_error *error)
{
    for (size_t i = 0; i < keyholder->worker_count; i++) {
        if (!worker_channel_grant(keyholder->workers[i], first, count)) {
            crypto_error_set(error, "out of memory");
            return false;
        }
    }
    return true;
}

void keyholder_remove_keys(struct keyholder *keyholder, uint32_t first, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        key_table_remove(&keyholder->keys, first + (uint32_t)i);
    }
    for (size_t i = 0; i < keyholder->worker_count; i++) {
        worker_channel_revoke(keyholder->workers[i], first, count);
    }
}

/* The last one takes the place: no index is kept across a close. */
static void close_worker(struct keyholder *keyholder, size_t index)
{
    worker_channel_close(keyholder->workers[index]);
    keyholder->worker_count--;
    keyholder->workers[index] = keyholder->workers[keyholder->worker_count];
    keyholder->numbers[index] = keyholder->numbers[keyholder->worker_count];
    keyholder->counters.workers_closed++;
}

/* Several channels would be several turns in the rota, and slots without end. */
static void close_former(struct keyholder *keyholder, uint32_t number)
{
    for (size_t i = 0; i < keyholder->worker_count; i++) {
        if (keyholder->numbers[i] == number) {
            close_worker(keyholder, i);
            return;
        }
    }
}

bool keyholder_add_worker(struct keyholder *keyholder, uint32_t number, int descriptor,
                          const uint32_t *key_ids, size_t count, struct crypto_error *error)
{
    close_former(keyholder, number);
    if (keyholder->worker_count == KEYHOLDER_WORKERS_MAX || count > KEYHOLDER_HELD_MAX) {
        (void)close(descriptor);
        crypto_error_set(error, "too many workers or granted keys");
        return false;
    }
    struct worker_channel *worker = worker_channel_open(descriptor, key_ids, count);
    if (worker == NULL) {
        crypto_error_set(error, "out of memory");
        return false;
    }
    keyholder->numbers[keyholder->worker_count] = number;
    keyholder->workers[keyholder->worker_count++] = worker;
    return true;
}

/* Only what came in since the last check needs it; checking all of a queue again is cheap against
 * a signature and keeps no state. */
static bool requests_are_allowed(const struct keyholder *keyholder,
                                 const struct worker_channel *worker, size_t from)
{
    for (size_t i = from; i < worker_channel_waiting(worker); i++) {
        const struct key_request *request = worker_channel_waiting_at(worker, i);
        const struct signing_key *key = key_table_find(&keyholder->keys, request->key_id);
        if (key == NULL || !worker_channel_is_granted(worker, request->key_id) ||
            !signing_key_fits(key, key_scheme_facts(request->scheme))) {
            return false;
        }
    }
    return true;
}

/* False: the channel is to be closed. */
static bool read_worker(struct keyholder *keyholder, struct worker_channel *worker)
{
    size_t before = worker_channel_waiting(worker);
    enum worker_channel_state state = worker_channel_read(worker);
    if (state == WORKER_CHANNEL_BAD_MESSAGE) {
        keyholder->counters.bad_messages++;
    } else if (state == WORKER_CHANNEL_OPEN && !requests_are_allowed(keyholder, worker, before)) {
        keyholder->counters.bad_keys++;
        return false;
    }
    return state == WORKER_CHANNEL_OPEN;
}

static uint64_t unix_seconds(const struct keyholder *keyholder)
{
    if (keyholder->settings.now != NULL) {
        return keyholder->settings.now(keyholder->settings.self);
    }
    time_t now = time(NULL);
    return now > 0 ? (uint64_t)now : 0;
}

/* Only the epochs around the present are given out: a broken worker must not be able to ask for
 * the keys of tickets sealed last week, or next year. */
static void answer_epoch(struct keyholder *keyholder, struct worker_channel *worker, uint64_t epoch)
{
    uint32_t length = keyholder->settings.ticket_epoch_seconds;
    uint64_t current = ticket_epoch(unix_seconds(keyholder), length);
    bool near = epoch + 1 >= current && epoch <= current + 1;
    struct key_message message = {.kind = KEY_MESSAGE_TICKETS, .count = 1};
    if (near &&
        ticket_keys_derive(&message.tickets.keys, &keyholder->ticket_secret, epoch, length)) {
        message.tickets.status = KEY_STATUS_DONE;
        keyholder->counters.tickets++;
    } else {
        message.tickets.status = KEY_STATUS_FAILED;
        message.tickets.keys.epoch = epoch;
    }
    (void)worker_channel_send_tickets(worker, &message);
    key_message_wipe(&message);
}

/* ---- signing ---- */

/* What a batch computes with. */
static const struct rsa_batch_key *numbers_of(const struct keyholder *keyholder,
                                              const struct key_request *request)
{
    const struct signing_key *key = key_table_find(&keyholder->keys, request->key_id);
    return key != NULL ? signing_key_numbers(key) : NULL;
}

static void sign_together(struct keyholder *keyholder, size_t count)
{
    struct signing_job jobs[RSA_BATCH_LANES];
    for (size_t i = 0; i < count; i++) {
        const struct key_request *request = &keyholder->chosen[i].request;
        jobs[i] = (struct signing_job){.key = numbers_of(keyholder, request),
                                       .scheme = key_scheme_facts(request->scheme),
                                       .hash = request->hash,
                                       .signature = keyholder->answers[i].signature};
    }
    signing_batch_sign(keyholder->batch, jobs, count);
    keyholder->counters.batches++;
    for (size_t i = 0; i < count; i++) {
        keyholder->answers[i].signature_len = jobs[i].signature_len;
        keyholder->counters.faults += jobs[i].signature_len == 0 ? 1 : 0;
    }
}

static bool sign_alone(struct keyholder *keyholder, const struct key_request *request,
                       struct key_answer *answer)
{
    /* The key may have been removed since the request was let in. */
    struct signing_key *key = key_table_find(&keyholder->keys, request->key_id);
    return key != NULL && signing_key_sign(key, key_scheme_facts(request->scheme), request->hash,
                                           answer->signature, &answer->signature_len);
}

/* Whatever no batch has signed is signed here, what failed in one too. */
static void answer(struct keyholder *keyholder, const struct signing_choice *choice,
                   struct key_answer *answer)
{
    answer->slot = choice->request.slot;
    answer->generation = choice->request.generation;
    if (answer->signature_len > 0 || sign_alone(keyholder, &choice->request, answer)) {
        answer->status = KEY_STATUS_DONE;
        keyholder->counters.signatures++;
    } else {
        answer->status = KEY_STATUS_FAILED;
        keyholder->counters.failures++;
    }
    worker_channel_answer(choice->worker, answer);
}

static void answer_epochs(struct keyholder *keyholder)
{
    for (size_t i = 0; i < keyholder->worker_count; i++) {
        uint64_t epoch;
        while (worker_channel_take_epoch(keyholder->workers[i], &epoch)) {
            answer_epoch(keyholder, keyholder->workers[i], epoch);
        }
    }
}

static void sign_and_answer(struct keyholder *keyholder)
{
    answer_epochs(keyholder);
    size_t count = signing_rota_choose(&keyholder->rota, &keyholder->keys, keyholder->workers,
                                       keyholder->worker_count, keyholder->chosen);
    for (size_t i = 0; i < count; i++) {
        keyholder->answers[i].signature_len = 0;
    }
    if (count > 1) {
        sign_together(keyholder, count);
    }
    for (size_t i = 0; i < count; i++) {
        answer(keyholder, &keyholder->chosen[i], &keyholder->answers[i]);
    }
    for (size_t i = 0; i < count; i++) {
        /* A channel that ended is noticed by its next read. */
        (void)worker_channel_send(keyholder->chosen[i].worker);
    }
}

static bool has_work(const struct keyholder *keyholder)
{
    for (size_t i = 0; i < keyholder->worker_count; i++) {
        if (worker_channel_has_work(keyholder->workers[i])) {
            return true;
        }
    }
    return false;
}

static bool master_is_there(struct keyholder *keyholder, short events)
{
    int descriptor = keyholder->settings.master_descriptor;
    if ((events & POLLIN) == 0) {
        return (events & (POLLHUP | POLLERR | POLLNVAL)) == 0;
    }
    if (keyholder->settings.on_master != NULL) {
        return keyholder->settings.on_master(keyholder->settings.self, keyholder, descriptor);
    }
    uint8_t ignored[512];
    ssize_t got = read(descriptor, ignored, sizeof(ignored));
    return got > 0 || (got < 0 && (errno == EAGAIN || errno == EINTR));
}

static int poll_all(struct keyholder *keyholder, int timeout_ms)
{
    keyholder->polled[0] =
        (struct pollfd){.fd = keyholder->settings.master_descriptor, .events = POLLIN};
    for (size_t i = 0; i < keyholder->worker_count; i++) {
        const struct worker_channel *worker = keyholder->workers[i];
        short events = POLLIN;
        if (worker_channel_is_stuck(worker)) {
            events |= POLLOUT;
        }
        keyholder->polled[1 + i] =
            (struct pollfd){.fd = worker_channel_descriptor(worker), .events = events};
    }
    return poll(keyholder->polled, 1 + keyholder->worker_count,
                has_work(keyholder) ? 0 : timeout_ms);
}

static bool serve_worker(struct keyholder *keyholder, struct worker_channel *worker, short events)
{
    if ((events & POLLOUT) != 0 && worker_channel_send(worker) != WORKER_CHANNEL_OPEN) {
        return false;
    }
    return (events & ~POLLOUT) == 0 || read_worker(keyholder, worker);
}

bool keyholder_turn(struct keyholder *keyholder, int timeout_ms)
{
    int ready = poll_all(keyholder, timeout_ms);
    if (ready < 0) {
        return errno == EINTR || errno == ENOMEM || errno == EAGAIN;
    }
    /* Backwards, because closing moves the last one into the gap. */
    for (size_t i = keyholder->worker_count; ready > 0 && i-- > 0;) {
        short events = keyholder->polled[1 + i].revents;
        if (events != 0 && !serve_worker(keyholder, keyholder->workers[i], events)) {
            close_worker(keyholder, i);
        }
    }
    if (keyholder->polled[0].revents != 0 &&
        !master_is_there(keyholder, keyholder->polled[0].revents)) {
        return false;
    }
    sign_and_answer(keyholder);
    return true;
}

void keyholder_run(struct keyholder *keyholder)
{
    while (keyholder_turn(keyholder, -1)) {
    }
}

unsigned keyholder_batch_lanes(const struct keyholder *keyholder)
{
    return keyholder->batch != NULL ? RSA_BATCH_LANES : 0;
}

const struct keyholder_counters *keyholder_counters(const struct keyholder *keyholder)
{
    return &keyholder->counters;
}
