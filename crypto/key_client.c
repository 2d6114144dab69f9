/* crypto/key_client.c
 *
 * Requests wait in slots (key_slots.h). A job pauses until its slot is DONE or FAILED; all wakes
 * are given from settle(), never from inside a job.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "crypto/key_client.h"

#include "crypto/error.h"
#include "crypto/key_slots.h"

#include <errno.h>
#include <fcntl.h>
#include <openssl/crypto.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { PACKETS_A_READ_MAX = 512 };

struct key_client {
    struct key_client_events events;
    size_t parked_max;
    struct key_slots slots; /* one more than may be parked, for a blocking caller */
    int descriptor;
    bool is_lost;     /* the descriptor is open only until on_detached has been called */
    bool is_settling; /* settle() is on the stack */
    uint64_t turns;   /* goes up with each call from the loop */
    struct key_waiter *first_waiter;
    struct key_waiter *last_waiter;
    /* Packets and their messages, eight KiB each: not on the stack, because a blocking signature
     * may run on a job's, which has 32 KiB and no guard page. */
    struct key_message out;
    uint8_t out_packet[KEY_CHANNEL_PACKET_MAX];
    struct key_message in;
    uint8_t in_packet[KEY_CHANNEL_PACKET_MAX];
};

static uint64_t now_ms(void)
{
    struct timespec now;
    (void)clock_gettime(CLOCK_MONOTONIC_COARSE, &now);
    return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

/* ---- waking ---- */

/* The time before which what began has waited for longer than `limit_ms`. */
static uint64_t limit_before(uint64_t now, uint64_t limit_ms)
{
    return now > limit_ms ? now - limit_ms : 0;
}

/* A death costs those who wait some milliseconds and not their handshakes: the successor is asked
 * what the dead one has not answered. */
static void ask_again(struct key_client *client)
{
    uint64_t now = now_ms();
    key_slots_ask_again(&client->slots, now, limit_before(now, KEY_CLIENT_ANSWER_MS_MAX),
                        KEY_CLIENT_TIMES_SENT_MAX);
}

static void lose(struct key_client *client)
{
    client->is_lost = true;
    ask_again(client);
}

static void close_descriptor(struct key_client *client)
{
    if (client->descriptor >= 0) {
        (void)close(client->descriptor);
    }
    client->descriptor = -1;
    client->is_lost = false;
}

/* The owner lets go of the descriptor in on_detached; only then may its number be used again. */
static void report_loss(struct key_client *client)
{
    int lost = client->descriptor;
    client->is_lost = false;
    client->descriptor = -1;
    if (client->events.on_detached != NULL) {
        client->events.on_detached(client->events.self);
    }
    (void)close(lost);
}

static void wake_ready(struct key_client *client)
{
    for (;;) {
        struct key_slot *slot = key_slots_next_ready(&client->slots);
        if (slot == NULL) {
            return;
        }
        parked_job_wake(&slot->job);
    }
}

/* A wake may start handshakes, and these may come back here; the outermost call does the work. */
static void settle(struct key_client *client)
{
    if (client->is_settling) {
        return;
    }
    client->is_settling = true;
    while (client->is_lost || key_slots_has_ready(&client->slots)) {
        if (client->is_lost) {
            report_loss(client);
        }
        wake_ready(client);
    }
    client->is_settling = false;
}

static void let_waiters_in(struct key_client *client)
{
    size_t waiting = 0;
    for (struct key_waiter *at = client->first_waiter; at != NULL; at = at->next) {
        waiting++;
    }
    /* Counted before: a stream that finds no job after all waits again, at the end. */
    for (; waiting > 0 && key_client_waiting(client) < client->parked_max; waiting--) {
        struct key_waiter *waiter = client->first_waiter;
        if (waiter == NULL) {
            return;
        }
        key_client_wait_cancel(client, waiter);
        waiter->on_room(waiter->self);
    }
}

/* ---- the channel ---- */

/* Returns the packet's length. */
static size_t fill_packet(struct key_client *client)
{
    struct key_message *message = &client->out;
    message->kind = KEY_MESSAGE_SIGN;
    message->count = 0;
    while (message->count < KEY_CHANNEL_BATCH_MAX &&
           message->count < key_slots_queued(&client->slots)) {
        message->requests[message->count] =
            key_slots_queued_at(&client->slots, message->count)->request;
        message->count++;
    }
    return key_message_encode(message, client->out_packet);
}

static bool send_packet(struct key_client *client, size_t len)
{
    ssize_t sent;
    do {
        sent = send(client->descriptor, client->out_packet, len, MSG_DONTWAIT | MSG_NOSIGNAL);
    } while (sent < 0 && errno == EINTR);
    if (sent < 0 && errno != EAGAIN && errno != ENOBUFS) {
        lose(client);
    }
    return sent >= 0;
}

/* What does not fit stays queued: the socket is full of unanswered requests, so answers will come
 * and with them the next flush. */
static void send_queue(struct key_client *client)
{
    while (key_slots_queued(&client->slots) > 0 && key_client_is_attached(client)) {
        size_t len = fill_packet(client);
        if (!send_packet(client, len)) {
            return;
        }
        key_slots_sent(&client->slots, client->out.count, now_ms());
    }
}

static bool accept_answer(struct key_client *client, const struct key_answer *answer)
{
    struct key_slot *slot = key_slots_find(&client->slots, answer);
    if (slot == NULL) {
        return false;
    }
    slot->signature_len = answer->signature_len;
    memcpy(slot->signature, answer->signature, answer->signature_len);
    bool done = answer->status == KEY_STATUS_DONE;
    key_slots_end(&client->slots, slot, done ? KEY_SLOT_DONE : KEY_SLOT_FAILED);
    return true;
}

static void accept_tickets(struct key_client *client, const struct key_message *message)
{
    if (message->tickets.status == KEY_STATUS_DONE && client->events.on_tickets != NULL) {
        client->events.on_tickets(client->events.self, &message->tickets.keys);
    }
    key_message_wipe(&client->in);
    OPENSSL_cleanse(client->in_packet, sizeof(client->in_packet));
}

static bool accept_packet(struct key_client *client, size_t len)
{
    struct key_message *message = &client->in;
    if (len > sizeof(client->in_packet) ||
        !key_message_decode(message, client->in_packet, len, false)) {
        return false;
    }
    if (message->kind == KEY_MESSAGE_TICKETS) {
        accept_tickets(client, message);
        return true;
    }
    for (size_t i = 0; i < message->count; i++) {
        if (!accept_answer(client, &message->answers[i])) {
            return false;
        }
    }
    return true;
}

/* An answer that nobody asked for is as bad as the end of the keyholder. */
static void read_answers(struct key_client *client)
{
    for (int i = 0; i < PACKETS_A_READ_MAX && key_client_is_attached(client); i++) {
        ssize_t got = recv(client->descriptor, client->in_packet, sizeof(client->in_packet),
                           MSG_DONTWAIT | MSG_TRUNC);
        if (got < 0 && errno == EAGAIN) {
            return;
        }
        if (got < 0 && errno == EINTR) {
            continue;
        }
        if (got <= 0 || !accept_packet(client, (size_t)got)) {
            lose(client);
        }
    }
}

/* ---- signing ---- */

static bool is_over(const void *self)
{
    return !key_slot_is_pending(self);
}

static void wait_blocking(struct key_client *client, struct key_slot *slot)
{
    slot->job = (struct parked_job){0};
    uint64_t deadline_ms = now_ms() + KEY_CLIENT_BLOCKING_MS_MAX;
    while (key_slot_is_pending(slot) && key_client_is_attached(client)) {
        send_queue(client);
        uint64_t now = now_ms();
        if (now >= deadline_ms) {
            lose(client);
            break;
        }
        short events = POLLIN;
        if (key_slots_queued(&client->slots) > 0) {
            events |= POLLOUT;
        }
        struct pollfd polled = {.fd = client->descriptor, .events = events};
        (void)poll(&polled, 1, (int)(deadline_ms - now));
        read_answers(client);
    }
}

bool key_client_sign(struct key_client *client, uint32_t key_id,
                     const struct key_scheme_facts *scheme, const uint8_t *hash, uint8_t *signature,
                     size_t *signature_len)
{
    struct key_slot *slot = key_slots_take(&client->slots, now_ms());
    if (slot == NULL) {
        return false;
    }
    slot->request.key_id = key_id;
    slot->request.scheme = scheme->scheme;
    memset(slot->request.hash, 0, sizeof(slot->request.hash));
    memcpy(slot->request.hash, hash, scheme->hash_bytes);
    if (!parked_job_find(&slot->job) || !parked_job_wait(&client->turns, is_over, slot)) {
        wait_blocking(client, slot);
    }
    /* Still queued: the channel was lost under a blocking caller, who cannot wait for another. */
    bool done = slot->state == KEY_SLOT_DONE;
    if (done) {
        memcpy(signature, slot->signature, slot->signature_len);
        *signature_len = slot->signature_len;
    }
    key_slots_give_back(&client->slots, slot);
    return done;
}

/* ---- the owner's calls ---- */

struct key_client *key_client_new(size_t parked_max, const struct key_client_events *events,
                                  struct crypto_error *error)
{
    if (parked_max == 0 || parked_max > KEY_CLIENT_PARKED_MAX) {
        crypto_error_set(error, "%zu parked handshakes; expected 1 to %d", parked_max,
                         KEY_CLIENT_PARKED_MAX);
        return NULL;
    }
    struct key_client *client = calloc(1, sizeof(*client));
    if (client == NULL) {
        crypto_error_set(error, "out of memory");
        return NULL;
    }
    client->descriptor = -1;
    client->parked_max = parked_max;
    client->events = events != NULL ? *events : (struct key_client_events){0};
    if (!key_slots_init(&client->slots, parked_max + 1)) {
        key_client_free(client);
        crypto_error_set(error, "out of memory");
        return NULL;
    }
    return client;
}

void key_client_free(struct key_client *client)
{
    if (client != NULL) {
        close_descriptor(client);
        key_slots_fini(&client->slots);
        free(client);
    }
}

void key_client_attach(struct key_client *client, int descriptor)
{
    client->turns++;
    ask_again(client);
    close_descriptor(client);
    int flags = fcntl(descriptor, F_GETFL);
    (void)fcntl(descriptor, F_SETFL, flags | O_NONBLOCK);
    client->descriptor = descriptor;
    settle(client);
}

void key_client_detach(struct key_client *client)
{
    client->turns++;
    key_slots_fail_sent(&client->slots);
    key_slots_fail_queued(&client->slots, UINT64_MAX);
    close_descriptor(client);
    settle(client);
}

int key_client_descriptor(const struct key_client *client)
{
    return client->descriptor;
}

bool key_client_is_attached(const struct key_client *client)
{
    return client->descriptor >= 0 && !client->is_lost;
}

size_t key_client_parked_max(const struct key_client *client)
{
    return client->parked_max;
}

size_t key_client_waiting(const struct key_client *client)
{
    return key_slots_used(&client->slots);
}

bool key_client_wants_keys(const struct key_client *client, uint32_t first, size_t count)
{
    return key_slots_want(&client->slots, first, count);
}

void key_client_flush(struct key_client *client)
{
    client->turns++;
    settle(client);
    let_waiters_in(client);
    send_queue(client);
    settle(client);
}

void key_client_on_readable(struct key_client *client)
{
    client->turns++;
    read_answers(client);
    settle(client);
}

void key_client_on_tick(struct key_client *client)
{
    client->turns++;
    uint64_t now = now_ms();
    if (!key_client_is_attached(client)) {
        key_slots_fail_queued(&client->slots, limit_before(now, KEY_CLIENT_DETACHED_MS_MAX));
    } else if (key_slots_has_sent_before(&client->slots,
                                         limit_before(now, KEY_CLIENT_ANSWER_MS_MAX))) {
        lose(client);
    }
    settle(client);
}

bool key_client_ask_tickets(struct key_client *client, uint64_t epoch)
{
    client->out.kind = KEY_MESSAGE_ASK_TICKETS;
    client->out.tickets.keys = (struct ticket_keys){.epoch = epoch};
    size_t len = key_message_encode(&client->out, client->out_packet);
    return key_client_is_attached(client) && send_packet(client, len);
}

void key_client_wait(struct key_client *client, struct key_waiter *waiter)
{
    if (waiter->is_waiting) {
        return;
    }
    waiter->is_waiting = true;
    waiter->next = NULL;
    waiter->previous = client->last_waiter;
    if (client->last_waiter != NULL) {
        client->last_waiter->next = waiter;
    } else {
        client->first_waiter = waiter;
    }
    client->last_waiter = waiter;
}

void key_client_wait_cancel(struct key_client *client, struct key_waiter *waiter)
{
    if (!waiter->is_waiting) {
        return;
    }
    *(waiter->previous != NULL ? &waiter->previous->next : &client->first_waiter) = waiter->next;
    *(waiter->next != NULL ? &waiter->next->previous : &client->last_waiter) = waiter->previous;
    waiter->next = NULL;
    waiter->previous = NULL;
    waiter->is_waiting = false;
}
