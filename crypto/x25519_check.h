/* crypto/x25519_check.h
 *
 * Whether X25519 in batches computes what it should: the vectors of RFC 7748 §5.2 in every lane,
 * and random keys beside OpenSSL. Half a millisecond.
 *
 * Why it exists: a wrong result would be noticed by clients only, as handshakes that fail.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#pragma once

#include <stdbool.h>

struct x25519;

bool x25519_check_batches(struct x25519 *openssl);
