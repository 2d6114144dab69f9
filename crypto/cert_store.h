/* crypto/cert_store.h
 *
 * The identities that one listener can show, by the names in their certificates, and the choice
 * among them for the name that a client asks for.
 *
 *   exact name, valid ─► wildcard (one label), valid ─► exact, out of date ─► wildcard, out of date
 *   ─► nothing known under the name: the default, that is everything that serves the first name of
 *   the first identity added.
 *
 * On one step, one identity for each kind of key is chosen (RSA and EC; the client's signature
 * algorithms decide between them), the one added first where several fit. An expired or not yet
 * valid certificate is never chosen when a valid one exists for the name.
 *
 * Shared and immutable once it serves: cert_store_ref and _unref.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#pragma once

#include <stdbool.h>
#include <time.h>

#include "crypto/certificate.h"

struct cert_store;
struct identity;

enum { CERT_STORE_NAME_BYTES_MAX = 253 }; /* RFC 1035 §2.3.4, in text */

struct cert_choice {
    struct identity *of[CERTIFICATE_KEYS]; /* borrowed; NULL: none of this kind */
};

/* NULL: out of memory. */
struct cert_store *cert_store_new(void);
struct cert_store *cert_store_ref(struct cert_store *store);
void cert_store_unref(struct cert_store *store);

/* Adds a reference of its own. Before the store serves. False: out of memory. */
bool cert_store_add(struct cert_store *store, struct identity *identity)
    __attribute__((warn_unused_result));

/* True if some certificate is for `name` (SNI: any case, a dot at the end is ignored; NULL: the
 * client named none). `out` gets the default when not. An empty store chooses nothing. */
bool cert_store_choose(const struct cert_store *store, const char *name, time_t now,
                       struct cert_choice *out);

size_t cert_store_count(const struct cert_store *store);
struct identity *cert_store_at(const struct cert_store *store, size_t i);
