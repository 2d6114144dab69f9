/* crypto/key_slots.h
 *
 * The places of the requests that a worker has with the keyholder.
 *
 *                       ┌─channel lost─┐
 *                       ▼              │
 *   FREE ──take──► QUEUED ──sent──► SENT ──answer──► DONE ──────┐
 *     ▲               │               │                         │ woken, its taker
 *     │               └── too old ────┴── asked too often ─► FAILED   gives it back
 *     └─────────────────────────────────────────────────────────┘
 *
 * Only whoever took a slot gives it back, so a slot is never used again while the keyholder may
 * still answer it; its generation tells a late answer from the present one all the same.
 *
 * A request may be asked of one keyholder after the other: a signature made twice does no harm.
 * Not for ever, though: it may be what ends them.
 *
 * Owner: the key client.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "crypto/key_channel.h"
#include "crypto/parked_job.h"

enum key_slot_state {
    KEY_SLOT_FREE = 0,
    KEY_SLOT_QUEUED,
    KEY_SLOT_SENT,
    KEY_SLOT_DONE,
    KEY_SLOT_FAILED,
};

struct key_slot {
    enum key_slot_state state;
    struct key_request request; /* slot and generation are filled in */
    uint64_t since_ms;          /* taken */
    uint64_t entered_ms;        /* its present state, if that is QUEUED or SENT */
    unsigned times_sent;
    struct parked_job job; /* empty: nobody to wake (blocking, or woken already) */
    bool is_ready;         /* waits to be woken; private to key_slots.c */
    size_t signature_len;
    uint8_t signature[KEY_SIGNATURE_BYTES_MAX];
};

/* Slot numbers, first in first out. Each slot is in it at most once, so it never overflows. */
struct key_slot_ring {
    uint16_t *numbers;
    size_t first;
    size_t count;
};

/* Fields private to key_slots.c. */
struct key_slots {
    struct key_slot *slots;
    size_t count;
    uint16_t *free; /* a stack: the last used slot's memory is warm */
    size_t free_count;
    struct key_slot_ring queue; /* QUEUED: those to be asked again, then the others as they came */
    struct key_slot_ring ready; /* DONE or FAILED, to be woken */
};

/* False: no memory; fini is still to be called. */
bool key_slots_init(struct key_slots *slots, size_t count) __attribute__((warn_unused_result));
void key_slots_fini(struct key_slots *slots);

/* A slot at the queue's end; NULL: none is free. The caller fills in what is asked for. */
struct key_slot *key_slots_take(struct key_slots *slots, uint64_t now_ms);
/* In any state but SENT. */
void key_slots_give_back(struct key_slots *slots, struct key_slot *slot);
size_t key_slots_used(const struct key_slots *slots);
bool key_slot_is_pending(const struct key_slot *slot);

/* The queue; its first `count` become SENT. */
size_t key_slots_queued(const struct key_slots *slots);
struct key_slot *key_slots_queued_at(const struct key_slots *slots, size_t index);
void key_slots_sent(struct key_slots *slots, size_t count, uint64_t now_ms);

/* The SENT slot that an answer is for; NULL: nobody asked this. */
struct key_slot *key_slots_find(struct key_slots *slots, const struct key_answer *answer);

/* A SENT slot becomes DONE or FAILED; then it waits for key_slots_next_ready, if anybody is to be
 * woken. */
void key_slots_end(struct key_slots *slots, struct key_slot *slot, enum key_slot_state state);
void key_slots_fail_sent(struct key_slots *slots);
/* Those that have been in the queue since `since_ms` or before. */
void key_slots_fail_queued(struct key_slots *slots, uint64_t since_ms);
/* Whether one that was sent before waits still. */
bool key_slots_has_sent_before(const struct key_slots *slots, uint64_t since_ms);

/* All that are SENT go to the front of the queue; but for those that were taken at `since_ms` or
 * before, or have been sent `times` times: they fail. */
void key_slots_ask_again(struct key_slots *slots, uint64_t now_ms, uint64_t since_ms,
                         unsigned times);

/* Whether any of `count` keys from `first` on is asked for. */
bool key_slots_want(const struct key_slots *slots, uint32_t first, size_t count);

bool key_slots_has_ready(const struct key_slots *slots);
/* Takes the next one to be woken out; NULL: none. It may have nobody to wake by now. */
struct key_slot *key_slots_next_ready(struct key_slots *slots);
