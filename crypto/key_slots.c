/* crypto/key_slots.c · SPDX-License-Identifier: Apache-2.0 */
#include "crypto/key_slots.h"

#include <stdlib.h>

static void ring_push(const struct key_slots *slots, struct key_slot_ring *ring, uint16_t number)
{
    ring->numbers[(ring->first + ring->count) % slots->count] = number;
    ring->count++;
}

static struct key_slot *ring_at(const struct key_slots *slots, const struct key_slot_ring *ring,
                                size_t index)
{
    return &slots->slots[ring->numbers[(ring->first + index) % slots->count]];
}

static void ring_push_front(const struct key_slots *slots, struct key_slot_ring *ring,
                            uint16_t number)
{
    ring->first = (ring->first + slots->count - 1) % slots->count;
    ring->numbers[ring->first] = number;
    ring->count++;
}

static void ring_drop(const struct key_slots *slots, struct key_slot_ring *ring, size_t count)
{
    ring->first = (ring->first + count) % slots->count;
    ring->count -= count;
}

/* Takes out those that `is_out` names; the others keep their order. */
static void ring_sift(const struct key_slots *slots, struct key_slot_ring *ring,
                      bool (*is_out)(const struct key_slot *slot))
{
    size_t kept = 0;
    for (size_t i = 0; i < ring->count; i++) {
        uint16_t number = ring->numbers[(ring->first + i) % slots->count];
        if (!is_out(&slots->slots[number])) {
            ring->numbers[(ring->first + kept++) % slots->count] = number;
        }
    }
    ring->count = kept;
}

static bool is_not_queued(const struct key_slot *slot)
{
    return slot->state != KEY_SLOT_QUEUED;
}

bool key_slots_init(struct key_slots *slots, size_t count)
{
    *slots = (struct key_slots){.count = count};
    slots->slots = calloc(count, sizeof(*slots->slots));
    slots->free = calloc(count, sizeof(uint16_t));
    slots->queue.numbers = calloc(count, sizeof(uint16_t));
    slots->ready.numbers = calloc(count, sizeof(uint16_t));
    if (slots->slots == NULL || slots->free == NULL || slots->queue.numbers == NULL ||
        slots->ready.numbers == NULL) {
        return false;
    }
    for (size_t i = count; i-- > 0;) {
        slots->slots[i].request.slot = (uint16_t)i;
        slots->free[slots->free_count++] = (uint16_t)i;
    }
    return true;
}

void key_slots_fini(struct key_slots *slots)
{
    free(slots->slots);
    free(slots->free);
    free(slots->queue.numbers);
    free(slots->ready.numbers);
    *slots = (struct key_slots){0};
}

struct key_slot *key_slots_take(struct key_slots *slots, uint64_t now_ms)
{
    if (slots->free_count == 0) {
        return NULL;
    }
    struct key_slot *slot = &slots->slots[slots->free[--slots->free_count]];
    slot->request.generation++;
    slot->since_ms = now_ms;
    slot->entered_ms = now_ms;
    slot->times_sent = 0;
    slot->signature_len = 0;
    slot->job = (struct parked_job){0};
    slot->state = KEY_SLOT_QUEUED;
    ring_push(slots, &slots->queue, slot->request.slot);
    return slot;
}

void key_slots_give_back(struct key_slots *slots, struct key_slot *slot)
{
    bool is_queued = slot->state == KEY_SLOT_QUEUED;
    slot->state = KEY_SLOT_FREE;
    if (is_queued) {
        ring_sift(slots, &slots->queue, is_not_queued);
    }
    /* Resumed by a stray call before its wake: it must not be woken later. */
    slot->job = (struct parked_job){0};
    slots->free[slots->free_count++] = slot->request.slot;
}

size_t key_slots_used(const struct key_slots *slots)
{
    return slots->count - slots->free_count;
}

