/* crypto/share_pool.h
 *
 * Key shares of X25519 that are made before they are needed, eight in a call. Each is given out
 * once and wiped here; none is of use to anybody before that.
 *
 * Why it exists: made in a batch a share takes a tenth of the time, and a handshake that finds one
 * ready does not wait for it.
 *
 * Its page is locked into memory where the system allows it, left out of core dumps, and empty in a
 * process that was forked: no share is ever given out twice.
 *
 * Owner: agreements.c, one in a process.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "crypto/secret.h"
#include "crypto/x25519.h"

enum { SHARE_POOL_MOST = 56 }; /* seven batches, and a page holds them */

/* Fields private to share_pool.c. `= {0}` is a valid empty one that nothing can be taken from. */
struct share_pool {
    struct secret page;
};

/* Starts empty. False: no memory, or none that a fork wipes. */
bool share_pool_init(struct share_pool *pool) __attribute__((warn_unused_result));
/* Wipes. Harmless on `= {0}`, and twice. */
void share_pool_fini(struct share_pool *pool);

/* Makes batches while there is room for one. */
void share_pool_refill(struct share_pool *pool);

/* False: none is ready. */
bool share_pool_take(struct share_pool *pool, struct x25519_share *share)
    __attribute__((warn_unused_result));

size_t share_pool_count(const struct share_pool *pool);
