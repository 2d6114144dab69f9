/* crypto/remote_key.c · SPDX-License-Identifier: Apache-2.0 */
#include "crypto/remote_key.h"

#include <openssl/bn.h>
#include <openssl/core_dispatch.h>
#include <openssl/core_names.h>
#include <openssl/param_build.h>
#include <openssl/params.h>
#include <stdlib.h>
#include <string.h>

/* With a dot, or OpenSSL could one day own the name. */
static const char PARAM_KEY_ID[] = "sallyport.key-id";

enum {
    GROUP_NAME_MAX = 64,
    POINT_BYTES_MAX = 133, /* P-521, uncompressed */
};

struct curve {
    const char *name;
    const char *other_name;
    int bits;
    int security_bits; /* NIST SP 800-57 part 1, table 2 */
    int signature_max; /* DER, longest */
};

static const struct curve CURVES[] = {
    {"prime256v1", "P-256", 256, 128, 72},
    {"secp384r1", "P-384", 384, 192, 104},
    {"secp521r1", "P-521", 521, 256, 139},
};

struct remote_key {
    bool is_rsa;
    bool has_id;
    uint32_t id;
    BIGNUM *modulus; /* RSA */
    BIGNUM *exponent;
    const struct curve *curve; /* EC */
    uint8_t point[POINT_BYTES_MAX];
    size_t point_len;
};

/* ---- life ---- */

static void *new_rsa(void *provider)
{
    (void)provider;
    struct remote_key *key = calloc(1, sizeof(*key));
    if (key != NULL) {
        key->is_rsa = true;
    }
    return key;
}

static void *new_ec(void *provider)
{
    (void)provider;
    return calloc(1, sizeof(struct remote_key));
}

static void on_free(void *self)
{
    struct remote_key *key = self;
    if (key != NULL) {
        BN_free(key->modulus);
        BN_free(key->exponent);
        free(key);
    }
}

static bool copy_number(BIGNUM **out, const BIGNUM *from)
{
    *out = from != NULL ? BN_dup(from) : NULL;
    return from == NULL || *out != NULL;
}

static void *on_dup(const void *self, int selection)
{
    (void)selection;
    const struct remote_key *from = self;
    struct remote_key *copy = from != NULL ? malloc(sizeof(*copy)) : NULL;
    if (copy == NULL) {
        return NULL;
    }
    *copy = *from;
    copy->modulus = NULL;
    copy->exponent = NULL;
    if (!copy_number(&copy->modulus, from->modulus) ||
        !copy_number(&copy->exponent, from->exponent)) {
        on_free(copy);
        return NULL;
    }
    return copy;
}

/* ---- questions ---- */

static bool has_public(const struct remote_key *key)
{
    return key->is_rsa ? key->modulus != NULL && key->exponent != NULL : key->point_len > 0;
}

/* Asked with NULL by EVP_PKEY_copy_parameters (TLS 1.2, ECDHE). */
static int on_has(const void *self, int selection)
{
    const struct remote_key *key = self;
    if (key == NULL) {
        return 0;
    }
    if ((selection & OSSL_KEYMGMT_SELECT_PRIVATE_KEY) != 0 && !key->has_id) {
        return 0;
    }
    if ((selection & OSSL_KEYMGMT_SELECT_PUBLIC_KEY) != 0 && !has_public(key)) {
        return 0;
    }
    bool asks_curve = (selection & OSSL_KEYMGMT_SELECT_DOMAIN_PARAMETERS) != 0 && !key->is_rsa;
    return !asks_curve || key->curve != NULL;
}

static bool same_public(const struct remote_key *left, const struct remote_key *right)
{
    if (!has_public(left) || !has_public(right)) {
        return false;
    }
    if (left->is_rsa) {
        return BN_cmp(left->modulus, right->modulus) == 0 &&
               BN_cmp(left->exponent, right->exponent) == 0;
    }
    return left->point_len == right->point_len &&
           memcmp(left->point, right->point, left->point_len) == 0;
}

/* Same public half is same key, whatever half is asked about. */
static int on_match(const void *self, const void *other, int selection)
{
    const struct remote_key *left = self;
    const struct remote_key *right = other;
    if (left == NULL || right == NULL || left->is_rsa != right->is_rsa) {
        return 0;
    }
    if ((selection & OSSL_KEYMGMT_SELECT_DOMAIN_PARAMETERS) != 0 && left->curve != right->curve) {
        return 0;
    }
    return (selection & OSSL_KEYMGMT_SELECT_KEYPAIR) == 0 || same_public(left, right);
}

