/* proxy/relay/random_pool.h
 *
 * Random bytes for ids and trace ids without a system call for each: drawn from the kernel by the
 * page and used once.
 *
 * Owner: the relay. Not for keys.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "proxy/route/random_source.h"

enum { RANDOM_POOL_BYTES = 4096 };

/* Zero is a valid empty pool. */
struct random_pool {
    size_t left;
    uint8_t bytes[RANDOM_POOL_BYTES];
};

/* Borrows the pool. */
struct random_source random_pool_source(struct random_pool *pool);
