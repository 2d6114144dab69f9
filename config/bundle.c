/* config/bundle.c · SPDX-License-Identifier: Apache-2.0 */
#include "config/bundle.h"

#include <stdlib.h>
#include <string.h>

static const char MAGIC[8] = {'S', 'P', 'B', 'U', 'N', 'D', 'L', 'E'};

enum {
    VERSION = 1,
    HEAD_BYTES = sizeof(MAGIC) + 4 + 4,
    ENTRY_HEAD_BYTES = 4 + 4,
};

struct entry {
    struct bundle_entry public;
    char *name;
    uint8_t *bytes;
};

/* Invariants: names are unique, count <= BUNDLE_ENTRIES_MAX, serialised_len is the exact length of
 * the serialised form and <= BUNDLE_BYTES_MAX. */
struct bundle {
    struct entry *entries;
    size_t count;
    size_t capacity;
    size_t serialised_len;
};

struct bundle *bundle_new(void)
{
    struct bundle *bundle = calloc(1, sizeof(*bundle));
    if (bundle != NULL) {
        bundle->serialised_len = HEAD_BYTES;
    }
    return bundle;
}

static void entry_fini(struct entry *entry)
{
    free(entry->name);
    free(entry->bytes);
}

void bundle_free(struct bundle *bundle)
{
    if (bundle == NULL) {
        return;
    }
    for (size_t i = 0; i < bundle->count; i++) {
        entry_fini(&bundle->entries[i]);
    }
    free(bundle->entries);
    free(bundle);
}

static struct entry *find(const struct bundle *bundle, const char *name)
{
    for (size_t i = 0; i < bundle->count; i++) {
        if (strcmp(bundle->entries[i].name, name) == 0) {
            return &bundle->entries[i];
        }
    }
    return NULL;
}

static bool reserve_entry(struct bundle *bundle)
{
    if (bundle->count < bundle->capacity) {
        return true;
    }
    size_t capacity = bundle->capacity == 0 ? 16 : bundle->capacity * 2;
    struct entry *entries = reallocarray(bundle->entries, capacity, sizeof(*entries));
    if (entries == NULL) {
        return false;
    }
    bundle->entries = entries;
    bundle->capacity = capacity;
    return true;
}

static bool entry_init(struct entry *entry, const char *name, const void *bytes, size_t len)
{
    *entry = (struct entry){.name = strdup(name), .bytes = malloc(len + 1)};
    if (entry->name == NULL || entry->bytes == NULL) {
        entry_fini(entry);
        return false;
    }
    if (len > 0) {
        memcpy(entry->bytes, bytes, len);
    }
    entry->bytes[len] = 0;
    entry->public = (struct bundle_entry){.name = entry->name, .bytes = entry->bytes, .len = len};
    return true;
}

bool bundle_add(struct bundle *bundle, const char *name, const void *bytes, size_t len)
{
    size_t name_len = strlen(name);
    struct entry *old = find(bundle, name);
    size_t before =
        bundle->serialised_len - (old != NULL ? ENTRY_HEAD_BYTES + name_len + old->public.len : 0);
    size_t rest = BUNDLE_BYTES_MAX - before;
    if (name_len == 0 || name_len > BUNDLE_NAME_BYTES_MAX || len > rest ||
        ENTRY_HEAD_BYTES + name_len > rest - len) {
        return false;
    }
    if (old == NULL && (bundle->count == BUNDLE_ENTRIES_MAX || !reserve_entry(bundle))) {
        return false;
    }
    struct entry entry;
    if (!entry_init(&entry, name, bytes, len)) {
        return false;
    }
    if (old != NULL) {
        entry_fini(old);
        *old = entry;
    } else {
        bundle->entries[bundle->count++] = entry;
    }
    bundle->serialised_len = before + ENTRY_HEAD_BYTES + name_len + len;
    return true;
}

const struct bundle_entry *bundle_find(const struct bundle *bundle, const char *name)
{
    const struct entry *entry = find(bundle, name);
    return entry == NULL ? NULL : &entry->public;
}

size_t bundle_count(const struct bundle *bundle)
{
    return bundle->count;
}