static const struct curve *curve_find(const char *name)
{
    for (size_t i = 0; i < sizeof(CURVES) / sizeof(CURVES[0]); i++) {
        if (strcmp(CURVES[i].name, name) == 0 || strcmp(CURVES[i].other_name, name) == 0) {
            return &CURVES[i];
        }
    }
    return NULL;
}

size_t remote_key_signature_max(const struct remote_key *key)
{
    if (key->is_rsa) {
        return key->modulus != NULL ? (size_t)BN_num_bytes(key->modulus) : 0;
    }
    return key->curve != NULL ? (size_t)key->curve->signature_max : 0;
}

bool remote_key_id(const struct remote_key *key, uint32_t *key_id)
{
    *key_id = key->id;
    return key->has_id;
}

/* ---- parameters in ---- */

static bool import_rsa(struct remote_key *key, const OSSL_PARAM *params)
{
    const OSSL_PARAM *modulus = OSSL_PARAM_locate_const(params, OSSL_PKEY_PARAM_RSA_N);
    const OSSL_PARAM *exponent = OSSL_PARAM_locate_const(params, OSSL_PKEY_PARAM_RSA_E);
    return modulus != NULL && exponent != NULL && OSSL_PARAM_get_BN(modulus, &key->modulus) == 1 &&
           OSSL_PARAM_get_BN(exponent, &key->exponent) == 1;
}

static bool import_ec(struct remote_key *key, const OSSL_PARAM *params)
{
    const OSSL_PARAM *group = OSSL_PARAM_locate_const(params, OSSL_PKEY_PARAM_GROUP_NAME);
    const OSSL_PARAM *point = OSSL_PARAM_locate_const(params, OSSL_PKEY_PARAM_PUB_KEY);
    char name[GROUP_NAME_MAX];
    char *name_at = name;
    if (group == NULL || OSSL_PARAM_get_utf8_string(group, &name_at, sizeof(name)) != 1) {
        return false;
    }
    key->curve = curve_find(name);
    if (key->curve == NULL || point == NULL) {
        return key->curve != NULL; /* parameters alone */
    }
    void *at = key->point;
    return OSSL_PARAM_get_octet_string(point, &at, sizeof(key->point), &key->point_len) == 1;
}

static int on_import(void *self, int selection, const OSSL_PARAM *params)
{
    (void)selection;
    struct remote_key *key = self;
    if (key == NULL || !(key->is_rsa ? import_rsa(key, params) : import_ec(key, params))) {
        return 0;
    }
    const OSSL_PARAM *id = OSSL_PARAM_locate_const(params, PARAM_KEY_ID);
    if (id != NULL) {
        key->has_id = OSSL_PARAM_get_uint32(id, &key->id) == 1;
        return key->has_id;
    }
    return 1;
}

static const OSSL_PARAM RSA_TYPES[] = {
    OSSL_PARAM_BN(OSSL_PKEY_PARAM_RSA_N, NULL, 0),
    OSSL_PARAM_BN(OSSL_PKEY_PARAM_RSA_E, NULL, 0),
    OSSL_PARAM_uint32(PARAM_KEY_ID, NULL),
    OSSL_PARAM_END,
};

static const OSSL_PARAM EC_TYPES[] = {
    OSSL_PARAM_utf8_string(OSSL_PKEY_PARAM_GROUP_NAME, NULL, 0),
    OSSL_PARAM_octet_string(OSSL_PKEY_PARAM_PUB_KEY, NULL, 0),
    OSSL_PARAM_uint32(PARAM_KEY_ID, NULL),
    OSSL_PARAM_END,
};

static const OSSL_PARAM *rsa_types(int selection)
{
    (void)selection;
    return RSA_TYPES;
}

static const OSSL_PARAM *ec_types(int selection)
{
    (void)selection;
    return EC_TYPES;
}

/* ---- parameters out ---- */

static OSSL_PARAM *build_params(const struct remote_key *key)
{
    OSSL_PARAM_BLD *build = OSSL_PARAM_BLD_new();
    bool done = build != NULL;
    if (done && key->is_rsa) {
        done = OSSL_PARAM_BLD_push_BN(build, OSSL_PKEY_PARAM_RSA_N, key->modulus) == 1 &&
               OSSL_PARAM_BLD_push_BN(build, OSSL_PKEY_PARAM_RSA_E, key->exponent) == 1;
    } else if (done) {
        done = OSSL_PARAM_BLD_push_utf8_string(build, OSSL_PKEY_PARAM_GROUP_NAME, key->curve->name,
                                               0) == 1 &&
               OSSL_PARAM_BLD_push_octet_string(build, OSSL_PKEY_PARAM_PUB_KEY, key->point,
                                                key->point_len) == 1;
    }
    if (done && key->has_id) {
        done = OSSL_PARAM_BLD_push_uint32(build, PARAM_KEY_ID, key->id) == 1;
    }
    OSSL_PARAM *params = done ? OSSL_PARAM_BLD_to_param(build) : NULL;
    OSSL_PARAM_BLD_free(build);
    return params;
}

