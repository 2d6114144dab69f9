/* crypto/agreement_key.c · SPDX-License-Identifier: Apache-2.0 */
#include "crypto/agreement_key.h"

#include <openssl/core_dispatch.h>
#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <openssl/params.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "crypto/agreements.h"

enum { BITS = 253, SECURITY_BITS = 128, GROUP_NAME_MAX = 32 };

/* ---- life ---- */

/* Where OpenSSL keeps its own ephemeral keys. */
static void *on_new(void *provider)
{
    struct agreement_key *key = OPENSSL_secure_zalloc(sizeof(*key));
    if (key != NULL) {
        key->room = provider;
    }
    return key;
}

static void on_free(void *self)
{
    OPENSSL_secure_clear_free(self, sizeof(struct agreement_key));
}

/* libssl copies what kind of key it is (TLS 1.2, for the client's share). The private half is for
 * one use, so there is no copy of it. */
static void *on_dup(const void *self, int selection)
{
    const struct agreement_key *from = self;
    if (from == NULL || (selection & OSSL_KEYMGMT_SELECT_PRIVATE_KEY) != 0) {
        return NULL;
    }
    struct agreement_key *copy = on_new(from->room);
    if (copy != NULL && (selection & OSSL_KEYMGMT_SELECT_PUBLIC_KEY) != 0) {
        copy->has_point = from->has_point;
        memcpy(copy->share.point, from->share.point, X25519_BYTES);
    }
    return copy;
}

/* ---- making ---- */

/* One that is being made. */
struct making {
    struct agreement_room *room;
    int selection;
};

static int on_make_set(void *self, const OSSL_PARAM *params)
{
    (void)self;
    const OSSL_PARAM *group = OSSL_PARAM_locate_const(params, OSSL_PKEY_PARAM_GROUP_NAME);
    char name[GROUP_NAME_MAX];
    char *name_at = name;
    return group == NULL || (OSSL_PARAM_get_utf8_string(group, &name_at, sizeof(name)) == 1 &&
                             strcasecmp(name, "X25519") == 0);
}

static const OSSL_PARAM *make_settable(void *self, void *provider)
{
    (void)self;
    (void)provider;
    static const OSSL_PARAM params[] = {
        OSSL_PARAM_utf8_string(OSSL_PKEY_PARAM_GROUP_NAME, NULL, 0),
        OSSL_PARAM_END,
    };
    return params;
}

static void *on_make_init(void *provider, int selection, const OSSL_PARAM *params)
{
    struct making *making = on_make_set(NULL, params) ? calloc(1, sizeof(*making)) : NULL;
    if (making != NULL) {
        *making = (struct making){.room = provider, .selection = selection};
    }
    return making;
}

static void *on_make(void *self, OSSL_CALLBACK *progress, void *argument)
{
    (void)progress;
    (void)argument;
    const struct making *making = self;
    struct agreement_key *key = on_new(making->room);
    if (key == NULL || (making->selection & OSSL_KEYMGMT_SELECT_KEYPAIR) == 0) {
        return key; /* the kind only, for the peer's share to be written into */
    }
    if (key->room->agreements == NULL ||
        !agreements_make_share(key->room->agreements, &key->share)) {
        on_free(key);
        return NULL;
    }
    key->has_scalar = true;
    key->has_point = true;
    return key;
}

static void on_make_end(void *self)
{
    free(self);
}

/* ---- questions ---- */

/* Asked with NULL by EVP_PKEY_copy_parameters (TLS 1.2). */
static int on_has(const void *self, int selection)
{
    const struct agreement_key *key = self;
    return key != NULL && ((selection & OSSL_KEYMGMT_SELECT_PRIVATE_KEY) == 0 || key->has_scalar) &&
           ((selection & OSSL_KEYMGMT_SELECT_PUBLIC_KEY) == 0 || key->has_point);
}

static int on_match(const void *self, const void *other, int selection)
{
    const struct agreement_key *left = self;
    const struct agreement_key *right = other;
    if (left == NULL || right == NULL) {
        return 0;
    }
    return (selection & OSSL_KEYMGMT_SELECT_KEYPAIR) == 0 ||
           (left->has_point && right->has_point &&
            memcmp(left->share.point, right->share.point, X25519_BYTES) == 0);
}

static bool answer_int(OSSL_PARAM *params, const char *name, int value)
{
    OSSL_PARAM *param = OSSL_PARAM_locate(params, name);
    return param == NULL || OSSL_PARAM_set_int(param, value) == 1;
}

