/* crypto/keyring_state.h
 *
 * What a keyring is made of: private to keyring.c (its rules) and keyring_text.c (its spelling).
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#pragma once

#include "crypto/keyring.h"

struct keyring_key {
    uint8_t bytes[KEYRING_KEY_BYTES_MAX];
    size_t len;
    char id[KEYRING_ID_BYTES];
    unsigned line;     /* where it was read; 0: it was not */
    size_t comment_at; /* of the lines before it, in `comments` */
    size_t comment_len;
};

/* In the pages of a secret, which it holds itself. */
struct keyring {
    struct secret pages;
    struct keyring_key keys[KEYRING_KEYS_MAX];
    size_t count;
    bool is_json;
    char comments[KEYRING_TEXT_BYTES_MAX + 1]; /* whole lines with their ends */
    size_t comments_len;
    size_t top_len;  /* those before the first key */
    size_t tail_len; /* those after the last key: at the end of `comments` */
};

static inline bool keyring_is_key_size(size_t len)
{
    return len == 16 || len == 24 || len == 32;
}

/* A ring without a key. NULL: no memory. */
struct keyring *keyring_blank(void) __attribute__((warn_unused_result));

/* Makes a key of the first `len` bytes that stand in the next free slot (there is one), unless the
 * ring has it; *twin is then its index. The slot is wiped unless CHANGED. */
enum keyring_change keyring_take_slot(struct keyring *ring, size_t len, size_t *twin)
    __attribute__((warn_unused_result));

/* The length of the text; `room` has that many bytes, or is NULL. */
size_t keyring_render(const struct keyring *ring, char *room);
