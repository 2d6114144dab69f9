/* crypto/keyring.c · SPDX-License-Identifier: Apache-2.0 */
#include "crypto/keyring.h"

#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/rand.h>
#include <string.h>
#include <strings.h>

#include "crypto/keyring_state.h"

/* Its NUL is hashed too. */
static const char ID_DOMAIN[] = "sallyport keyring";

enum { ID_HASH_BYTES = (KEYRING_ID_BYTES - 1) / 2, ID_DIGITS_MIN = 4 };

struct keyring *keyring_blank(void)
{
    struct secret pages;
    if (!secret_init(&pages, sizeof(struct keyring))) {
        return NULL;
    }
    struct keyring *ring = secret_room(&pages);
    ring->pages = pages;
    return ring;
}

void keyring_free(struct keyring *ring)
{
    if (ring != NULL) {
        struct secret pages = ring->pages;
        secret_fini(&pages);
    }
}

/* ---- what is in it ---- */

size_t keyring_count(const struct keyring *ring)
{
    return ring->count;
}

unsigned keyring_key_bits(const struct keyring *ring, size_t index)
{
    return (unsigned)ring->keys[index].len * 8;
}

struct bytes keyring_key(const struct keyring *ring, size_t index)
{
    return (struct bytes){ring->keys[index].bytes, ring->keys[index].len};
}

void keyring_id(const struct keyring *ring, size_t index, char id[KEYRING_ID_BYTES])
{
    memcpy(id, ring->keys[index].id, KEYRING_ID_BYTES);
}

size_t keyring_find(const struct keyring *ring, const char *id)
{
    size_t len = strlen(id);
    if (len < ID_DIGITS_MIN || len >= KEYRING_ID_BYTES) {
        return ring->count;
    }
    size_t found = ring->count;
    for (size_t i = 0; i < ring->count; i++) {
        if (strncasecmp(ring->keys[i].id, id, len) != 0) {
            continue;
        }
        if (found != ring->count) {
            return ring->count; /* two have it */
        }
        found = i;
    }
    return found;
}

/* ---- changes ---- */

static bool set_id(struct keyring_key *key)
{
    uint8_t hash[EVP_MAX_MD_SIZE];
    EVP_MD_CTX *digest = EVP_MD_CTX_new();
    bool is_done = digest != NULL && EVP_DigestInit_ex(digest, EVP_sha256(), NULL) == 1 &&
                   EVP_DigestUpdate(digest, ID_DOMAIN, sizeof(ID_DOMAIN)) == 1 &&
                   EVP_DigestUpdate(digest, key->bytes, key->len) == 1 &&
                   EVP_DigestFinal_ex(digest, hash, NULL) == 1;
    EVP_MD_CTX_free(digest);
    if (!is_done) {
        return false;
    }
    static const char DIGITS[] = "0123456789abcdef";
    for (size_t i = 0; i < ID_HASH_BYTES; i++) {
        key->id[2 * i] = DIGITS[hash[i] >> 4];
        key->id[2 * i + 1] = DIGITS[hash[i] & 15U];
    }
    key->id[KEYRING_ID_BYTES - 1] = '\0';
    return true;
}

/* The index of that key, or the count. */
static size_t find_key(const struct keyring *ring, const uint8_t *bytes, size_t len)
{
    for (size_t i = 0; i < ring->count; i++) {
        if (ring->keys[i].len == len && CRYPTO_memcmp(ring->keys[i].bytes, bytes, len) == 0) {
            return i;
        }
    }
    return ring->count;
}

enum keyring_change keyring_take_slot(struct keyring *ring, size_t len, size_t *twin)
{
    struct keyring_key *key = &ring->keys[ring->count];
    enum keyring_change change = KEYRING_CHANGED;
    key->len = len;
    *twin = find_key(ring, key->bytes, len);
    if (*twin < ring->count) {
        change = KEYRING_UNCHANGED;
    } else if (!keyring_is_key_size(len) || !set_id(key)) {
        change = KEYRING_FAILED;
    }
    if (change != KEYRING_CHANGED) {
        OPENSSL_cleanse(key, sizeof(*key));
        return change;
    }
    ring->count++;
    return KEYRING_CHANGED;
}

enum keyring_change keyring_add(struct keyring *ring, struct bytes key)
{
    if (!keyring_is_key_size(key.len)) {
        return KEYRING_FAILED;
    }
    if (find_key(ring, key.at, key.len) < ring->count) {
        return KEYRING_UNCHANGED;
    }
    if (ring->count == KEYRING_KEYS_MAX) {
        return KEYRING_FULL;
    }
    size_t twin;
    memcpy(ring->keys[ring->count].bytes, key.at, key.len);
    enum keyring_change change = keyring_take_slot(ring, key.len, &twin);
    if (change == KEYRING_CHANGED && keyring_render(ring, NULL) > KEYRING_TEXT_BYTES_MAX) {
        ring->count--;
        OPENSSL_cleanse(&ring->keys[ring->count], sizeof(ring->keys[0]));
        return KEYRING_FULL;
    }
    return change;
}

/* Moves the key to `to`, which is in front of it or is the last place. What lies between moves up
 * by one; the copy on the stack is wiped. */
static void move_key(struct keyring *ring, size_t from, size_t to)
{
    struct keyring_key key = ring->keys[from];
    if (to < from) {
        memmove(&ring->keys[to + 1], &ring->keys[to], (from - to) * sizeof(key));
    } else {
        memmove(&ring->keys[from], &ring->keys[from + 1], (to - from) * sizeof(key));
    }
    ring->keys[to] = key;
    OPENSSL_cleanse(&key, sizeof(key));
}

enum keyring_change keyring_use(struct keyring *ring, size_t index)
{
    if (index >= ring->count) {
        return KEYRING_UNKNOWN;
    }
    if (index == 0) {
        return KEYRING_UNCHANGED;
    }
    move_key(ring, index, 0);
    return KEYRING_CHANGED;
}

enum keyring_change keyring_remove(struct keyring *ring, size_t index)
{
    if (index >= ring->count) {
        return KEYRING_UNKNOWN;
    }
    if (index == 0) {
        return KEYRING_IS_PRIMARY;
    }
    move_key(ring, index, ring->count - 1);
    ring->count--;
    OPENSSL_cleanse(&ring->keys[ring->count], sizeof(ring->keys[0]));
    return KEYRING_CHANGED;
}

struct keyring *keyring_new_random(unsigned bits)
{
    size_t twin;
    struct keyring *ring = bits <= 8 * KEYRING_KEY_BYTES_MAX ? keyring_blank() : NULL;
    if (ring == NULL) {
        return NULL;
    }
    if (bits % 8 != 0 || RAND_priv_bytes(ring->keys[0].bytes, (int)(bits / 8)) != 1 ||
        keyring_take_slot(ring, bits / 8, &twin) != KEYRING_CHANGED) {
        keyring_free(ring);
        return NULL;
    }
    return ring;
}
