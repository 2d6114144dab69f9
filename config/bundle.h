/* config/bundle.h
 *
 * A set of named byte strings: the configuration files that a process without a file system needs
 * (the YAML, its includes, chains, CAs, CRLs, OCSP responses; never a key).
 *
 * Serialised, it travels from the master to a child in a sealed memory file:
 *
 *     "SPBUNDLE" · u32 version 1 · u32 count · count × (u32 name length · u32 bytes length · name ·
 * bytes)
 *
 * all numbers big-endian, names unique and without NUL, nothing after the last entry.
 *
 * Owner: whoever made it.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
    BUNDLE_ENTRIES_MAX = 4096,
    BUNDLE_NAME_BYTES_MAX = 4096,
    BUNDLE_BYTES_MAX = 64 * 1024 * 1024, /* of the whole, serialised */
};

struct bundle;

struct bundle_entry {
    const char *name;
    const uint8_t *bytes; /* followed by a NUL that does not count */
    size_t len;
};

/* NULL when out of memory. */
struct bundle *bundle_new(void);
void bundle_free(struct bundle *bundle);

/* Copies name and bytes; a name that is there already is replaced. False: out of memory, or beyond
 * a limit above (nothing changes then). */
bool bundle_add(struct bundle *bundle, const char *name, const void *bytes, size_t len)
    __attribute__((warn_unused_result));

/* The entry of that name, or NULL. Valid until the bundle changes. */
const struct bundle_entry *bundle_find(const struct bundle *bundle, const char *name);

size_t bundle_count(const struct bundle *bundle);
const struct bundle_entry *bundle_at(const struct bundle *bundle, size_t i);

/* The serialised form, malloc'ed. False: out of memory. */
bool bundle_serialise(const struct bundle *bundle, uint8_t **bytes, size_t *len)
    __attribute__((warn_unused_result));

/* Reads the serialised form, copying. NULL: not a well-formed bundle (or out of memory). */
struct bundle *bundle_parse(const uint8_t *bytes, size_t len) __attribute__((warn_unused_result));
