/* proxy/gossip/peer_table.c · SPDX-License-Identifier: Apache-2.0 */
#include "proxy/gossip/peer_table.h"

#include <stdlib.h>
#include <sys/random.h>

enum { BUCKETS = 16384, NONE = 0xffff };

_Static_assert((int)PEER_TABLE_PEERS < (int)NONE, "an index has 16 bits");
_Static_assert((BUCKETS & (BUCKETS - 1)) == 0, "a bucket is chosen by masking");

/* Entries of one address share a bucket whatever their ports, so that both lookups walk one chain.
 */
struct peer_table {
    struct peer_pages *pages;
    uint64_t seed; /* so that nobody can choose addresses that fall into one bucket */
    size_t strangers;
    size_t sweep; /* where the search for the next victim goes on */
    uint16_t heads[BUCKETS];
    uint16_t next[PEER_TABLE_PEERS];
};

static size_t bucket_of(const struct peer_table *table, const struct endpoint *endpoint)
{
    uint64_t halves[2];
    memcpy(halves, endpoint->ip, sizeof(halves));
    uint64_t mixed = (halves[0] ^ table->seed) * 0x9e3779b97f4a7c15U;
    mixed = (mixed ^ mixed >> 32 ^ halves[1]) * 0xd6e8feb86659fd93U;
    mixed = (mixed ^ mixed >> 29 ^ table->seed) * 0x9e3779b97f4a7c15U;
    return (mixed >> 40) & (BUCKETS - 1);
}

static void link_entry(struct peer_table *table, size_t index)
{
    size_t bucket = bucket_of(table, &table->pages->peers[index].endpoint);
    table->next[index] = table->heads[bucket];
    table->heads[bucket] = (uint16_t)index;
}

static void unlink_entry(struct peer_table *table, size_t index)
{
    uint16_t *link = &table->heads[bucket_of(table, &table->pages->peers[index].endpoint)];
    while (*link != NONE && *link != index) {
        link = &table->next[*link];
    }
    if (*link == index) {
        *link = table->next[index];
    }
}

/* Entries of an earlier process are taken over; what a crash has left half made is dropped. */
static void index_entries(struct peer_table *table)
{
    struct peer_pages *pages = table->pages;
    if (pages->used == 0 || pages->used > PEER_TABLE_PEERS) {
        pages->used = 1;
    }
    for (size_t i = 1; i < pages->used; i++) {
        if (pages->peers[i].is_used != 0) {
            table->strangers += pages->peers[i].is_stranger != 0;
            link_entry(table, i);
        }
    }
}

struct peer_table *peer_table_new(struct peer_pages *pages)
{
    struct peer_table *table = calloc(1, sizeof(*table));
    if (table == NULL) {
        return NULL;
    }
    table->pages = pages;
    memset(table->heads, 0xff, sizeof(table->heads));
    (void)!getrandom(&table->seed, sizeof(table->seed), 0);
    index_entries(table);
    return table;
}

void peer_table_free(struct peer_table *table)
{
    free(table);
}

/* ---- places ---- */

static bool is_older(const struct peer *a, const struct peer *b)
{
    return b == NULL || a->active_s < b->active_s;
}

/* The most silent of the next few: not the most silent of all, but found in bounded time. */
static size_t choose_victim(struct peer_table *table, bool among_strangers)
{
    enum { LOOKED_AT = 64 };
    size_t chosen = 0;
    size_t looked = 0;
    for (size_t i = 0; i < PEER_TABLE_PEERS && looked < LOOKED_AT; i++) {
        table->sweep = table->sweep + 1 < table->pages->used ? table->sweep + 1 : 1;
        const struct peer *peer = &table->pages->peers[table->sweep];
        if (among_strangers && peer->is_stranger == 0) {
            continue;
        }
        looked++;
        if (is_older(peer, chosen == 0 ? NULL : &table->pages->peers[chosen])) {
            chosen = table->sweep;
        }
    }
    return chosen;
}

/* The index of a free entry; 0: there is none for a stranger that came this soon. */
static size_t take_place(struct peer_table *table, bool is_stranger, int64_t now_s)
{
    enum { KEPT_S = 60 };
    struct peer_pages *pages = table->pages;
    bool is_crowded = is_stranger && table->strangers >= PEER_TABLE_STRANGERS;
    if (!is_crowded && pages->used < PEER_TABLE_PEERS) {
        size_t index = pages->used;
        __atomic_store_n(&pages->used, pages->used + 1, __ATOMIC_RELEASE);
        return index;
    }
    size_t victim = choose_victim(table, is_stranger);
    if (victim == 0 || (is_stranger && pages->peers[victim].active_s > now_s - KEPT_S)) {
        return 0;
    }
    table->strangers -= pages->peers[victim].is_stranger != 0;
    unlink_entry(table, victim);
    return victim;
}

