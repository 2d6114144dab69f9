/* crypto/error.h
 *
 * One sentence about what went wrong in a cold path of crypto/ (loading certificates and keys,
 * making contexts). Fixed size, never holds a secret; the caller adds file, line and column.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#pragma once

struct crypto_error {
    char text[320];
};

/* Writes the sentence. `error` may be NULL: then nothing is kept. */
void crypto_error_set(struct crypto_error *error, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* The same, followed by ": " and the oldest reason in OpenSSL's queue, which is emptied. */
void crypto_error_set_openssl(struct crypto_error *error, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
