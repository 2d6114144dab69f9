/* crypto/keyring.h
 *
 * The keys of one gossip cluster, in order: the first one (the primary) encrypts, all decrypt.
 *
 * Why it exists: a rotation is nothing but a change of this order on one node after the other, so
 * its rules (no key twice, the primary cannot be removed) stand in one place, for the command line
 * that edits the file and for the process that seals with it.
 *
 * The text of a keyring is one key a line, in base64, 16, 24 or 32 bytes each; lines that begin
 * with '#' are comments. A JSON array of such strings (serf's keyring file) is read and kept as
 * such, and a single key (Mattermost's ClusterEncryptionKey) is a keyring of one. Comments before
 * the first key stay on top; those before another key go where it goes.
 *
 * Owner: whoever called keyring_parse. The ring, comments included, is in locked memory and wiped;
 * no function prints a key.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "crypto/bytes.h"
#include "crypto/error.h"
#include "crypto/secret.h"

struct keyring;

enum {
    KEYRING_KEYS_MAX = 16,
    KEYRING_KEY_BYTES_MAX = 32,
    KEYRING_TEXT_BYTES_MAX = 4096,
    KEYRING_ID_BYTES = 17, /* 16 hex digits and NUL */
};

enum keyring_change {
    KEYRING_CHANGED,
    KEYRING_UNCHANGED,  /* it was so already */
    KEYRING_UNKNOWN,    /* no such key */
    KEYRING_IS_PRIMARY, /* the primary cannot be removed */
    KEYRING_FULL,   /* KEYRING_KEYS_MAX keys, or KEYRING_TEXT_BYTES_MAX bytes with their comments */
    KEYRING_FAILED, /* no memory, or no key of 16, 24 or 32 bytes: nothing was changed */
};

/* Reads a keyring's text. NULL with "line N: what; what was expected" and never a key in it. */
struct keyring *keyring_parse(struct bytes text, struct crypto_error *error)
    __attribute__((warn_unused_result));
void keyring_free(struct keyring *ring);

/* At least one. Index 0 is the primary. */
size_t keyring_count(const struct keyring *ring);
unsigned keyring_key_bits(const struct keyring *ring, size_t index);

/* Borrowed, for making a cipher of it; 16, 24 or 32 bytes. */
struct bytes keyring_key(const struct keyring *ring, size_t index);

/* The fingerprint by which people and logs name a key, in hex: the first 8 bytes of the SHA-256 of
 * "sallyport keyring", a NUL and the key. */
void keyring_id(const struct keyring *ring, size_t index, char id[KEYRING_ID_BYTES]);

/* The index of the key of that fingerprint, or keyring_count. A beginning of 4 digits or more will
 * do if no other key has it too. */
size_t keyring_find(const struct keyring *ring, const char *id);

/* Appends, moves to the front, takes out. `key` is 16, 24 or 32 raw bytes. */
enum keyring_change keyring_add(struct keyring *ring, struct bytes key);
enum keyring_change keyring_use(struct keyring *ring, size_t index);
enum keyring_change keyring_remove(struct keyring *ring, size_t index);

/* A ring of one new key of 128, 192 or 256 bits. NULL: no randomness, or no memory. */
struct keyring *keyring_new_random(unsigned bits) __attribute__((warn_unused_result));

/* The text, in the form that it was read in; `text` is made here. False: no memory. */
bool keyring_write(const struct keyring *ring, struct secret *text)
    __attribute__((warn_unused_result));

/* The raw bytes of one key in base64 (as in `serf keygen`, or Mattermost's ClusterEncryptionKey),
 * space and ends of lines around it ignored; `key` is made here. False: it is not 16, 24 or 32
 * bytes in base64, or no memory; `key` is then empty. */
bool keyring_key_from_text(struct secret *key, struct bytes text)
    __attribute__((warn_unused_result));