/* Fails whenever the private half is asked for: OpenSSL's own provider would otherwise take the
 * public numbers for a whole key and try to sign with it. */
static int on_export(void *self, int selection, OSSL_CALLBACK *take, void *argument)
{
    struct remote_key *key = self;
    if (key == NULL || (selection & OSSL_KEYMGMT_SELECT_PRIVATE_KEY) != 0 || !has_public(key)) {
        return 0;
    }
    struct remote_key public_half = *key;
    public_half.has_id = false;
    OSSL_PARAM *params = build_params(&public_half);
    int taken = params != NULL && take(params, argument) == 1;
    OSSL_PARAM_free(params);
    return taken;
}

static bool answer_int(OSSL_PARAM *params, const char *name, int value)
{
    OSSL_PARAM *param = OSSL_PARAM_locate(params, name);
    return param == NULL || OSSL_PARAM_set_int(param, value) == 1;
}

static bool answer_rsa(const struct remote_key *key, OSSL_PARAM *params)
{
    OSSL_PARAM *modulus = OSSL_PARAM_locate(params, OSSL_PKEY_PARAM_RSA_N);
    OSSL_PARAM *exponent = OSSL_PARAM_locate(params, OSSL_PKEY_PARAM_RSA_E);
    return (modulus == NULL || OSSL_PARAM_set_BN(modulus, key->modulus) == 1) &&
           (exponent == NULL || OSSL_PARAM_set_BN(exponent, key->exponent) == 1);
}

static bool answer_ec(const struct remote_key *key, OSSL_PARAM *params)
{
    OSSL_PARAM *group = OSSL_PARAM_locate(params, OSSL_PKEY_PARAM_GROUP_NAME);
    OSSL_PARAM *point = OSSL_PARAM_locate(params, OSSL_PKEY_PARAM_PUB_KEY);
    OSSL_PARAM *encoded = OSSL_PARAM_locate(params, OSSL_PKEY_PARAM_ENCODED_PUBLIC_KEY);
    return (group == NULL || OSSL_PARAM_set_utf8_string(group, key->curve->name) == 1) &&
           (point == NULL || OSSL_PARAM_set_octet_string(point, key->point, key->point_len) == 1) &&
           (encoded == NULL ||
            OSSL_PARAM_set_octet_string(encoded, key->point, key->point_len) == 1);
}

static int on_get_params(void *self, OSSL_PARAM *params)
{
    const struct remote_key *key = self;
    if (key == NULL || (key->is_rsa ? !has_public(key) : key->curve == NULL)) {
        return 0;
    }
    int bits = key->is_rsa ? BN_num_bits(key->modulus) : key->curve->bits;
    int security = key->is_rsa ? BN_security_bits(bits, -1) : key->curve->security_bits;
    return answer_int(params, OSSL_PKEY_PARAM_BITS, bits) &&
           answer_int(params, OSSL_PKEY_PARAM_SECURITY_BITS, security) &&
           answer_int(params, OSSL_PKEY_PARAM_MAX_SIZE, (int)remote_key_signature_max(key)) &&
           (key->is_rsa ? answer_rsa(key, params) : answer_ec(key, params));
}

static const OSSL_PARAM *rsa_gettable(void *provider)
{
    (void)provider;
    static const OSSL_PARAM params[] = {
        OSSL_PARAM_int(OSSL_PKEY_PARAM_BITS, NULL),
        OSSL_PARAM_int(OSSL_PKEY_PARAM_SECURITY_BITS, NULL),
        OSSL_PARAM_int(OSSL_PKEY_PARAM_MAX_SIZE, NULL),
        OSSL_PARAM_BN(OSSL_PKEY_PARAM_RSA_N, NULL, 0),
        OSSL_PARAM_BN(OSSL_PKEY_PARAM_RSA_E, NULL, 0),
        OSSL_PARAM_END,
    };
    return params;
}

