/* proxy/gossip/peer_table.h
 *
 * What one cluster's process knows of each peer and of each key, in memory shared with the master:
 * the process writes, the master reads it for `status` and `posture`, and it outlives the process,
 * so that counting goes on when that is started again.
 *
 * A peer is an address with a port. One that has proven nothing (no packet of its opened with a key
 * of ours) is a stranger: there is room for a few of them only, so that forged sources can neither
 * fill the memory nor push out the peers; what is beyond is counted under one entry without an
 * address. When the table is full, the peer that was silent longest gives its place.
 *
 * Owner: the master has the file; the process has a mapping and an index of its own over it.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "crypto/gossip_cipher.h"
#include "proxy/base/status.h"
#include "proxy/gossip/endpoint.h"

enum {
    PEER_TABLE_PEERS = 12288,    /* entries, the first one for those without a place */
    PEER_TABLE_STRANGERS = 1024, /* of them at most */
};

/* clang-format off */
#define PEER_COUNTER_TABLE(X)                                                                    \
    X(SEALED,      "sealed",      "packets and frames sealed for it")                            \
    X(OPENED,      "opened",      "packets and frames of it opened")                             \
    X(CLEAR_IN,    "clear_in",    "taken from it in plaintext")                                  \
    X(CLEAR_OUT,   "clear_out",   "sent to it in plaintext")                                     \
    X(REPLAYED,    "replayed",    "dropped: seen before")                                        \
    X(OVERSIZE,    "oversize",    "sent in fragments: larger than the path takes")               \
    X(THROTTLED,   "throttled",   "dropped unopened: too many that no key fits")                 \
    X(UNMAPPED,    "unmapped",    "dropped: an address that is not in the map (mode relay)")     \
    X(MALFORMED,   "malformed",   "dropped: no gossip message")                                  \
    X(NOT_SENT,    "not_sent",    "the system did not take it")                                  \
    X(NOT_DIALLED, "not_dialled", "connections that could not be made")                          \
    X(TIMED_OUT,   "timed_out",   "connections that took too long")                              \
    X(NO_ROOM,     "no_room",     "connections refused at a limit")
/* clang-format on */

#define PEER_COUNTER_ENUM(code, name, help) PEER_##code,
enum peer_counter { PEER_COUNTER_TABLE(PEER_COUNTER_ENUM) PEER_COUNTERS };
#undef PEER_COUNTER_ENUM

/* The stable name in status and metrics. */
const char *peer_counter_name(enum peer_counter counter);

struct peer {
    struct endpoint endpoint; /* port 0 and no address: those without a place */
    uint8_t is_used;
    uint8_t is_stranger;
    uint16_t path_bytes;   /* largest payload that goes unfragmented; 0: not asked yet */
    uint32_t path_asked_s; /* when, on the monotonic clock */
    int64_t proven_s;      /* when something of it was opened last, since 1970; 0: never */
    int64_t active_s;      /* when something was sent to it or came from it */
    uint64_t at[PEER_COUNTERS];
    uint64_t refused[GOSSIP_REFUSALS];
};

/* What is known of one key of the ring, in the ring's order. */
struct peer_table_key {
    char id[KEYRING_ID_BYTES];
    uint32_t bits;
    uint64_t sealed;
    uint64_t opened;
    int64_t opened_s; /* when last, since 1970; 0: never */
};

/* The shared part. */
struct peer_pages {
    uint32_t used;        /* peers[0..used) may be looked at */
    uint32_t key_count;   /* of the ring that is in use */
    uint32_t generation;  /* of the ring: how many have been taken */
    uint32_t is_changing; /* odd while keys are being written */
    struct peer_table_key keys[KEYRING_KEYS_MAX];
    struct peer peers[PEER_TABLE_PEERS];
};

static inline void peer_count(struct peer *peer, enum peer_counter counter)
{
    __atomic_store_n(&peer->at[counter], peer->at[counter] + 1, __ATOMIC_RELAXED);
}

static inline uint64_t peer_counter_get(const struct peer *peer, enum peer_counter counter)
{
    return __atomic_load_n(&peer->at[counter], __ATOMIC_RELAXED);
}

static inline uint64_t peer_refused_get(const struct peer *peer, enum gossip_refusal refusal)
{
    return __atomic_load_n(&peer->refused[refusal], __ATOMIC_RELAXED);
}

/* How many entries may be looked at. A process that was taken over may have written anything: it is
 * never more than there are. */
static inline size_t peer_pages_used(const struct peer_pages *pages)
{
    size_t used = __atomic_load_n(&pages->used, __ATOMIC_ACQUIRE);
    return used > PEER_TABLE_PEERS ? PEER_TABLE_PEERS : used;
}

/* ---- the file ---- */

/* Makes the shared file, sealed against resizing. -1 with errno. */
int peer_pages_new(void);

/* Maps it; read-only for the master. NULL: not such a file. */
struct peer_pages *peer_pages_map(int descriptor, bool is_writable);
void peer_pages_unmap(struct peer_pages *pages);

/* A copy of the keys that is of one instant, for readers: false when the writer is busy or dead in
 * the middle of it. */
bool peer_pages_read_keys(const struct peer_pages *pages, struct peer_table_key *keys,
                          size_t *count, uint32_t *generation);

/* ---- the writer's index ---- */

struct peer_table;

/* Over pages that stay the caller's; what is in them is taken over. NULL: no memory. */
struct peer_table *peer_table_new(struct peer_pages *pages) __attribute__((warn_unused_result));
void peer_table_free(struct peer_table *table);

/* The peer of that address, made if need be; never NULL. `is_local`: our own node sends to it, so
 * it is no stranger. The pointer holds until the next call. `now_s` since 1970. */
struct peer *peer_table_get(struct peer_table *table, const struct endpoint *endpoint,
                            bool is_local, int64_t now_s);

/* The peer with that IP (whatever its port), or as above with `endpoint`: for conns that come from
 * it, whose port says nothing. */
struct peer *peer_table_get_by_ip(struct peer_table *table, const struct endpoint *endpoint,
                                  int64_t now_s);

/* Something of it was opened with key number `key`: it is a stranger no more. */
void peer_table_prove(struct peer_table *table, struct peer *peer, size_t key, int64_t now_s);

/* Something was sealed for it. */
void peer_table_sealed(struct peer_table *table, struct peer *peer);

/* What was sealed with the primary, since it became known. */
uint64_t peer_table_primary_sealed(const struct peer_table *table);

/* Another ring is in use; what was counted under a key's id goes on. */
void peer_table_set_ring(struct peer_table *table, const struct keyring *ring);
