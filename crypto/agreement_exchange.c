/* crypto/agreement_exchange.c
 *
 * Nothing in here puts an error into OpenSSL's queue (see key_provider.c).
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "crypto/agreement_exchange.h"

#include <openssl/core_dispatch.h>
#include <openssl/crypto.h>
#include <openssl/params.h>
#include <stdlib.h>
#include <string.h>

#include "crypto/agreement_key.h"
#include "crypto/agreements.h"

/* Both keys are kept alive by the EVP_PKEYs that OpenSSL holds. */
struct exchange {
    struct agreement_key *own;
    const struct agreement_key *peer;
};

static void *on_new(void *provider)
{
    (void)provider;
    return calloc(1, sizeof(struct exchange));
}

static void on_free(void *self)
{
    free(self);
}

static void *on_dup(void *self)
{
    struct exchange *copy = malloc(sizeof(*copy));
    if (copy != NULL) {
        *copy = *(const struct exchange *)self;
    }
    return copy;
}

static int on_init(void *self, void *key, const OSSL_PARAM *params)
{
    (void)params;
    struct exchange *exchange = self;
    exchange->own = key;
    exchange->peer = NULL;
    return exchange->own != NULL && exchange->own->has_scalar;
}

static int on_set_peer(void *self, void *key)
{
    struct exchange *exchange = self;
    exchange->peer = key;
    return exchange->peer != NULL && exchange->peer->has_point;
}

/* Called for the size first. The share is moved out: it is used once, and what is left of it after
 * the pause is wiped here. */
static int on_derive(void *self, unsigned char *secret, size_t *secret_len, size_t room)
{
    struct exchange *exchange = self;
    struct agreement_key *own = exchange->own;
    *secret_len = X25519_BYTES;
    if (secret == NULL) {
        return 1;
    }
    if (own == NULL || !own->has_scalar || exchange->peer == NULL || room < X25519_BYTES ||
        own->room->agreements == NULL) {
        return 0;
    }
    struct x25519_share share = own->share;
    OPENSSL_cleanse(own->share.scalar, X25519_BYTES);
    own->has_scalar = false;
    bool has_agreed =
        agreements_agree(own->room->agreements, &share, exchange->peer->share.point, secret);
    OPENSSL_cleanse(&share, sizeof(share));
    return has_agreed;
}

const OSSL_DISPATCH AGREEMENT_EXCHANGE[] = {
    {OSSL_FUNC_KEYEXCH_NEWCTX, (void (*)(void))on_new},
    {OSSL_FUNC_KEYEXCH_FREECTX, (void (*)(void))on_free},
    {OSSL_FUNC_KEYEXCH_DUPCTX, (void (*)(void))on_dup},
    {OSSL_FUNC_KEYEXCH_INIT, (void (*)(void))on_init},
    {OSSL_FUNC_KEYEXCH_SET_PEER, (void (*)(void))on_set_peer},
    {OSSL_FUNC_KEYEXCH_DERIVE, (void (*)(void))on_derive},
    {0, NULL},
};
