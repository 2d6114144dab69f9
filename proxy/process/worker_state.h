/* proxy/process/worker_state.h
 *
 * The inside of a worker's main, shared by worker_process.c (its life and what the master sends)
 * and worker_reload.c (one generation of its configuration after the other). Nobody else includes
 * it.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#pragma once

#include "proxy/base/log.h"
#include "proxy/net/timer.h"
#include "proxy/process/channel.h"
#include "proxy/process/memory_trim.h"
#include "proxy/process/sandbox_plan.h"
#include "proxy/process/worker_generation.h"
#include "proxy/process/worker_keys.h"
#include "proxy/relay/relay.h"

struct worker {
    char role[32]; /* "worker 1"; room for any number */
    struct loop *loop;
    struct watch channel;
    struct deadline tick;
    struct memory_trim trim;
    struct counters *counters;
    struct worker_generation *present;
    struct worker_generation *next; /* being prepared; NULL: none */
    struct list former;             /* of struct worker_generation */
    struct log *log;
    struct log *access_log;
    struct spent_tickets *spent; /* for the life of the process */
    struct worker_keys *keys;    /* NULL: the configuration has no certificate */
    struct relay *relay;
    struct sandbox_plan plan; /* what it is shut in with */
    uint32_t keys_taken;      /* channels to the keyholder, so far */
    uint64_t dropped_told;
    uint8_t packet[CHANNEL_PACKET_MAX];
};

/* ---- worker_process.c ---- */

/* `generation` could not be prepared; 0: something else. */
void worker_tell_failure(uint32_t generation, const char *sentence);

/* Says why and ends: the master decides what follows. */
void worker_fail(struct worker *worker, const char *sentence);

/* The channel to the keyholder has ended: a new one is needed. */
void worker_ask_for_keys(void *self);

/* ---- worker_reload.c ---- */

/* The first generation's, or the next one's. */
void worker_take_bundle(struct worker *worker, const struct channel_message *message);

/* False: the descriptors are not taken. */
bool worker_take_listeners(struct worker *worker, const struct channel_message *message);

struct relay_start worker_relay_start(struct worker *worker, struct worker_generation *generation);

/* Certificates and authorities are objects by now, their files can go. */
void worker_drop_bundle(struct worker_generation *generation);

void worker_prepare(struct worker *worker, const struct channel_message *message);
void worker_commit(struct worker *worker, const struct channel_message *message);
void worker_roll_back(struct worker *worker, const struct channel_message *message);

/* Tells the master which former generations are gone; once a tick. */
void worker_tell_released(struct worker *worker);