static struct peer *add(struct peer_table *table, const struct endpoint *endpoint, bool is_stranger,
                        int64_t now_s)
{
    size_t index = take_place(table, is_stranger, now_s);
    struct peer *peer = &table->pages->peers[index];
    if (index == 0) {
        peer->active_s = now_s;
        return peer;
    }
    *peer = (struct peer){
        .endpoint = *endpoint, .is_used = 1, .is_stranger = is_stranger, .active_s = now_s};
    table->strangers += is_stranger;
    link_entry(table, index);
    return peer;
}

static void greet(struct peer_table *table, struct peer *peer, bool is_local, int64_t now_s)
{
    peer->active_s = now_s;
    if (is_local && peer->is_stranger != 0) {
        peer->is_stranger = 0;
        table->strangers--;
    }
}

struct peer *peer_table_get(struct peer_table *table, const struct endpoint *endpoint,
                            bool is_local, int64_t now_s)
{
    struct peer *peers = table->pages->peers;
    for (uint16_t i = table->heads[bucket_of(table, endpoint)]; i != NONE; i = table->next[i]) {
        if (endpoint_equal(&peers[i].endpoint, endpoint)) {
            greet(table, &peers[i], is_local, now_s);
            return &peers[i];
        }
    }
    return add(table, endpoint, !is_local, now_s);
}

/* The very address before any other port: forged packets from that IP make entries too. */
struct peer *peer_table_get_by_ip(struct peer_table *table, const struct endpoint *endpoint,
                                  int64_t now_s)
{
    struct peer *peers = table->pages->peers;
    struct peer *found = NULL;
    for (uint16_t i = table->heads[bucket_of(table, endpoint)]; i != NONE; i = table->next[i]) {
        bool is_exact = endpoint_equal(&peers[i].endpoint, endpoint);
        if (is_exact || (found == NULL && endpoint_same_ip(&peers[i].endpoint, endpoint))) {
            found = &peers[i];
        }
        if (is_exact) {
            break;
        }
    }
    if (found == NULL) {
        return add(table, endpoint, true, now_s);
    }
    greet(table, found, false, now_s);
    return found;
}

/* ---- counting ---- */

void peer_table_prove(struct peer_table *table, struct peer *peer, size_t key, int64_t now_s)
{
    struct peer_table_key *found = &table->pages->keys[key];
    peer_count(peer, PEER_OPENED);
    if (peer != &table->pages->peers[0]) { /* one of those without a place speaks for no other */
        peer->proven_s = now_s;
    }
    __atomic_store_n(&found->opened, found->opened + 1, __ATOMIC_RELAXED);
    __atomic_store_n(&found->opened_s, now_s, __ATOMIC_RELAXED);
    if (peer->is_stranger != 0) {
        peer->is_stranger = 0;
        table->strangers--;
    }
}

void peer_table_sealed(struct peer_table *table, struct peer *peer)
{
    struct peer_table_key *primary = &table->pages->keys[0];
    peer_count(peer, PEER_SEALED);
    __atomic_store_n(&primary->sealed, primary->sealed + 1, __ATOMIC_RELAXED);
}

uint64_t peer_table_primary_sealed(const struct peer_table *table)
{
    return table->pages->keys[0].sealed;
}

/* ---- keys ---- */

/* Readers that see an odd number, or another one afterwards, read again. */
static void begin_change(struct peer_pages *pages)
{
    __atomic_store_n(&pages->is_changing, pages->is_changing | 1U, __ATOMIC_RELAXED);
    __atomic_thread_fence(__ATOMIC_RELEASE);
}

static void end_change(struct peer_pages *pages)
{
    __atomic_store_n(&pages->is_changing, pages->is_changing + 1, __ATOMIC_RELEASE);
}

static void fill_key(struct peer_table_key *key, const struct peer_pages *old,
                     const struct keyring *ring, size_t index)
{
    *key = (struct peer_table_key){.bits = keyring_key_bits(ring, index)};
    keyring_id(ring, index, key->id);
    for (size_t i = 0; i < KEYRING_KEYS_MAX; i++) {
        if (strcmp(old->keys[i].id, key->id) == 0) {
            *key = old->keys[i];
        }
    }
}

void peer_table_set_ring(struct peer_table *table, const struct keyring *ring)
{
    struct peer_pages *pages = table->pages;
    struct peer_table_key keys[KEYRING_KEYS_MAX] = {{.bits = 0}};
    size_t count = keyring_count(ring);
    for (size_t i = 0; i < count && i < KEYRING_KEYS_MAX; i++) {
        fill_key(&keys[i], pages, ring, i);
    }
    begin_change(pages);
    memcpy(pages->keys, keys, sizeof(keys));
    pages->key_count = (uint32_t)count;
    pages->generation++;
    end_change(pages);
}
