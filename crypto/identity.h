/* crypto/identity.h
 *
 * What we prove ourselves with: a certificate, its key (a private one, or one whose signatures are
 * made elsewhere, key_provider.h), and the OCSP response that is stapled to it.
 *
 * Why it exists: the same certificate serves on several listeners and towards several backends, and
 * its staple is replaced while it does.
 *
 * Shared: identity_ref and _unref. Immutable but for the staple, which belongs to one thread.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#pragma once

#include <openssl/evp.h>
#include <stdbool.h>
#include <time.h>

#include "crypto/bytes.h"

struct certificate;
struct crypto_error;
struct identity;

/* Shares both (adds references of its own). NULL with a sentence: the key is not that of the
 * certificate, or no memory. */
struct identity *identity_new(struct certificate *certificate, EVP_PKEY *key,
                              struct crypto_error *error);
struct identity *identity_ref(struct identity *identity);
void identity_unref(struct identity *identity);

struct certificate *identity_certificate(const struct identity *identity);
EVP_PKEY *identity_key(const struct identity *identity);

/* Replaces the stapled response (DER, copied) after verifying it; empty bytes: none, as at first.
 * False with a sentence: not a good and current response for this certificate, or one that is older
 * than what was said last; the old one stays. One that says "revoked" is not stapled either, but
 * ends the old one. */
bool identity_staple(struct identity *identity, struct bytes response, time_t now,
                     struct crypto_error *error);

/* The response to staple now; empty: none, or it ran out. */
struct bytes identity_staple_at(const struct identity *identity, time_t now);
