/* crypto/key_table.c · SPDX-License-Identifier: Apache-2.0 */
#include "crypto/key_table.h"

#include "crypto/signing_key.h"

#include <stdlib.h>
#include <string.h>

struct key_entry {
    uint32_t id;
    struct signing_key *key;
};

void key_table_fini(struct key_table *table)
{
    for (size_t i = 0; i < table->count; i++) {
        signing_key_free(table->entries[i].key);
    }
    free(table->entries);
    *table = (struct key_table){0};
}

/* Where the id is, or where it belongs. */
static size_t place_of(const struct key_table *table, uint32_t id)
{
    size_t low = 0;
    size_t high = table->count;
    while (low < high) {
        size_t middle = (low + high) / 2;
        if (table->entries[middle].id < id) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low;
}

static bool is_at(const struct key_table *table, size_t place, uint32_t id)
{
    return place < table->count && table->entries[place].id == id;
}

/* Opens a gap for one entry at `place`. */
static bool grow(struct key_table *table, size_t place, size_t most)
{
    if (table->count >= most) {
        return false;
    }
    struct key_entry *entries = realloc(table->entries, (table->count + 1) * sizeof(*entries));
    if (entries == NULL) {
        return false;
    }
    memmove(entries + place + 1, entries + place, (table->count - place) * sizeof(*entries));
    table->entries = entries;
    table->count++;
    return true;
}

bool key_table_put(struct key_table *table, uint32_t id, struct signing_key *key, size_t most)
{
    size_t place = place_of(table, id);
    if (is_at(table, place, id)) {
        signing_key_free(table->entries[place].key);
    } else if (!grow(table, place, most)) {
        signing_key_free(key);
        return false;
    }
    table->entries[place] = (struct key_entry){.id = id, .key = key};
    return true;
}

struct signing_key *key_table_find(const struct key_table *table, uint32_t id)
{
    size_t place = place_of(table, id);
    return is_at(table, place, id) ? table->entries[place].key : NULL;
}

void key_table_remove(struct key_table *table, uint32_t id)
{
    size_t place = place_of(table, id);
    if (!is_at(table, place, id)) {
        return;
    }
    signing_key_free(table->entries[place].key);
    table->count--;
    memmove(table->entries + place, table->entries + place + 1,
            (table->count - place) * sizeof(*table->entries));
}
