/* crypto/trust.h
 *
 * Whom we believe: certificates of authorities and, if there are any, their revocation lists.
 *
 * Why it exists: parsed once and shared; the system's bundle is large.
 *
 * Each certificate given is an anchor, an intermediate or a single server's own too. With lists,
 * every certificate of a chain is looked up, so each authority in it needs a list; one that is past
 * its next update refuses everybody: without it nobody knows who was revoked meanwhile.
 *
 * Shared and immutable: trust_ref and _unref.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#pragma once

#include <openssl/x509.h>
#include <stdbool.h>
#include <time.h>

#include "crypto/bytes.h"

struct crypto_error;
struct trust;

enum { TRUST_FILE_BYTES_MAX = 16 * 1024 * 1024, TRUST_DEPTH_MAX = 32 };

/* `authorities`: PEM, at least one certificate. `revoked`: PEM or DER, at least one list; empty:
 * revocation is not checked. NULL with a sentence in `error`. */
struct trust *trust_read(struct bytes authorities, struct bytes revoked,
                         struct crypto_error *error);
struct trust *trust_ref(struct trust *trust);
void trust_unref(struct trust *trust);

X509_STORE *trust_store(const struct trust *trust);
size_t trust_authority_count(const struct trust *trust);
/* One of them, below that count, in no order: its name as RFC 4514 text, cut to `size` - 1, and
 * when it ends (-1: nobody can say). False: there are no more (one that was given twice counts
 * once). */
bool trust_authority_at(const struct trust *trust, size_t index, char *name, size_t size,
                        time_t *not_after);
/* Names of the authorities, for the request for a client's certificate. */
const STACK_OF(X509_NAME) * trust_names(const struct trust *trust);
/* When the first list runs out; 0: no lists. */
time_t trust_revoked_until(const struct trust *trust);
/* SHA-256 of what was read. */
const uint8_t *trust_sha256(const struct trust *trust);

/* Where this system keeps its bundle of authorities: the first of the well-known paths that can be
 * read; NULL: none. For processes with a file system. */
const char *trust_system_path(void);
