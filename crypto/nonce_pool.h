/* crypto/nonce_pool.h
 *
 * Nonces of 12 random bytes, drawn from the system's generator a page at a time.
 *
 * Why it exists: a nonce that is used twice with one key gives AES-GCM away, and one draw for each
 * packet costs as much as sealing it. Each one is handed out once; the page is one that the kernel
 * makes zero in a forked child (MADV_WIPEONFORK), which then finds the pool empty and draws anew.
 *
 * Owner: embedded in the cipher.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
    NONCE_BYTES = 12,
    NONCE_POOL_BYTES = 4096, /* a page, or a part of one */
    NONCE_POOL_COUNT = (NONCE_POOL_BYTES - (int)sizeof(uint64_t)) / NONCE_BYTES,
};

/* Fields private to nonce_pool.c. */
struct nonce_pool_page;
struct nonce_pool {
    struct nonce_pool_page *page;
};

/* False: no memory, or a kernel that cannot wipe on a fork (before 4.14). */
bool nonce_pool_init(struct nonce_pool *pool) __attribute__((warn_unused_result));

/* Harmless on what `= {0}` made. */
void nonce_pool_fini(struct nonce_pool *pool);

/* Writes a nonce that was never handed out before. False: no randomness. */
bool nonce_pool_take(struct nonce_pool *pool, uint8_t nonce[NONCE_BYTES])
    __attribute__((warn_unused_result));
