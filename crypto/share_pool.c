/* crypto/share_pool.c · SPDX-License-Identifier: Apache-2.0 */
#include "crypto/share_pool.h"

#include <openssl/crypto.h>
#include <openssl/rand.h>
#include <string.h>
#include <sys/mman.h>

#include "crypto/x25519_batch.h"

/* The count stands in the page too, so that it is zero whenever the shares are. */
struct share_page {
    size_t count;
    struct x25519_share shares[SHARE_POOL_MOST];
};

static struct share_page *page_of(const struct share_pool *pool)
{
    return (struct share_page *)(void *)pool->page.pages;
}

bool share_pool_init(struct share_pool *pool)
{
    if (!secret_init(&pool->page, sizeof(struct share_page))) {
        return false;
    }
    if (madvise(secret_room(&pool->page), sizeof(struct share_page), MADV_WIPEONFORK) != 0) {
        share_pool_fini(pool);
        return false;
    }
    return true;
}

void share_pool_fini(struct share_pool *pool)
{
    secret_fini(&pool->page);
}

/* False: no randomness, or the library refused; nothing of it is kept. */
static bool make_batch(struct x25519_share *shares)
{
    uint8_t scalars[X25519_BATCH_LANES][X25519_BYTES];
    struct x25519_lane lanes[X25519_BATCH_LANES];
    bool is_made = RAND_priv_bytes(scalars[0], sizeof(scalars)) == 1;
    for (size_t i = 0; i < X25519_BATCH_LANES; i++) {
        memcpy(shares[i].scalar, scalars[i], X25519_BYTES);
        lanes[i] = (struct x25519_lane){.scalar = shares[i].scalar, .out = shares[i].point};
    }
    OPENSSL_cleanse(scalars, sizeof(scalars));
    if (is_made) {
        x25519_batch_base(lanes, X25519_BATCH_LANES);
    }
    for (size_t i = 0; i < X25519_BATCH_LANES && is_made; i++) {
        is_made = lanes[i].is_computed;
    }
    if (!is_made) {
        OPENSSL_cleanse(shares, X25519_BATCH_LANES * sizeof(*shares));
    }
    return is_made;
}

void share_pool_refill(struct share_pool *pool)
{
    struct share_page *page = page_of(pool);
    while (page != NULL && page->count + X25519_BATCH_LANES <= SHARE_POOL_MOST &&
           make_batch(&page->shares[page->count])) {
        page->count += X25519_BATCH_LANES;
    }
}

bool share_pool_take(struct share_pool *pool, struct x25519_share *share)
{
    struct share_page *page = page_of(pool);
    if (page == NULL || page->count == 0) {
        return false;
    }
    struct x25519_share *given = &page->shares[--page->count];
    *share = *given;
    OPENSSL_cleanse(given, sizeof(*given));
    return true;
}

size_t share_pool_count(const struct share_pool *pool)
{
    const struct share_page *page = page_of(pool);
    return page == NULL ? 0 : page->count;
}