static const OSSL_PARAM *ec_gettable(void *provider)
{
    (void)provider;
    static const OSSL_PARAM params[] = {
        OSSL_PARAM_int(OSSL_PKEY_PARAM_BITS, NULL),
        OSSL_PARAM_int(OSSL_PKEY_PARAM_SECURITY_BITS, NULL),
        OSSL_PARAM_int(OSSL_PKEY_PARAM_MAX_SIZE, NULL),
        OSSL_PARAM_utf8_string(OSSL_PKEY_PARAM_GROUP_NAME, NULL, 0),
        OSSL_PARAM_octet_string(OSSL_PKEY_PARAM_PUB_KEY, NULL, 0),
        OSSL_PARAM_octet_string(OSSL_PKEY_PARAM_ENCODED_PUBLIC_KEY, NULL, 0),
        OSSL_PARAM_END,
    };
    return params;
}

static const char *ec_operation_name(int operation)
{
    return operation == OSSL_OP_SIGNATURE ? "ECDSA" : "EC";
}

const OSSL_DISPATCH REMOTE_KEY_RSA[] = {
    {OSSL_FUNC_KEYMGMT_NEW, (void (*)(void))new_rsa},
    {OSSL_FUNC_KEYMGMT_FREE, (void (*)(void))on_free},
    {OSSL_FUNC_KEYMGMT_DUP, (void (*)(void))on_dup},
    {OSSL_FUNC_KEYMGMT_HAS, (void (*)(void))on_has},
    {OSSL_FUNC_KEYMGMT_MATCH, (void (*)(void))on_match},
    {OSSL_FUNC_KEYMGMT_IMPORT, (void (*)(void))on_import},
    {OSSL_FUNC_KEYMGMT_IMPORT_TYPES, (void (*)(void))rsa_types},
    {OSSL_FUNC_KEYMGMT_EXPORT, (void (*)(void))on_export},
    {OSSL_FUNC_KEYMGMT_EXPORT_TYPES, (void (*)(void))rsa_types},
    {OSSL_FUNC_KEYMGMT_GET_PARAMS, (void (*)(void))on_get_params},
    {OSSL_FUNC_KEYMGMT_GETTABLE_PARAMS, (void (*)(void))rsa_gettable},
    {0, NULL},
};

const OSSL_DISPATCH REMOTE_KEY_EC[] = {
    {OSSL_FUNC_KEYMGMT_NEW, (void (*)(void))new_ec},
    {OSSL_FUNC_KEYMGMT_FREE, (void (*)(void))on_free},
    {OSSL_FUNC_KEYMGMT_DUP, (void (*)(void))on_dup},
    {OSSL_FUNC_KEYMGMT_HAS, (void (*)(void))on_has},
    {OSSL_FUNC_KEYMGMT_MATCH, (void (*)(void))on_match},
    {OSSL_FUNC_KEYMGMT_IMPORT, (void (*)(void))on_import},
    {OSSL_FUNC_KEYMGMT_IMPORT_TYPES, (void (*)(void))ec_types},
    {OSSL_FUNC_KEYMGMT_EXPORT, (void (*)(void))on_export},
    {OSSL_FUNC_KEYMGMT_EXPORT_TYPES, (void (*)(void))ec_types},
    {OSSL_FUNC_KEYMGMT_GET_PARAMS, (void (*)(void))on_get_params},
    {OSSL_FUNC_KEYMGMT_GETTABLE_PARAMS, (void (*)(void))ec_gettable},
    {OSSL_FUNC_KEYMGMT_QUERY_OPERATION_NAME, (void (*)(void))ec_operation_name},
    {0, NULL},
};

/* ---- making one ---- */

static bool read_rsa(struct remote_key *key, EVP_PKEY *public_key)
{
    return EVP_PKEY_get_bn_param(public_key, OSSL_PKEY_PARAM_RSA_N, &key->modulus) == 1 &&
           EVP_PKEY_get_bn_param(public_key, OSSL_PKEY_PARAM_RSA_E, &key->exponent) == 1;
}

static bool read_ec(struct remote_key *key, EVP_PKEY *public_key)
{
    char group[GROUP_NAME_MAX];
    size_t len = 0;
    if (EVP_PKEY_get_group_name(public_key, group, sizeof(group), &len) != 1) {
        return false;
    }
    key->curve = curve_find(group);
    return key->curve != NULL &&
           EVP_PKEY_get_octet_string_param(public_key, OSSL_PKEY_PARAM_PUB_KEY, key->point,
                                           sizeof(key->point), &key->point_len) == 1;
}

OSSL_PARAM *remote_key_params(EVP_PKEY *public_key, bool is_rsa, uint32_t key_id)
{
    struct remote_key key = {.is_rsa = is_rsa, .has_id = true, .id = key_id};
    bool done = is_rsa ? read_rsa(&key, public_key) : read_ec(&key, public_key);
    OSSL_PARAM *params = done ? build_params(&key) : NULL;
    BN_free(key.modulus);
    BN_free(key.exponent);
    return params;
}
