/* crypto/key_client.h
 *
 * The worker's end of the channel to the keyholder: requests of the loop turn are gathered, sent
 * at its end in packets of up to eight, and each handshake that waits is woken when its answer is
 * in. The caller owns the loop; nothing here sleeps, except for the blocking case below.
 *
 * Why it exists: a handshake that waits for a signature must not stop the worker's other conns.
 *
 * A keyholder may die at any time. What it has not answered is asked of the next one, up to
 * KEY_CLIENT_TIMES_SENT_MAX times in all, unless it has waited for KEY_CLIENT_ANSWER_MS_MAX
 * already. So a death costs a delay and no handshake.
 *
 * Owner: the worker. It must outlive the key provider, and every SSL object of the worker's.
 *
 * What the loop does
 *   - polls key_client_descriptor() for reading (it changes with attach and detach; -1: nothing to
 *     poll) and calls key_client_on_readable;
 *   - calls key_client_flush at the end of each turn in which anything ran;
 *   - calls key_client_on_tick about once a second.
 *
 * What a TLS stream does (server side, key from key_provider_key)
 *   1. Before the first SSL_do_handshake, and if key_provider_is_async():
 *          SSL_set_mode(ssl, SSL_MODE_ASYNC);
 *          SSL_set_async_callback(ssl, wake);        int wake(SSL *ssl, void *stream)
 *          SSL_set_async_callback_arg(ssl, stream);
 *   2. ERR_clear_error() before each call: the error queue is the thread's, and what another
 *      handshake left there turns WANT_ASYNC into SSL_ERROR_SSL.
 *   3. SSL_ERROR_WANT_ASYNC: parked. Do not call SSL_do_handshake again, not for socket events
 *      either, until `wake` was called. (A stray call does no harm; it parks again.)
 *   4. SSL_ERROR_WANT_ASYNC_JOB: the pool is used up. key_client_wait(), and SSL_do_handshake again
 *      when on_room is called.
 *   5. `wake` is called from key_client_on_readable, _flush, _on_tick, _attach or _detach, never
 *      from inside SSL_do_handshake. It may call SSL_do_handshake at once or note it for later.
 *      It must not free the key client.
 *   6. Never SSL_free while SSL_waiting_for_async(ssl): the job, its stack and the slot would be
 *      lost for good. A stream that is to end while parked (client gone, deadline) keeps its SSL
 *      until `wake`, calls SSL_do_handshake once more, whatever it returns, and then frees. The
 *      wake comes at the latest after twice KEY_CLIENT_ANSWER_MS_MAX; key_client_detach brings all
 *      now.
 *   7. Handshake done: SSL_clear_mode(ssl, SSL_MODE_ASYNC), or each SSL_read and SSL_write starts
 *      a job too.
 *
 * Without a current job (mode not set, no fibres on this system, no async callback) a signature
 * waits for its answer in poll, at most KEY_CLIENT_BLOCKING_MS_MAX.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "crypto/key_scheme.h"

struct crypto_error;
struct key_client;
struct ticket_keys;

enum {
    KEY_CLIENT_PARKED_DEFAULT = 256, /* handshakes that may wait at once: 33 KiB each */
    KEY_CLIENT_PARKED_MAX = 1000,
    KEY_CLIENT_DETACHED_MS_MAX = 2000, /* how long a request waits for a new keyholder */
    KEY_CLIENT_ANSWER_MS_MAX = 4000,   /* then the keyholder is taken for dead */
    KEY_CLIENT_TIMES_SENT_MAX = 4,     /* a request that ends every keyholder must end itself */
    KEY_CLIENT_BLOCKING_MS_MAX = 2000,
};

struct key_client_events {
    void *self;
    /* Borrowed for the call. NULL: not interested. */
    void (*on_tickets)(void *self, const struct ticket_keys *keys);
    /* The keyholder is gone, or spoke nonsense, or was silent for too long. Wait for the master's
     * new descriptor and attach it: its keyholder must have all keys that this one had. May be
     * NULL. */
    void (*on_detached)(void *self);
};

/* A stream that got WANT_ASYNC_JOB; embedded there. Fields but the first two are private. */
struct key_waiter {
    void (*on_room)(void *self);
    void *self;
    struct key_waiter *next;
    struct key_waiter *previous;
    bool is_waiting;
};

/* `parked_max`: 1 .. KEY_CLIENT_PARKED_MAX. Starts detached. NULL with a sentence. */
struct key_client *key_client_new(size_t parked_max, const struct key_client_events *events,
                                  struct crypto_error *error);
/* Nothing may wait any more (call key_client_detach and let streams finish first). NULL is fine. */
void key_client_free(struct key_client *client);

/* Takes `descriptor` (SOCK_SEQPACKET; made non-blocking) in place of any old one. What that one has
 * not answered, and what came in while detached, is sent with the next flush. Stop polling the old
 * descriptor before: it is closed here, without on_detached. */
void key_client_attach(struct key_client *client, int descriptor);

/* Closes the channel, fails and wakes everything that waits, also what was never sent. Stop polling
 * the descriptor before; on_detached is not called. */
void key_client_detach(struct key_client *client);

int key_client_descriptor(const struct key_client *client);
bool key_client_is_attached(const struct key_client *client);
size_t key_client_parked_max(const struct key_client *client);
/* Requests not answered yet, or answered and not fetched. */
size_t key_client_waiting(const struct key_client *client);
/* Whether a request that waits is for any of `count` keys from `first` on, which therefore have to
 * stay granted. */
bool key_client_wants_keys(const struct key_client *client, uint32_t first, size_t count);

/* Wakes what is due, lets streams in that waited for room, then sends all requests gathered. */
void key_client_flush(struct key_client *client);
/* Reads every answer that is there without blocking, then wakes. */
void key_client_on_readable(struct key_client *client);
/* Fails what has waited for too long. */
void key_client_on_tick(struct key_client *client);

/* Asks for the ticket keys of an epoch; sent at once. False: not attached, or the channel is full;
 * ask again at the next tick. No answer for an epoch that is not previous, current or next. */
bool key_client_ask_tickets(struct key_client *client, uint64_t epoch);

/* on_room is called from key_client_flush, once, when a job is free. Cancel before the waiter's
 * memory goes; both are harmless when repeated. */
void key_client_wait(struct key_client *client, struct key_waiter *waiter);
void key_client_wait_cancel(struct key_client *client, struct key_waiter *waiter);

/* For the provider. Pauses the current job, or blocks when there is none. `signature` has room for
 * KEY_SIGNATURE_BYTES_MAX. False: no signature. */
bool key_client_sign(struct key_client *client, uint32_t key_id,
                     const struct key_scheme_facts *scheme, const uint8_t *hash, uint8_t *signature,
                     size_t *signature_len) __attribute__((warn_unused_result));
