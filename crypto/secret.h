/* crypto/secret.h
 *
 * A secret of at most `capacity` bytes, in pages of its own: locked into memory and left out of
 * core dumps where the system allows it, wiped when it ends.
 *
 * Why it exists: passwords, ticket secrets and keys must not lie about in ordinary heap memory,
 * and must not be printed or compared by accident. No printing function exists.
 *
 * Owner: whoever called secret_init. The bytes are borrowed until secret_fini or secret_set.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Fields private to secret.c. `= {0}` is a valid empty secret. */
struct secret {
    uint8_t *pages;
    size_t mapped;
    size_t capacity;
    size_t len;
};

/* Makes room for `capacity` bytes (1 and up). False: no memory; the secret is then empty. */
bool secret_init(struct secret *secret, size_t capacity) __attribute__((warn_unused_result));

/* Wipes and gives the memory back. Harmless on an empty secret, and twice. */
void secret_fini(struct secret *secret);

/* Replaces what is held; the old bytes are wiped. False when it does not fit: nothing changes. */
bool secret_set(struct secret *secret, const void *bytes, size_t len)
    __attribute__((warn_unused_result));

/* Replaces what is held by `len` bytes of the system's randomness. False: does not fit, or none. */
bool secret_set_random(struct secret *secret, size_t len) __attribute__((warn_unused_result));

/* Borrowed; NULL when empty. */
const uint8_t *secret_bytes(const struct secret *secret);
size_t secret_len(const struct secret *secret);

/* For writing a secret in place (a structure that is one). `capacity` bytes, zero after init.
 * secret_len is not changed by this. */
void *secret_room(struct secret *secret);

/* After writing in place: the first `len` bytes are the secret. False: they do not fit. */
bool secret_set_len(struct secret *secret, size_t len) __attribute__((warn_unused_result));

/* Takes the same time wherever the first difference lies. Lengths are not secret. */
bool secret_equals(const struct secret *secret, const void *bytes, size_t len);
