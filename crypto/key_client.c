/* crypto/key_client.c
 *
 * A request's slot:
 *
 *   FREE ──sign──► QUEUED ──flush──► SENT ──answer──► DONE ───┐
 *     ▲               │                │                      │ the job, woken, takes the result
 *     │               └──── too old, ──┴─ channel lost ─► FAILED
 *     └───────────────────────────────────────────────────────┘
 *
 * Only the job (or the blocking caller) that took a slot gives it back, so a slot is never used
 * again while the keyholder may still answer it. All wakes go through `ready` and are given from
 * settle(), never from inside a job.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "crypto/key_client.h"

#include "crypto/error.h"
#include "crypto/key_channel.h"

#include <errno.h>
#include <fcntl.h>
#include <openssl/async.h>
#include <openssl/crypto.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum {
    /* Resumed so often in one loop turn without an answer: pausing does not work here (somebody
     * holds ASYNC_block_pause), so the signature blocks instead of spinning. */
    STRAY_RESUMES_MAX = 64,
    PACKETS_A_READ_MAX = 512,
};

enum slot_state {
    SLOT_FREE = 0,
    SLOT_QUEUED,
    SLOT_SENT,
    SLOT_DONE,
    SLOT_FAILED,
};

struct slot {
    enum slot_state state;
    bool in_ready;
    struct key_request request; /* its slot and generation are this slot's */
    uint64_t since_ms;
    int (*wake)(void *argument); /* NULL: nobody to wake (blocking, or woken already) */
    void *wake_argument;
    size_t signature_len;
    uint8_t signature[KEY_SIGNATURE_BYTES_MAX];
};

/* Slot numbers, first in first out. Each slot is in it at most once, so it never overflows. */
struct slot_ring {
    uint16_t *numbers;
    size_t first;
    size_t count;
};

struct key_client {
    struct key_client_events events;
    size_t parked_max;
    size_t slot_count; /* one more than may be parked, for a blocking caller */
    struct slot *slots;
    uint16_t *free_slots; /* a stack: the last used slot's memory is warm */
    size_t free_count;
    struct slot_ring queue; /* QUEUED, oldest first */
    struct slot_ring ready; /* to be woken */
    int descriptor;
    bool is_lost;     /* the descriptor is open only until on_detached has been called */
    bool is_settling; /* settle() is on the stack */
    uint64_t turns;   /* goes up with each call from the loop */
    struct key_waiter *first_waiter;
    struct key_waiter *last_waiter;
};

