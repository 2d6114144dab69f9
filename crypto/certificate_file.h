/* crypto/certificate_file.h
 *
 * The certificates in the bytes of a file, in the order in which they stand there: PEM or PKCS#12.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#pragma once

#include <openssl/x509.h>

#include "crypto/bytes.h"

struct crypto_error;
struct secret;

/* At least one certificate, at most CERTIFICATE_CHAIN_MAX; of PKCS#12 the one with the key first.
 * The caller owns the stack and its certificates. NULL with a sentence in `error`. */
STACK_OF(X509) * certificate_file_read(struct bytes file, const struct secret *password,
                                       struct crypto_error *error);
