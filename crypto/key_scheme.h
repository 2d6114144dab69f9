/* crypto/key_scheme.h
 *
 * The signature schemes that a worker may ask for, as one table: hash, its length, kind of key.
 *
 * Why it exists: channel, provider and keyholder must agree on what a scheme number means, and
 * workers may send hashes only, so the hash length of each scheme is part of the protocol.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#pragma once

#include <stddef.h>

/* The numbers are the wire's. ECDSA's curve is the key's: any of the three hashes signs with it
 * (RFC 5246 §7.4.1.4.1); TLS 1.3 ties hash to curve itself (RFC 8446 §4.2.3). */
enum key_scheme {
    KEY_SCHEME_RSA_PSS_SHA256 = 1, /* the salt is as long as the hash, RFC 8446 §4.2.3 */
    KEY_SCHEME_RSA_PSS_SHA384,
    KEY_SCHEME_RSA_PSS_SHA512,
    KEY_SCHEME_RSA_PKCS1_SHA256,
    KEY_SCHEME_RSA_PKCS1_SHA384,
    KEY_SCHEME_RSA_PKCS1_SHA512,
    KEY_SCHEME_ECDSA_SHA256,
    KEY_SCHEME_ECDSA_SHA384,
    KEY_SCHEME_ECDSA_SHA512,
};

enum key_family {
    KEY_FAMILY_RSA_PSS,
    KEY_FAMILY_RSA_PKCS1,
    KEY_FAMILY_ECDSA,
};

enum {
    KEY_SCHEME_COUNT = 9,
    KEY_HASH_BYTES_MAX = 64,
    KEY_SIGNATURE_BYTES_MAX = 1024, /* RSA of 8192 bits */
};

struct key_scheme_facts {
    enum key_scheme scheme;
    enum key_family family;
    const char *digest; /* OpenSSL's first name for it */
    size_t hash_bytes;
};

/* Static; NULL when the number is none of the table's (it comes from a wire). */
const struct key_scheme_facts *key_scheme_facts(unsigned number);

/* The scheme of a family and a digest by any of OpenSSL's names (SHA256, SHA2-256, SHA-256 ...);
 * NULL when there is none. */
const struct key_scheme_facts *key_scheme_find(enum key_family family, const char *digest);