static bool answer_point(const struct agreement_key *key, OSSL_PARAM *params, const char *name)
{
    OSSL_PARAM *param = OSSL_PARAM_locate(params, name);
    return param == NULL || (key->has_point && OSSL_PARAM_set_octet_string(param, key->share.point,
                                                                           X25519_BYTES) == 1);
}

static int on_get_params(void *self, OSSL_PARAM *params)
{
    const struct agreement_key *key = self;
    return key != NULL && answer_int(params, OSSL_PKEY_PARAM_BITS, BITS) &&
           answer_int(params, OSSL_PKEY_PARAM_SECURITY_BITS, SECURITY_BITS) &&
           answer_int(params, OSSL_PKEY_PARAM_MAX_SIZE, X25519_BYTES) &&
           answer_point(key, params, OSSL_PKEY_PARAM_PUB_KEY) &&
           answer_point(key, params, OSSL_PKEY_PARAM_ENCODED_PUBLIC_KEY);
}

static const OSSL_PARAM *gettable(void *provider)
{
    (void)provider;
    static const OSSL_PARAM params[] = {
        OSSL_PARAM_int(OSSL_PKEY_PARAM_BITS, NULL),
        OSSL_PARAM_int(OSSL_PKEY_PARAM_SECURITY_BITS, NULL),
        OSSL_PARAM_int(OSSL_PKEY_PARAM_MAX_SIZE, NULL),
        OSSL_PARAM_octet_string(OSSL_PKEY_PARAM_PUB_KEY, NULL, 0),
        OSSL_PARAM_octet_string(OSSL_PKEY_PARAM_ENCODED_PUBLIC_KEY, NULL, 0),
        OSSL_PARAM_END,
    };
    return params;
}

/* The peer's share; whatever was held before is not ours any more. */
static int on_set_params(void *self, const OSSL_PARAM *params)
{
    struct agreement_key *key = self;
    const OSSL_PARAM *point = OSSL_PARAM_locate_const(params, OSSL_PKEY_PARAM_ENCODED_PUBLIC_KEY);
    if (key == NULL || point == NULL) {
        return key != NULL;
    }
    void *at = key->share.point;
    size_t len = 0;
    OPENSSL_cleanse(&key->share, sizeof(key->share));
    key->has_scalar = false;
    key->has_point =
        OSSL_PARAM_get_octet_string(point, &at, X25519_BYTES, &len) == 1 && len == X25519_BYTES;
    return key->has_point;
}

static const OSSL_PARAM *settable(void *provider)
{
    (void)provider;
    static const OSSL_PARAM params[] = {
        OSSL_PARAM_octet_string(OSSL_PKEY_PARAM_ENCODED_PUBLIC_KEY, NULL, 0),
        OSSL_PARAM_END,
    };
    return params;
}

const OSSL_DISPATCH AGREEMENT_KEY[] = {
    {OSSL_FUNC_KEYMGMT_NEW, (void (*)(void))on_new},
    {OSSL_FUNC_KEYMGMT_FREE, (void (*)(void))on_free},
    {OSSL_FUNC_KEYMGMT_DUP, (void (*)(void))on_dup},
    {OSSL_FUNC_KEYMGMT_GEN_INIT, (void (*)(void))on_make_init},
    {OSSL_FUNC_KEYMGMT_GEN_SET_PARAMS, (void (*)(void))on_make_set},
    {OSSL_FUNC_KEYMGMT_GEN_SETTABLE_PARAMS, (void (*)(void))make_settable},
    {OSSL_FUNC_KEYMGMT_GEN, (void (*)(void))on_make},
    {OSSL_FUNC_KEYMGMT_GEN_CLEANUP, (void (*)(void))on_make_end},
    {OSSL_FUNC_KEYMGMT_HAS, (void (*)(void))on_has},
    {OSSL_FUNC_KEYMGMT_MATCH, (void (*)(void))on_match},
    {OSSL_FUNC_KEYMGMT_GET_PARAMS, (void (*)(void))on_get_params},
    {OSSL_FUNC_KEYMGMT_GETTABLE_PARAMS, (void (*)(void))gettable},
    {OSSL_FUNC_KEYMGMT_SET_PARAMS, (void (*)(void))on_set_params},
    {OSSL_FUNC_KEYMGMT_SETTABLE_PARAMS, (void (*)(void))settable},
    {0, NULL},
};