static uint64_t now_ms(void)
{
    struct timespec now;
    (void)clock_gettime(CLOCK_MONOTONIC_COARSE, &now);
    return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

/* ---- slots ---- */

static void ring_push(const struct key_client *client, struct slot_ring *ring, uint16_t number)
{
    ring->numbers[(ring->first + ring->count) % client->slot_count] = number;
    ring->count++;
}

static struct slot *ring_at(const struct key_client *client, const struct slot_ring *ring,
                            size_t index)
{
    return &client->slots[ring->numbers[(ring->first + index) % client->slot_count]];
}

static void ring_drop(const struct key_client *client, struct slot_ring *ring, size_t count)
{
    ring->first = (ring->first + count) % client->slot_count;
    ring->count -= count;
}

static bool is_pending(const struct slot *slot)
{
    return slot->state == SLOT_QUEUED || slot->state == SLOT_SENT;
}

static struct slot *slot_take(struct key_client *client)
{
    if (client->free_count == 0) {
        return NULL;
    }
    struct slot *slot = &client->slots[client->free_slots[--client->free_count]];
    slot->request.generation++;
    slot->since_ms = now_ms();
    slot->signature_len = 0;
    return slot;
}

static void slot_give_back(struct key_client *client, struct slot *slot)
{
    slot->state = SLOT_FREE;
    slot->wake = NULL; /* resumed by a stray call before its wake: it must not be woken later */
    client->free_slots[client->free_count++] = slot->request.slot;
}

/* The slot is not in the queue any more, or the caller is emptying it. */
static void slot_end(struct key_client *client, struct slot *slot, enum slot_state state)
{
    slot->state = state;
    if (slot->wake != NULL && !slot->in_ready) {
        slot->in_ready = true;
        ring_push(client, &client->ready, slot->request.slot);
    }
}

static void fail_sent(struct key_client *client)
{
    for (size_t i = 0; i < client->slot_count; i++) {
        if (client->slots[i].state == SLOT_SENT) {
            slot_end(client, &client->slots[i], SLOT_FAILED);
        }
    }
}

/* Those queued before `before_ms`; the queue is in order of age. */
static void fail_queued(struct key_client *client, uint64_t before_ms)
{
    while (client->queue.count > 0 && ring_at(client, &client->queue, 0)->since_ms <= before_ms) {
        struct slot *slot = ring_at(client, &client->queue, 0);
        ring_drop(client, &client->queue, 1);
        slot_end(client, slot, SLOT_FAILED);
    }
}

/* ---- waking ---- */

static void lose(struct key_client *client)
{
    client->is_lost = true;
    fail_sent(client);
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
    while (client->ready.count > 0) {
        struct slot *slot = ring_at(client, &client->ready, 0);
        ring_drop(client, &client->ready, 1);
        slot->in_ready = false;
        int (*wake)(void *argument) = slot->wake;
        slot->wake = NULL;
        if (wake != NULL) {
            (void)wake(slot->wake_argument);
        }
    }
}

/* A wake may start handshakes, and these may come back here; the outermost call does the work. */
static void settle(struct key_client *client)
{
    if (client->is_settling) {
        return;
    }
    client->is_settling = true;
    while (client->is_lost || client->ready.count > 0) {
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

static size_t fill_packet(struct key_client *client, uint8_t *packet, size_t *count)
{
    struct key_message message = {.kind = KEY_MESSAGE_SIGN};
    while (message.count < KEY_CHANNEL_BATCH_MAX && message.count < client->queue.count) {
        message.requests[message.count] = ring_at(client, &client->queue, message.count)->request;
        message.count++;
    }
    *count = message.count;
    return key_message_encode(&message, packet);
}

static bool send_packet(struct key_client *client, const uint8_t *packet, size_t len)
{
    ssize_t sent;
    do {
        sent = send(client->descriptor, packet, len, MSG_DONTWAIT | MSG_NOSIGNAL);
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
    uint8_t packet[KEY_CHANNEL_PACKET_MAX];
    while (client->queue.count > 0 && key_client_is_attached(client)) {
        size_t count;
        size_t len = fill_packet(client, packet, &count);
        if (!send_packet(client, packet, len)) {
            return;
        }
        for (size_t i = 0; i < count; i++) {
            ring_at(client, &client->queue, i)->state = SLOT_SENT;
        }
        ring_drop(client, &client->queue, count);
    }
}

static bool accept_answer(struct key_client *client, const struct key_answer *answer)
{
    if (answer->slot >= client->slot_count) {
        return false;
    }
    struct slot *slot = &client->slots[answer->slot];
    if (slot->state != SLOT_SENT || slot->request.generation != answer->generation) {
        return false;
    }
    slot->signature_len = answer->signature_len;
    memcpy(slot->signature, answer->signature, answer->signature_len);
    slot_end(client, slot, answer->status == KEY_STATUS_DONE ? SLOT_DONE : SLOT_FAILED);
    return true;
}

static void accept_tickets(struct key_client *client, struct key_message *message)
{
    if (message->tickets.status == KEY_STATUS_DONE && client->events.on_tickets != NULL) {
        client->events.on_tickets(client->events.self, &message->tickets.keys);
    }
    key_message_wipe(message);
}

static bool accept_packet(struct key_client *client, const uint8_t *packet, size_t len)
{
    struct key_message message;
    if (len > KEY_CHANNEL_PACKET_MAX || !key_message_decode(&message, packet, len, false)) {
        return false;
    }
    if (message.kind == KEY_MESSAGE_TICKETS) {
        accept_tickets(client, &message);
        return true;
    }
    for (size_t i = 0; i < message.count; i++) {
        if (!accept_answer(client, &message.answers[i])) {
            return false;
        }
    }
    return true;
}

/* An answer that nobody asked for is as bad as the end of the keyholder. */
static void read_answers(struct key_client *client)
{
    uint8_t packet[KEY_CHANNEL_PACKET_MAX];
    for (int i = 0; i < PACKETS_A_READ_MAX && key_client_is_attached(client); i++) {
        ssize_t got = recv(client->descriptor, packet, sizeof(packet), MSG_DONTWAIT | MSG_TRUNC);
        if (got < 0 && errno == EAGAIN) {
            break;
        }
        if (got < 0 && errno == EINTR) {
            continue;
        }
        if (got <= 0 || !accept_packet(client, packet, (size_t)got)) {
            lose(client);
        }
    }
    OPENSSL_cleanse(packet, 4 + sizeof(struct ticket_keys) + 16); /* as far as tickets reach */
}

/* ---- signing ---- */

/* The wake of the current job, if it can be paused and somebody will resume it. */
static bool find_wake(struct slot *slot)
{
    ASYNC_JOB *job = ASYNC_get_current_job();
    slot->wake = NULL;
    return job != NULL &&
           ASYNC_WAIT_CTX_get_callback(ASYNC_get_wait_ctx(job), &slot->wake,
                                       &slot->wake_argument) == 1 &&
           slot->wake != NULL;
}

static void wait_parked(struct key_client *client, struct slot *slot)
{
    for (int strays = 0; is_pending(slot) && strays < STRAY_RESUMES_MAX;) {
        uint64_t turn = client->turns;
        if (ASYNC_pause_job() != 1) {
            break;
        }
        strays = turn == client->turns ? strays + 1 : 0;
    }
}

static void wait_blocking(struct key_client *client, struct slot *slot)
{
    slot->wake = NULL;
    uint64_t deadline_ms = now_ms() + KEY_CLIENT_BLOCKING_MS_MAX;
    while (is_pending(slot) && key_client_is_attached(client)) {
        send_queue(client);
        uint64_t now = now_ms();
        if (now >= deadline_ms) {
            lose(client);
            break;
        }
        short events = POLLIN;
        if (client->queue.count > 0) {
            events |= POLLOUT;
        }
        struct pollfd polled = {.fd = client->descriptor, .events = events};
        (void)poll(&polled, 1, (int)(deadline_ms - now));
        read_answers(client);
    }
    if (is_pending(slot)) {
        /* Never sent, and the channel is gone: it is the youngest, so the queue ends with it. */
        client->queue.count--;
        slot->state = SLOT_FAILED;
    }
}

bool key_client_sign(struct key_client *client, uint32_t key_id,
                     const struct key_scheme_facts *scheme, const uint8_t *hash, uint8_t *signature,
                     size_t *signature_len)
{
    struct slot *slot = slot_take(client);
    if (slot == NULL) {
        return false;
    }
    slot->request.key_id = key_id;
    slot->request.scheme = scheme->scheme;
    memset(slot->request.hash, 0, sizeof(slot->request.hash));
    memcpy(slot->request.hash, hash, scheme->hash_bytes);
    slot->state = SLOT_QUEUED;
    ring_push(client, &client->queue, slot->request.slot);
    if (find_wake(slot)) {
        wait_parked(client, slot);
    }
    if (is_pending(slot)) {
        wait_blocking(client, slot);
    }
    bool done = slot->state == SLOT_DONE;
    if (done) {
        memcpy(signature, slot->signature, slot->signature_len);
        *signature_len = slot->signature_len;
    }
    slot_give_back(client, slot);
    return done;
}

/* ---- the owner's calls ---- */

static bool allocate_slots(struct key_client *client)
{
    client->slots = calloc(client->slot_count, sizeof(*client->slots));
    client->free_slots = calloc(client->slot_count, sizeof(uint16_t));
    client->queue.numbers = calloc(client->slot_count, sizeof(uint16_t));
    client->ready.numbers = calloc(client->slot_count, sizeof(uint16_t));
    if (client->slots == NULL || client->free_slots == NULL || client->queue.numbers == NULL ||
        client->ready.numbers == NULL) {
        return false;
    }
    for (size_t i = client->slot_count; i-- > 0;) {
        client->slots[i].request.slot = (uint16_t)i;
        client->free_slots[client->free_count++] = (uint16_t)i;
    }
    return true;
}

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
    client->slot_count = parked_max + 1;
    client->events = events != NULL ? *events : (struct key_client_events){0};
    if (!allocate_slots(client)) {
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
        free(client->slots);
        free(client->free_slots);
        free(client->queue.numbers);
        free(client->ready.numbers);
        free(client);
    }
}

void key_client_attach(struct key_client *client, int descriptor)
{
    client->turns++;
    fail_sent(client);
    close_descriptor(client);
    int flags = fcntl(descriptor, F_GETFL);
    (void)fcntl(descriptor, F_SETFL, flags | O_NONBLOCK);
    client->descriptor = descriptor;
    settle(client);
}

void key_client_detach(struct key_client *client)
{
    client->turns++;
    fail_sent(client);
    fail_queued(client, UINT64_MAX);
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
    return client->slot_count - client->free_count;
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

static bool keyholder_is_silent(const struct key_client *client, uint64_t now)
{
    for (size_t i = 0; i < client->slot_count; i++) {
        const struct slot *slot = &client->slots[i];
        if (slot->state == SLOT_SENT && now - slot->since_ms > KEY_CLIENT_ANSWER_MS_MAX) {
            return true;
        }
    }
    return false;
}

void key_client_on_tick(struct key_client *client)
{
    client->turns++;
    uint64_t now = now_ms();
    if (key_client_is_attached(client)) {
        if (keyholder_is_silent(client, now)) {
            lose(client);
        }
    } else if (now > KEY_CLIENT_DETACHED_MS_MAX) {
        fail_queued(client, now - KEY_CLIENT_DETACHED_MS_MAX);
    }
    settle(client);
}

bool key_client_ask_tickets(struct key_client *client, uint64_t epoch)
{
    uint8_t packet[KEY_CHANNEL_PACKET_MAX];
    struct key_message message = {.kind = KEY_MESSAGE_ASK_TICKETS, .count = 1};
    message.tickets.keys.epoch = epoch;
    size_t len = key_message_encode(&message, packet);
    return key_client_is_attached(client) && send_packet(client, packet, len);
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
