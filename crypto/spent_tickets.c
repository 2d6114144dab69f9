/* crypto/spent_tickets.c
 *
 * Why at most one wins: two who ask about the same ticket walk the same slots in the same order.
 * Where both want the same slot, one exchange fails, and who lost walks again and finds the ticket.
 * They can want different ones only where a slot became free between the two walks; so whoever took
 * one walks on to the end of the run, and gives way to any second entry of its ticket. Both may
 * give way then; both winning would need each to have walked past the other's slot after having
 * written its own, which sequential consistency does not have.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "crypto/spent_tickets.h"

#include <fcntl.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

enum {
    TAG_BITS = 40,
    RUN_MAX = 128, /* slots looked at; at half load a longer run is not to be expected in a life */
    MINUTE = 60,
};

#define TAG_MASK ((UINT64_C(1) << TAG_BITS) - 1)

/* 2020-01-01: 24 bits of minutes since then last until 2051. */
#define FIRST_MINUTE (INT64_C(1577836800) / MINUTE)
#define LAST_MINUTE  ((INT64_C(1) << (64 - TAG_BITS)) - 1)

/* In shared memory. */
struct shared {
    uint64_t spent;
    uint64_t refused;
    uint64_t no_room;
    uint64_t unused[5]; /* slots begin on a cache line */
    uint64_t slots[];
};

struct spent_tickets {
    struct shared *shared;
    size_t bytes;
    size_t mask; /* slots less one; our own, so that nobody else can move it */
};

/* ---- making ---- */

static size_t slots_for(size_t tickets)
{
    size_t slots = 2 * (size_t)SPENT_TICKETS_MIN;
    while (slots < 2 * tickets) {
        slots *= 2;
    }
    return slots;
}

int spent_tickets_create(size_t tickets)
{
    tickets = tickets > SPENT_TICKETS_MAX ? SPENT_TICKETS_MAX : tickets;
    size_t bytes = sizeof(struct shared) + slots_for(tickets) * sizeof(uint64_t);
    int descriptor = memfd_create("sallyport-spent", MFD_CLOEXEC | MFD_ALLOW_SEALING);
    if (descriptor >= 0 &&
        (ftruncate(descriptor, (off_t)bytes) != 0 ||
         fcntl(descriptor, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL) != 0)) {
        (void)close(descriptor);
        descriptor = -1;
    }
    return descriptor;
}

/* 0: not the size of a list. */
static size_t slots_in(int descriptor)
{
    struct stat facts;
    int seals = fcntl(descriptor, F_GET_SEALS);
    if (seals < 0 || (seals & F_SEAL_SHRINK) == 0 || fstat(descriptor, &facts) != 0 ||
        (size_t)facts.st_size <= sizeof(struct shared)) {
        return 0;
    }
    size_t slots = ((size_t)facts.st_size - sizeof(struct shared)) / sizeof(uint64_t);
    return (slots & (slots - 1)) == 0 ? slots : 0;
}

struct spent_tickets *spent_tickets_attach(int descriptor)
{
    size_t slots = slots_in(descriptor);
    struct spent_tickets *list = slots == 0 ? NULL : calloc(1, sizeof(*list));
    if (list == NULL) {
        return NULL;
    }
    list->bytes = sizeof(struct shared) + slots * sizeof(uint64_t);
    list->mask = slots - 1;
    void *at = mmap(NULL, list->bytes, PROT_READ | PROT_WRITE, MAP_SHARED, descriptor, 0);
    if (at == MAP_FAILED) {
        free(list);
        return NULL;
    }
    list->shared = at;
    return list;
}

void spent_tickets_detach(struct spent_tickets *list)
{
    if (list != NULL) {
        (void)munmap(list->shared, list->bytes);
        free(list);
    }
}

/* ---- spending ---- */

/* Rounded up for ends and down for now: an entry is there for as long as its ticket opens. Never 0,
 * which is a slot that was never taken. */
