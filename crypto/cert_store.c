/* crypto/cert_store.c
 *
 * Names stand in one sorted array; "*.example.com" stands there as ".example.com", which is what is
 * left of a name when its first label is taken away.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "crypto/cert_store.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#include "crypto/identity.h"

struct entry {
    const char *name; /* borrowed from the certificate */
    struct identity *identity;
};

struct cert_store {
    unsigned references;
    struct identity **identities;
    size_t identity_count;
    struct entry *entries; /* by name, then in the order in which they were added */
    size_t entry_count;
};

struct cert_store *cert_store_new(void)
{
    struct cert_store *store = calloc(1, sizeof(*store));
    if (store != NULL) {
        store->references = 1;
    }
    return store;
}

struct cert_store *cert_store_ref(struct cert_store *store)
{
    store->references++;
    return store;
}

void cert_store_unref(struct cert_store *store)
{
    if (store == NULL || --store->references > 0) {
        return;
    }
    for (size_t i = 0; i < store->identity_count; i++) {
        identity_unref(store->identities[i]);
    }
    free(store->identities);
    free(store->entries);
    free(store);
}

/* ---- adding ---- */

/* The key under which a certificate's name is found; NULL: a wildcard that means nothing. */
static const char *key_of(const char *name)
{
    const char *key = strncmp(name, "*.", 2) == 0 ? name + 1 : name;
    return strchr(key, '*') == NULL ? key : NULL;
}

/* The first place whose name is greater than (or, unless `behind_equals`, equal to) `key`. */
static size_t find_place(const struct cert_store *store, const char *key, bool behind_equals)
{
    size_t low = 0;
    size_t high = store->entry_count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        int order = strcmp(store->entries[middle].name, key);
        if (order < 0 || (order == 0 && behind_equals)) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low;
}

static void insert(struct cert_store *store, const char *key, struct identity *identity)
{
    size_t place = find_place(store, key, true);
    memmove(store->entries + place + 1, store->entries + place,
            (store->entry_count - place) * sizeof(*store->entries));
    store->entries[place] = (struct entry){key, identity};
    store->entry_count++;
}

bool cert_store_add(struct cert_store *store, struct identity *identity)
{
    const struct certificate_facts *facts = certificate_facts(identity_certificate(identity));
    struct identity **identities =
        reallocarray(store->identities, store->identity_count + 1, sizeof(*store->identities));
    if (identities == NULL) {
        return false;
    }
    store->identities = identities;
    struct entry *entries = reallocarray(
        store->entries, store->entry_count + facts->dns_name_count + 1, sizeof(*store->entries));
    if (entries == NULL) {
        return false;
    }
    store->entries = entries;
    store->identities[store->identity_count++] = identity_ref(identity);
    for (size_t i = 0; i < facts->dns_name_count; i++) {
        const char *key = key_of(facts->names[i]);
        if (key != NULL) {
            insert(store, key, identity);
        }
    }
    return true;
}

/* ---- choosing ---- */

/* False: not a name that a certificate could be for. */
static bool normalise(const char *name, char out[CERT_STORE_NAME_BYTES_MAX + 2])
{
    size_t len = strnlen(name, CERT_STORE_NAME_BYTES_MAX + 2);
    if (len > 0 && name[len - 1] == '.') {
        len--;
    }
    if (len == 0 || len > CERT_STORE_NAME_BYTES_MAX || name[0] == '.') {
        return false;
    }
    for (size_t i = 0; i < len; i++) {
        out[i] = (char)tolower((unsigned char)name[i]);
    }
    out[len] = '\0';
    return true;
}

static void offer(struct cert_choice *out, struct identity *identity)
{
    enum certificate_key key = certificate_facts(identity_certificate(identity))->key;
    if (out->of[key] == NULL) {
        out->of[key] = identity;
    }
}

/* Offers everything under the key that is valid (or that is not). False: there is nothing. */
static bool choose_under(const struct cert_store *store, const char *key, time_t now, bool is_valid,
                         struct cert_choice *out)
{
    bool any = false;
    for (size_t i = find_place(store, key, false);
         i < store->entry_count && strcmp(store->entries[i].name, key) == 0; i++) {
        struct identity *identity = store->entries[i].identity;
        if (certificate_is_valid_at(identity_certificate(identity), now) == is_valid) {
            offer(out, identity);
            any = true;
        }
    }
    return any;
}

static void choose_default(const struct cert_store *store, time_t now, struct cert_choice *out)
{
    if (store->identity_count == 0) {
        return;
    }
    struct identity *first = store->identities[0];
    const struct certificate_facts *facts = certificate_facts(identity_certificate(first));
    const char *key = facts->dns_name_count > 0 ? key_of(facts->names[0]) : NULL;
    if (key == NULL ||
        (!choose_under(store, key, now, true, out) && !choose_under(store, key, now, false, out))) {
        offer(out, first);
    }
}

bool cert_store_choose(const struct cert_store *store, const char *name, time_t now,
                       struct cert_choice *out)
{
    *out = (struct cert_choice){{NULL}};
    char exact[CERT_STORE_NAME_BYTES_MAX + 2];
    if (name != NULL && normalise(name, exact)) {
        const char *wildcard = strchr(exact, '.');
        if (choose_under(store, exact, now, true, out) ||
            (wildcard != NULL && choose_under(store, wildcard, now, true, out)) ||
            choose_under(store, exact, now, false, out) ||
            (wildcard != NULL && choose_under(store, wildcard, now, false, out))) {
            return true;
        }
    }
    choose_default(store, now, out);
    return false;
}

size_t cert_store_count(const struct cert_store *store)
{
    return store->identity_count;
}

struct identity *cert_store_at(const struct cert_store *store, size_t i)
{
    return store->identities[i];
}
