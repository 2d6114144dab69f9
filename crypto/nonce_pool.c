/* crypto/nonce_pool.c · SPDX-License-Identifier: Apache-2.0 */
#include "crypto/nonce_pool.h"

#include <openssl/crypto.h>
#include <openssl/rand.h>
#include <string.h>
#include <sys/mman.h>

/* `left` stands in the page too, so that it is zero whenever the nonces are. */
struct nonce_pool_page {
    uint64_t left;
    uint8_t nonces[NONCE_POOL_COUNT][NONCE_BYTES];
};

bool nonce_pool_init(struct nonce_pool *pool)
{
    pool->page = NULL;
    void *page =
        mmap(NULL, NONCE_POOL_BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (page == MAP_FAILED) {
        return false;
    }
    if (madvise(page, NONCE_POOL_BYTES, MADV_WIPEONFORK) != 0) {
        (void)munmap(page, NONCE_POOL_BYTES);
        return false;
    }
    pool->page = page;
    return true;
}

void nonce_pool_fini(struct nonce_pool *pool)
{
    if (pool->page != NULL) {
        (void)munmap(pool->page, NONCE_POOL_BYTES);
        pool->page = NULL;
    }
}

bool nonce_pool_take(struct nonce_pool *pool, uint8_t nonce[NONCE_BYTES])
{
    struct nonce_pool_page *page = pool->page;
    if (page->left == 0) {
        if (RAND_bytes(page->nonces[0], (int)sizeof(page->nonces)) != 1) {
            return false;
        }
        page->left = NONCE_POOL_COUNT;
    }
    page->left--;
    memcpy(nonce, page->nonces[page->left], NONCE_BYTES);
    return true;
}
