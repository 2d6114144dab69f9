/* crypto/signing_rota.h
 *
 * Says which of the waiting requests the keyholder signs next: always the first of the worker whose
 * turn it is; and, where several can be computed in one call, what fits it from all workers, if
 * that is enough to be worth it.
 *
 * Why it exists: who waits for whom is a promise between workers that do not trust each other. No
 * worker loses its turn because of what others ask, and no request waits for company.
 *
 * Owner: the keyholder.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#pragma once

#include <stddef.h>

#include "crypto/key_channel.h"

struct key_table;
struct worker_channel;

enum {
    /* A call takes as long as two to four signatures by OpenSSL (2048 bits least, 3072 and 4096
     * nearly four), however few it makes. */
    SIGNING_ROTA_BATCH_MIN = 4,
    /* How far into a worker's queue a batch looks for requests that fit it. */
    SIGNING_ROTA_LOOK_AHEAD = 64,
};

/* `= {.most = 1}` is a valid new one. */
struct signing_rota {
    size_t most; /* how many may be signed in one call; 1: no batches */
    size_t next; /* whose turn it is; private to signing_rota.c */
};

struct signing_choice {
    struct worker_channel *worker;
    struct key_request request;
};

/* Takes requests out of the queues into `chosen` (room for `most`) and returns how many: 0 when
 * none waits, 1 to be signed by itself, or SIGNING_ROTA_BATCH_MIN and more whose keys have numbers
 * for batches (signing_key_numbers) of one length. */
size_t signing_rota_choose(struct signing_rota *rota, const struct key_table *keys,
                           struct worker_channel *const *workers, size_t worker_count,
                           struct signing_choice *chosen);
