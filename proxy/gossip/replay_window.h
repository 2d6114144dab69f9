/* proxy/gossip/replay_window.h
 *
 * The nonces of the last N packets that were opened, so that a packet which somebody recorded is
 * not taken a second time.
 *
 * Why it exists: memberlist's format has nothing against replay, but its nonces are random, so that
 * no honest packet ever repeats one. What is older than N packets of the whole cluster, or than
 * this process, is forgotten and would be taken again.
 *
 * Two generations of a set: one that is filled, and the one before. When the newer has N nonces,
 * the older is emptied and takes its place. So the last N are always known, and at most 2 N.
 *
 * Memory: 2 tables of 8 bytes for each of the next power of two above N * 4/3: between 21 and 43
 * bytes for each of the N (65536: 2 MiB). All is taken at the start; pages come into being as they
 * are used. Emptying a table is one write over it, once in N packets.
 *
 * Eight of a nonce's twelve bytes are compared: one honest packet in 2^64 / 2N is dropped by
 * mistake. Only authenticated nonces may be added, or a stranger could fill the window.
 *
 * Owner: embedded in the process of one cluster.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "proxy/base/status.h"

enum { REPLAY_WINDOW_NONCES_MAX = 16 * 1024 * 1024 };

/* Fields private to replay_window.c. `= {0}` remembers nothing. */
struct replay_window {
    uint64_t *newer; /* 0: a free place */
    uint64_t *older;
    size_t slots;  /* of each: a power of two; 0: off */
    unsigned bits; /* of an index */
    size_t nonces; /* N */
    size_t count;  /* in `newer` */
    uint64_t ours; /* remembered, and put into its place by the next call; 0: none */
};

/* `nonces`: how many are remembered at least; 0: none. NOMEM, or REFUSED above
 * REPLAY_WINDOW_NONCES_MAX. */
MUST_CHECK enum status replay_window_init(struct replay_window *window, uint64_t nonces);

/* Harmless twice. */
void replay_window_fini(struct replay_window *window);

/* Remembers the 12 bytes of a nonce whose packet was authenticated. False: it was seen before.
 * Allocates nothing. */
MUST_CHECK bool replay_window_add(struct replay_window *window, const uint8_t *nonce);

/* Has the processor fetch what replay_window_add will look at: where a nonce stands is random, so
 * it is in no cache, and what is done before (decrypting) hides the wait. */
void replay_window_expect(const struct replay_window *window, const uint8_t *nonce);

/* Adds a nonce that we have drawn ourselves, which nobody can have used before. */
void replay_window_remember(struct replay_window *window, const uint8_t *nonce);
