/* crypto/agreement_exchange.h
 *
 * X25519 of the agreement provider: our key and the peer's in, the secret out, computed by
 * agreements.c. The table is OpenSSL's "key exchange".
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#pragma once

#include <openssl/core.h>

extern const OSSL_DISPATCH AGREEMENT_EXCHANGE[];
