/* tests/unit/crypto/rsa_rig.h
 *
 * RSA keys of several lengths, and OpenSSL's word on a signature.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#pragma once

#include "crypto/rig.h"

#include "crypto/key_scheme.h"

#include <openssl/rsa.h>

static inline EVP_PKEY *rsa_rig_key_new(size_t bits)
{
    EVP_PKEY *key = EVP_PKEY_Q_keygen(NULL, NULL, "RSA", bits);
    assert_non_null(key);
    return key;
}

static inline void rsa_rig_set_scheme(EVP_PKEY_CTX *operation,
                                      const struct key_scheme_facts *scheme)
{
    EVP_MD *digest = EVP_MD_fetch(NULL, scheme->digest, NULL);
    assert_int_equal(EVP_PKEY_CTX_set_signature_md(operation, digest), 1);
    bool is_pss = scheme->family == KEY_FAMILY_RSA_PSS;
    assert_int_equal(
        EVP_PKEY_CTX_set_rsa_padding(operation, is_pss ? RSA_PKCS1_PSS_PADDING : RSA_PKCS1_PADDING),
        1);
    if (is_pss) {
        assert_int_equal(EVP_PKEY_CTX_set_rsa_pss_saltlen(operation, RSA_PSS_SALTLEN_DIGEST), 1);
    }
    EVP_MD_free(digest);
}

static inline bool rsa_rig_verifies(EVP_PKEY *key, const struct key_scheme_facts *scheme,
                                    const uint8_t *hash, const uint8_t *signature, size_t len)
{
    EVP_PKEY_CTX *verify = EVP_PKEY_CTX_new_from_pkey(NULL, key, NULL);
    assert_int_equal(EVP_PKEY_verify_init(verify), 1);
    rsa_rig_set_scheme(verify, scheme);
    bool verifies = EVP_PKEY_verify(verify, signature, len, hash, scheme->hash_bytes) == 1;
    EVP_PKEY_CTX_free(verify);
    ERR_clear_error();
    return verifies;
}
