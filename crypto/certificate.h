/* crypto/certificate.h
 *
 * A certificate with the chain that is sent with it, and the facts about it that decide where it
 * may serve: names, dates, key. No private key in it, even when the file holds one.
 *
 * Why it exists: workers, checks and the posture look at the same few facts; none of them should
 * walk X.509 structures.
 *
 * Shared and immutable: certificate_ref and _unref. Getters borrow.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#pragma once

#include <openssl/x509.h>
#include <stdbool.h>
#include <time.h>

#include "crypto/bytes.h"

struct certificate;
struct crypto_error;
struct secret;

enum {
    CERTIFICATE_FILE_BYTES_MAX = 1024 * 1024,
    CERTIFICATE_CHAIN_MAX = 16,
    CERTIFICATE_NAMES_MAX = 1024,
    CERTIFICATE_TEXT_BYTES = 256,
    CERTIFICATE_SHA256_BYTES = 32,
    CERTIFICATE_SHA256_TEXT = 2 * CERTIFICATE_SHA256_BYTES + 1,
};

/* The kinds of keys that a handshake may choose between. */
enum certificate_key { CERTIFICATE_RSA, CERTIFICATE_EC, CERTIFICATE_ED25519, CERTIFICATE_KEYS };

/* "RSA", "EC", "Ed25519" */
const char *certificate_key_name(enum certificate_key key);

/* Of the leaf. All strings live as long as the certificate. */
struct certificate_facts {
    const char *subject; /* RFC 4514 text */
    const char *issuer;
    const char *serial;       /* hexadecimal */
    const char *const *names; /* SAN: dns names in lower case, "*.example.com", then IP addresses */
    size_t name_count;
    size_t dns_name_count; /* the first of them */
    time_t not_before;
    time_t not_after;
    enum certificate_key key;
    const char *curve; /* "P-256"; "" for others than EC */
    unsigned key_bits;
    unsigned security_bits;     /* NIST SP 800-57: 112 for RSA-2048, 128 for P-256 */
    unsigned smallest_rsa_bits; /* in the whole chain; 0: no RSA key in it */
    bool is_self_signed;
    bool is_ca;
    const char *ocsp_url; /* "" when it names no responder over http */
    bool must_staple;     /* it demands a stapled OCSP response (RFC 7633) */
    size_t chain_len;     /* the leaf included */
    uint8_t sha256[CERTIFICATE_SHA256_BYTES];
    char sha256_text[CERTIFICATE_SHA256_TEXT];
    char pin[64]; /* "sha256/" and base64 of the SHA-256 of SubjectPublicKeyInfo (RFC 7469) */
};

/* Reads PEM (leaf first; keys in it are skipped) or PKCS#12 (`password` may be NULL: none). The
 * chain is put in order, each certificate followed by the one that signed it; a certificate that
 * belongs to no chain with the leaf is an error. A root at the end is kept, but not sent: who
 * trusts it has it. NULL with a sentence in `error`. */
struct certificate *certificate_read(struct bytes file, const struct secret *password,
                                     struct crypto_error *error);

struct certificate *certificate_ref(struct certificate *certificate);
void certificate_unref(struct certificate *certificate);

const struct certificate_facts *certificate_facts(const struct certificate *certificate);
X509 *certificate_leaf(const struct certificate *certificate);
/* What is sent after the leaf; may be empty. */
STACK_OF(X509) * certificate_chain(const struct certificate *certificate);
/* The certificate that signed the leaf, if the file holds it (the leaf itself when self-signed);
 * else NULL. */
X509 *certificate_issuer(const struct certificate *certificate);

/* The leaf and its chain as PEM, malloc'ed and NUL-terminated: what may go to a worker when the
 * file it came from holds a key too. NULL: out of memory. */
char *certificate_pem(const struct certificate *certificate, size_t *len);

/* Whether `now` lies within the leaf's dates. */
bool certificate_is_valid_at(const struct certificate *certificate, time_t now);

/* True if the name or the IP address (text) is one that the leaf is for (RFC 6125, SAN only). */
bool certificate_covers(const struct certificate *certificate, const char *name);

/* Whether this is the private (or remote) key of the leaf. */
bool certificate_fits_key(const struct certificate *certificate, EVP_PKEY *key);