const struct bundle_entry *bundle_at(const struct bundle *bundle, size_t i)
{
    return i < bundle->count ? &bundle->entries[i].public : NULL;
}

static uint8_t *put_u32(uint8_t *at, size_t value)
{
    at[0] = (uint8_t)(value >> 24);
    at[1] = (uint8_t)(value >> 16);
    at[2] = (uint8_t)(value >> 8);
    at[3] = (uint8_t)value;
    return at + 4;
}

static uint8_t *put_bytes(uint8_t *at, const void *bytes, size_t len)
{
    if (len > 0) {
        memcpy(at, bytes, len);
    }
    return at + len;
}

bool bundle_serialise(const struct bundle *bundle, uint8_t **bytes, size_t *len)
{
    uint8_t *start = malloc(bundle->serialised_len);
    if (start == NULL) {
        return false;
    }
    uint8_t *at = put_bytes(start, MAGIC, sizeof(MAGIC));
    at = put_u32(at, VERSION);
    at = put_u32(at, bundle->count);
    for (size_t i = 0; i < bundle->count; i++) {
        const struct bundle_entry *entry = &bundle->entries[i].public;
        size_t name_len = strlen(entry->name);
        at = put_u32(at, name_len);
        at = put_u32(at, entry->len);
        at = put_bytes(at, entry->name, name_len);
        at = put_bytes(at, entry->bytes, entry->len);
    }
    *bytes = start;
    *len = (size_t)(at - start);
    return true;
}

/* What is left to read. Taking more than there is yields NULL. */
struct reader {
    const uint8_t *at;
    size_t left;
};

static const uint8_t *take(struct reader *reader, size_t len)
{
    if (len > reader->left) {
        return NULL;
    }
    const uint8_t *start = reader->at;
    reader->at += len;
    reader->left -= len;
    return start;
}

static bool take_u32(struct reader *reader, uint32_t *value)
{
    const uint8_t *at = take(reader, 4);
    if (at == NULL) {
        return false;
    }
    *value = (uint32_t)at[0] << 24 | (uint32_t)at[1] << 16 | (uint32_t)at[2] << 8 | at[3];
    return true;
}

static bool parse_entry(struct reader *reader, struct bundle *bundle)
{
    uint32_t name_len;
    uint32_t len;
    if (!take_u32(reader, &name_len) || !take_u32(reader, &len)) {
        return false;
    }
    if (name_len == 0 || name_len > BUNDLE_NAME_BYTES_MAX) {
        return false;
    }
    const uint8_t *name_bytes = take(reader, name_len);
    const uint8_t *bytes = name_bytes == NULL ? NULL : take(reader, len);
    if (bytes == NULL || memchr(name_bytes, 0, name_len) != NULL) {
        return false;
    }
    char name[BUNDLE_NAME_BYTES_MAX + 1];
    memcpy(name, name_bytes, name_len);
    name[name_len] = '\0';
    return find(bundle, name) == NULL && bundle_add(bundle, name, bytes, len);
}

static bool parse(struct reader *reader, struct bundle *bundle)
{
    const uint8_t *magic = take(reader, sizeof(MAGIC));
    uint32_t version;
    uint32_t count;
    if (magic == NULL || memcmp(magic, MAGIC, sizeof(MAGIC)) != 0 || !take_u32(reader, &version) ||
        version != VERSION || !take_u32(reader, &count) || count > BUNDLE_ENTRIES_MAX) {
        return false;
    }
    for (uint32_t i = 0; i < count; i++) {
        if (!parse_entry(reader, bundle)) {
            return false;
        }
    }
    return reader->left == 0;
}

struct bundle *bundle_parse(const uint8_t *bytes, size_t len)
{
    if (len > BUNDLE_BYTES_MAX) {
        return NULL;
    }
    struct bundle *bundle = bundle_new();
    if (bundle == NULL) {
        return NULL;
    }
    struct reader reader = {.at = bytes, .left = len};
    if (!parse(&reader, bundle)) {
        bundle_free(bundle);
        return NULL;
    }
    return bundle;
}