static uint64_t minute_of(time_t seconds, int64_t round_up)
{
    int64_t minute = ((int64_t)seconds + round_up * (MINUTE - 1)) / MINUTE - FIRST_MINUTE;
    return (uint64_t)(minute < 1 ? 1 : minute > LAST_MINUTE ? LAST_MINUTE : minute);
}

static bool has_ended(uint64_t slot, uint64_t now)
{
    return slot >> TAG_BITS < now;
}

static uint64_t *slot_at(const struct spent_tickets *list, uint64_t start, size_t i)
{
    return &list->shared->slots[(start + i) & list->mask];
}

/* What a walk along a ticket's run has found. */
struct walk {
    bool has_ticket;    /* in another slot than `mine` */
    uint64_t *free;     /* the first slot that can be taken; NULL: none */
    uint64_t free_held; /* what is in it */
};

/* Up to the first slot that was never taken: nothing of this run can be behind it. */
static struct walk walk_run(const struct spent_tickets *list, uint64_t start, uint64_t tag,
                            uint64_t now, const uint64_t *mine)
{
    struct walk walk = {.free = NULL};
    for (size_t i = 0; i < RUN_MAX && i <= list->mask; i++) {
        uint64_t *slot = slot_at(list, start, i);
        uint64_t held = __atomic_load_n(slot, __ATOMIC_SEQ_CST);
        bool is_free = held == 0 || has_ended(held, now);
        if (!is_free && (held & TAG_MASK) == tag && slot != mine) {
            walk.has_ticket = true;
            return walk;
        }
        if (is_free && walk.free == NULL) {
            walk.free = slot;
            walk.free_held = held;
        }
        if (held == 0) {
            return walk;
        }
    }
    return walk;
}

static enum spent_verdict spend(struct spent_tickets *list, uint64_t start, uint64_t tag,
                                uint64_t ends, uint64_t now)
{
    for (size_t tries = 0; tries < RUN_MAX; tries++) {
        struct walk walk = walk_run(list, start, tag, now, NULL);
        if (walk.has_ticket) {
            return SPENT_BEFORE;
        }
        if (walk.free == NULL) {
            return SPENT_NO_ROOM;
        }
        if (__atomic_compare_exchange_n(walk.free, &walk.free_held, ends << TAG_BITS | tag, false,
                                        __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST)) {
            walk = walk_run(list, start, tag, now, walk.free);
            return walk.has_ticket ? SPENT_BEFORE : SPENT_NOW;
        }
    }
    return SPENT_NO_ROOM;
}

static void count(uint64_t *counter)
{
    (void)__atomic_add_fetch(counter, 1, __ATOMIC_RELAXED);
}

enum spent_verdict spent_tickets_spend(struct spent_tickets *list,
                                       const uint8_t iv[SPENT_TICKETS_IV_BYTES], time_t ends,
                                       time_t now)
{
    uint64_t start;
    uint64_t tag;
    memcpy(&start, iv, sizeof(start));
    memcpy(&tag, iv + sizeof(start), sizeof(tag));
    enum spent_verdict verdict =
        spend(list, start, tag & TAG_MASK, minute_of(ends, 1), minute_of(now, 0));
    struct shared *shared = list->shared;
    count(verdict == SPENT_NOW      ? &shared->spent
          : verdict == SPENT_BEFORE ? &shared->refused
                                    : &shared->no_room);
    return verdict;
}

struct spent_facts spent_tickets_facts(const struct spent_tickets *list)
{
    const struct shared *shared = list->shared;
    return (struct spent_facts){
        .spent = __atomic_load_n(&shared->spent, __ATOMIC_RELAXED),
        .refused = __atomic_load_n(&shared->refused, __ATOMIC_RELAXED),
        .no_room = __atomic_load_n(&shared->no_room, __ATOMIC_RELAXED),
        .room = list->mask + 1,
    };
}
