/* crypto/worker_channel.h
 *
 * One worker's channel as the keyholder sees it: packets come in, requests wait in order, answers
 * go out. Says what the worker may ask for, and when it broke the protocol.
 *
 * Why it exists: it bounds what one worker can occupy (each slot once; a few ticket questions; one
 * packet that could not be sent yet), so that a hostile worker harms only itself.
 *
 * Owner: the keyholder.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "crypto/key_channel.h"

struct worker_channel;

enum worker_channel_state {
    WORKER_CHANNEL_OPEN,
    WORKER_CHANNEL_ENDED,       /* the worker closed it, or the socket failed */
    WORKER_CHANNEL_BAD_MESSAGE, /* a packet outside the protocol, or a slot asked for twice */
};

/* Takes `descriptor`, also when it fails (NULL: no memory). `key_ids` are copied. */
struct worker_channel *worker_channel_open(int descriptor, const uint32_t *key_ids, size_t count);
void worker_channel_close(struct worker_channel *channel);

int worker_channel_descriptor(const struct worker_channel *channel);
bool worker_channel_is_granted(const struct worker_channel *channel, uint32_t key_id);

/* Grants the `count` keys from `first` on as well. False: no memory. */
bool worker_channel_grant(struct worker_channel *channel, uint32_t first, size_t count)
    __attribute__((warn_unused_result));
void worker_channel_revoke(struct worker_channel *channel, uint32_t first, size_t count);

/* Reads what is there without blocking (a bounded number of packets). */
enum worker_channel_state worker_channel_read(struct worker_channel *channel);

/* The first waiting request, and the first epoch asked for; false: none, or answers are stuck.
 * Taking one obliges to answer it before the next read. */
bool worker_channel_take_request(struct worker_channel *channel, struct key_request *out);
/* The same for the request at `index` of those that wait; the others keep their order. */
bool worker_channel_take_request_at(struct worker_channel *channel, size_t index,
                                    struct key_request *out);
/* Whether a request can be taken now. */
bool worker_channel_may_take(const struct worker_channel *channel);
bool worker_channel_take_epoch(struct worker_channel *channel, uint64_t *out);
bool worker_channel_has_work(const struct worker_channel *channel);

/* The waiting requests, oldest first. */
size_t worker_channel_waiting(const struct worker_channel *channel);
const struct key_request *worker_channel_waiting_at(const struct worker_channel *channel,
                                                    size_t index);

/* Gathers an answer; up to KEY_CHANNEL_BATCH_MAX leave with one worker_channel_send. */
void worker_channel_answer(struct worker_channel *channel, const struct key_answer *answer);
enum worker_channel_state worker_channel_send(struct worker_channel *channel);
/* Sends ticket keys at once. The caller wipes `message`. */
enum worker_channel_state worker_channel_send_tickets(struct worker_channel *channel,
                                                      const struct key_message *message);

/* True while a packet waits for the socket: poll for writing, then worker_channel_send. */
bool worker_channel_is_stuck(const struct worker_channel *channel);
