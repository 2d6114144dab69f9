/* crypto/key_table.h
 *
 * The keyholder's private keys by id.
 *
 * Owner: the keyholder.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct signing_key;

/* Fields private to key_table.c. `= {0}` is a valid empty table. */
struct key_table {
    struct key_entry *entries; /* sorted by id */
    size_t count;
};

/* Frees the keys too. */
void key_table_fini(struct key_table *table);

/* Takes `key`, also when it fails; an id already there gets the new key. False: no memory, or
 * `most` keys already. */
bool key_table_put(struct key_table *table, uint32_t id, struct signing_key *key, size_t most)
    __attribute__((warn_unused_result));

/* Borrowed until the id is put or removed; NULL: none. */
struct signing_key *key_table_find(const struct key_table *table, uint32_t id);

/* Frees the key; no harm when there is none. */
void key_table_remove(struct key_table *table, uint32_t id);
