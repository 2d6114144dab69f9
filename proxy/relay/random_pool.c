/* proxy/relay/random_pool.c · SPDX-License-Identifier: Apache-2.0 */
#include "proxy/relay/random_pool.h"

#include <string.h>
#include <sys/random.h>

#include "proxy/base/assert.h"

static void refill(struct random_pool *pool)
{
    size_t got = 0;
    while (got < sizeof(pool->bytes)) {
        ssize_t more = getrandom(pool->bytes + got, sizeof(pool->bytes) - got, 0);
        /* The kernel's generator is seeded long before we run; nothing else can fail but a signal.
         */
        got += more > 0 ? (size_t)more : 0;
    }
    pool->left = sizeof(pool->bytes);
}

static void fill(void *self, void *out, size_t len)
{
    struct random_pool *pool = self;
    assert_always(len <= sizeof(pool->bytes));
    if (pool->left < len) {
        refill(pool);
    }
    pool->left -= len;
    memcpy(out, pool->bytes + pool->left, len);
}

struct random_source random_pool_source(struct random_pool *pool)
{
    return (struct random_source){.fill = fill, .self = pool};
}