bool key_slot_is_pending(const struct key_slot *slot)
{
    return slot->state == KEY_SLOT_QUEUED || slot->state == KEY_SLOT_SENT;
}

size_t key_slots_queued(const struct key_slots *slots)
{
    return slots->queue.count;
}

struct key_slot *key_slots_queued_at(const struct key_slots *slots, size_t index)
{
    return ring_at(slots, &slots->queue, index);
}

void key_slots_sent(struct key_slots *slots, size_t count, uint64_t now_ms)
{
    for (size_t i = 0; i < count; i++) {
        struct key_slot *slot = ring_at(slots, &slots->queue, i);
        slot->state = KEY_SLOT_SENT;
        slot->entered_ms = now_ms;
        slot->times_sent++;
    }
    ring_drop(slots, &slots->queue, count);
}

struct key_slot *key_slots_find(struct key_slots *slots, const struct key_answer *answer)
{
    if (answer->slot >= slots->count) {
        return NULL;
    }
    struct key_slot *slot = &slots->slots[answer->slot];
    bool asked = slot->state == KEY_SLOT_SENT && slot->request.generation == answer->generation;
    return asked ? slot : NULL;
}

void key_slots_end(struct key_slots *slots, struct key_slot *slot, enum key_slot_state state)
{
    slot->state = state;
    if (parked_job_is_set(&slot->job) && !slot->is_ready) {
        slot->is_ready = true;
        ring_push(slots, &slots->ready, slot->request.slot);
    }
}

void key_slots_fail_sent(struct key_slots *slots)
{
    for (size_t i = 0; i < slots->count; i++) {
        if (slots->slots[i].state == KEY_SLOT_SENT) {
            key_slots_end(slots, &slots->slots[i], KEY_SLOT_FAILED);
        }
    }
}

void key_slots_fail_queued(struct key_slots *slots, uint64_t since_ms)
{
    for (size_t i = 0; i < slots->queue.count; i++) {
        struct key_slot *slot = ring_at(slots, &slots->queue, i);
        if (slot->entered_ms <= since_ms) {
            key_slots_end(slots, slot, KEY_SLOT_FAILED);
        }
    }
    ring_sift(slots, &slots->queue, is_not_queued);
}

bool key_slots_has_sent_before(const struct key_slots *slots, uint64_t since_ms)
{
    for (size_t i = 0; i < slots->count; i++) {
        if (slots->slots[i].state == KEY_SLOT_SENT && slots->slots[i].entered_ms < since_ms) {
            return true;
        }
    }
    return false;
}

void key_slots_ask_again(struct key_slots *slots, uint64_t now_ms, uint64_t since_ms,
                         unsigned times)
{
    for (size_t i = slots->count; i-- > 0;) {
        struct key_slot *slot = &slots->slots[i];
        if (slot->state != KEY_SLOT_SENT) {
            continue;
        }
        if (slot->since_ms <= since_ms || slot->times_sent >= times) {
            key_slots_end(slots, slot, KEY_SLOT_FAILED);
            continue;
        }
        slot->state = KEY_SLOT_QUEUED;
        slot->entered_ms = now_ms;
        ring_push_front(slots, &slots->queue, slot->request.slot);
    }
}

bool key_slots_want(const struct key_slots *slots, uint32_t first, size_t count)
{
    for (size_t i = 0; i < slots->count; i++) {
        const struct key_slot *slot = &slots->slots[i];
        if (key_slot_is_pending(slot) && slot->request.key_id - first < count) {
            return true;
        }
    }
    return false;
}

bool key_slots_has_ready(const struct key_slots *slots)
{
    return slots->ready.count > 0;
}

struct key_slot *key_slots_next_ready(struct key_slots *slots)
{
    if (slots->ready.count == 0) {
        return NULL;
    }
    struct key_slot *slot = ring_at(slots, &slots->ready, 0);
    ring_drop(slots, &slots->ready, 1);
    slot->is_ready = false;
    return slot;
}
