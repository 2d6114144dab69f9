/* crypto/key_scheme.c · SPDX-License-Identifier: Apache-2.0 */
#include "crypto/key_scheme.h"

#include <strings.h>

static const struct key_scheme_facts FACTS[KEY_SCHEME_COUNT] = {
    {KEY_SCHEME_RSA_PSS_SHA256, KEY_FAMILY_RSA_PSS, "SHA2-256", 32},
    {KEY_SCHEME_RSA_PSS_SHA384, KEY_FAMILY_RSA_PSS, "SHA2-384", 48},
    {KEY_SCHEME_RSA_PSS_SHA512, KEY_FAMILY_RSA_PSS, "SHA2-512", 64},
    {KEY_SCHEME_RSA_PKCS1_SHA256, KEY_FAMILY_RSA_PKCS1, "SHA2-256", 32},
    {KEY_SCHEME_RSA_PKCS1_SHA384, KEY_FAMILY_RSA_PKCS1, "SHA2-384", 48},
    {KEY_SCHEME_RSA_PKCS1_SHA512, KEY_FAMILY_RSA_PKCS1, "SHA2-512", 64},
    {KEY_SCHEME_ECDSA_SHA256, KEY_FAMILY_ECDSA, "SHA2-256", 32},
    {KEY_SCHEME_ECDSA_SHA384, KEY_FAMILY_ECDSA, "SHA2-384", 48},
    {KEY_SCHEME_ECDSA_SHA512, KEY_FAMILY_ECDSA, "SHA2-512", 64},
};

/* OpenSSL says SHA256 in one call and SHA2-256 in the next. */
static const struct {
    const char *name;
    size_t hash_bytes;
} DIGEST_NAMES[] = {
    {"SHA2-256", 32}, {"SHA256", 32},   {"SHA-256", 32}, {"SHA2-384", 48}, {"SHA384", 48},
    {"SHA-384", 48},  {"SHA2-512", 64}, {"SHA512", 64},  {"SHA-512", 64},
};

const struct key_scheme_facts *key_scheme_facts(unsigned number)
{
    if (number < KEY_SCHEME_RSA_PSS_SHA256 || number > KEY_SCHEME_COUNT) {
        return NULL;
    }
    return &FACTS[number - KEY_SCHEME_RSA_PSS_SHA256];
}

static size_t hash_bytes_of(const char *digest)
{
    for (size_t i = 0; i < sizeof(DIGEST_NAMES) / sizeof(DIGEST_NAMES[0]); i++) {
        if (strcasecmp(DIGEST_NAMES[i].name, digest) == 0) {
            return DIGEST_NAMES[i].hash_bytes;
        }
    }
    return 0;
}

const struct key_scheme_facts *key_scheme_find(enum key_family family, const char *digest)
{
    size_t hash_bytes = digest != NULL ? hash_bytes_of(digest) : 0;
    for (size_t i = 0; hash_bytes != 0 && i < KEY_SCHEME_COUNT; i++) {
        if (FACTS[i].family == family && FACTS[i].hash_bytes == hash_bytes) {
            return &FACTS[i];
        }
    }
    return NULL;
}
