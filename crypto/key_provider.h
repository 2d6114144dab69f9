/* crypto/key_provider.h
 *
 * The built-in OpenSSL provider "keyholder": RSA and EC keys that are only an id and a public key,
 * and signatures with them that are made in another process (key_client.h).
 *
 * Why it exists: libssl can be given such a key as if it were a private one.
 *
 * It changes one thing for the whole process: OpenSSL's default provider is loaded explicitly and
 * first, and preferred wherever no provider is asked for by name ("?provider=default"). Without
 * that, verification of ordinary certificates lands on this provider, which cannot verify.
 *
 * Owner: the worker, one in a process. Free it after every key and SSL_CTX made with it, and
 * before the key client.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#pragma once

#include <openssl/evp.h>
#include <stdbool.h>
#include <stdint.h>

struct crypto_error;
struct key_client;
struct key_provider;

/* Loads the provider, bounds this thread's pool of jobs to what the client allows, and checks that
 * ordinary RSA and EC signatures are still OpenSSL's own. `client` is borrowed. NULL with a
 * sentence in `error`. */
struct key_provider *key_provider_load(struct key_client *client, struct crypto_error *error);

/* NULL is fine. */
void key_provider_free(struct key_provider *provider);

/* Whether handshakes can be parked here (key_client.h, step 1); if not, signatures block. */
bool key_provider_is_async(const struct key_provider *provider);

/* A private key in name: `key_id` at the keyholder, whose public half is `public_key` (that of the
 * certificate, X509_get0_pubkey; borrowed). Goes into SSL_CTX_use_PrivateKey. The caller owns it
 * (EVP_PKEY_free). NULL with a sentence: a kind of key that is not RSA or EC. */
EVP_PKEY *key_provider_key(struct key_provider *provider, EVP_PKEY *public_key, uint32_t key_id,
                           struct crypto_error *error);
