/* crypto/secret.c · SPDX-License-Identifier: Apache-2.0 */
#include "crypto/secret.h"

#include <openssl/crypto.h>
#include <openssl/rand.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

static size_t round_to_pages(size_t capacity)
{
    size_t page = (size_t)sysconf(_SC_PAGESIZE);
    if (capacity == 0 || capacity > SIZE_MAX - page) {
        return 0;
    }
    return (capacity + page - 1) / page * page;
}

bool secret_init(struct secret *secret, size_t capacity)
{
    *secret = (struct secret){0};
    size_t mapped = round_to_pages(capacity);
    if (mapped == 0) {
        return false;
    }
    void *pages = mmap(NULL, mapped, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (pages == MAP_FAILED) {
        return false;
    }
    /* Best effort: RLIMIT_MEMLOCK may be small, and a secret in swappable memory is still better
     * than no service. */
    (void)mlock(pages, mapped);
    (void)madvise(pages, mapped, MADV_DONTDUMP);
    *secret = (struct secret){.pages = pages, .mapped = mapped, .capacity = capacity};
    return true;
}

void secret_fini(struct secret *secret)
{
    if (secret->pages != NULL) {
        OPENSSL_cleanse(secret->pages, secret->mapped);
        (void)munmap(secret->pages, secret->mapped);
    }
    *secret = (struct secret){0};
}

bool secret_set(struct secret *secret, const void *bytes, size_t len)
{
    if (len > secret->capacity) {
        return false;
    }
    if (secret->pages != NULL) {
        OPENSSL_cleanse(secret->pages, secret->mapped);
    }
    if (len > 0) {
        memcpy(secret->pages, bytes, len);
    }
    secret->len = len;
    return true;
}

bool secret_set_len(struct secret *secret, size_t len)
{
    if (len > secret->capacity) {
        return false;
    }
    secret->len = len;
    return true;
}

bool secret_set_random(struct secret *secret, size_t len)
{
    if (len == 0 || len > secret->capacity || len > INT32_MAX) {
        return false;
    }
    if (RAND_priv_bytes(secret->pages, (int)len) != 1) {
        OPENSSL_cleanse(secret->pages, secret->mapped);
        secret->len = 0;
        return false;
    }
    secret->len = len;
    return true;
}

const uint8_t *secret_bytes(const struct secret *secret)
{
    return secret->len > 0 ? secret->pages : NULL;
}

size_t secret_len(const struct secret *secret)
{
    return secret->len;
}

void *secret_room(struct secret *secret)
{
    return secret->pages;
}

bool secret_equals(const struct secret *secret, const void *bytes, size_t len)
{
    return len == secret->len && (len == 0 || CRYPTO_memcmp(secret->pages, bytes, len) == 0);
}
