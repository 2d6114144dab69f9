/* crypto/key_file.h
 *
 * Files of certificates and keys: read whole and bounded, written whole or not at all.
 *
 * Why it exists: who reads while we write must find the old file or the new one, and a key must at
 * no moment lie open to others.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#pragma once

#include <openssl/evp.h>
#include <openssl/x509.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

struct crypto_error;

/* malloc'ed, followed by a NUL that does not count. NULL with a sentence that leaves the path to the
 * caller, and errno as the system left it (ENOENT: not there). */
uint8_t *key_file_read(const char *path, size_t limit, size_t *len, struct crypto_error *error);

/* Wipes and frees. NULL is fine. */
void key_file_forget(uint8_t *bytes, size_t len);

/* Written beside, then renamed: `mode` 0600 for keys, 0644 for certificates. False with a
 * sentence. */
bool key_file_write(const char *path, const void *bytes, size_t len, mode_t mode,
                    struct crypto_error *error);

/* As PEM: a PKCS#8 key (0600), certificates one after the other (0644). */
bool key_file_write_key(const char *path, EVP_PKEY *key, struct crypto_error *error);
bool key_file_write_certificates(const char *path, X509 *const *certificates, size_t count,
                                 struct crypto_error *error);
