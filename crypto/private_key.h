/* crypto/private_key.h
 *
 * Reads a private key from the bytes of a file: PEM (plain, or encrypted with a password) or
 * PKCS#12.
 *
 * Why it exists: the keyholder loads keys with it, and whoever checks a configuration uses the
 * same code to say what is wrong with one. It never prompts for a password.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#pragma once

#include <openssl/evp.h>
#include <stddef.h>
#include <stdint.h>

struct crypto_error;
struct secret;

enum { PRIVATE_KEY_RSA_BITS_MIN = 2048, PRIVATE_KEY_RSA_BITS_MAX = 8192 };

/* The caller owns the key (EVP_PKEY_free) and wipes `bytes`. `password` may be NULL: none.
 * NULL with a sentence in `error`: not a key, wrong or missing password, or a key that we cannot
 * sign with (only RSA of 2048 to 8192 bits, and EC on P-256, P-384 and P-521, are accepted). */
EVP_PKEY *private_key_read(const uint8_t *bytes, size_t len, const struct secret *password,
                           struct crypto_error *error);
