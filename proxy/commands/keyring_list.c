/* proxy/commands/keyring_list.c
 *
 * sallyport keyring list: the fingerprints in a file, never a key; and, from the instance, whether
 * it has loaded them and when each was last of use.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include <jansson.h>
#include <stdio.h>
#include <string.h>

#include "proxy/commands/command.h"
#include "proxy/commands/instance.h"
#include "proxy/commands/keyring_instance.h"
#include "proxy/commands/keyring_verbs.h"

/* A file, and what an instance says of it. */
struct listing {
    const char *file;
    struct keyring *ring;
    bool has_instance;
    struct keyring_report report;
};

/* ---- for people ---- */

static void print_ago(long long seconds)
{
    if (seconds < 0) {
        (void)printf("has opened nothing");
    } else if (seconds < 120) {
        (void)printf("last opened something %lld s ago", seconds);
    } else if (seconds < 7200) {
        (void)printf("last opened something %lld minutes ago", seconds / 60);
    } else {
        (void)printf("last opened something %lld hours ago", seconds / 3600);
    }
}

static void print_key(const struct listing *listing, size_t index)
{
    char id[KEYRING_ID_BYTES];
    keyring_id(listing->ring, index, id);
    (void)printf("%s  %u bits  %s", id, keyring_key_bits(listing->ring, index),
                 index == 0 ? "encrypts" : "decrypts");
    if (listing->has_instance) {
        struct keyring_key_report key = keyring_report_key(&listing->report, id);
        (void)printf("  %s", key.is_loaded ? "loaded, " : "not loaded");
        if (key.is_loaded) {
            print_ago(key.last_opened_seconds);
        }
    }
    (void)printf("\n");
}

static void print_text(const struct listing *listing)
{
    for (size_t i = 0; i < keyring_count(listing->ring); i++) {
        print_key(listing, i);
    }
    if (listing->has_instance && !listing->report.is_loaded) {
        (void)printf("the instance does not confirm this ring: %s\n", listing->report.why);
    }
}

/* ---- JSON ---- */

static json_t *maybe_number(bool is_known, long long number)
{
    return is_known ? json_integer(number) : json_null();
}

static json_t *maybe_truth(bool is_known, bool is_true)
{
    return is_known ? json_boolean(is_true) : json_null();
}

static json_t *key_to_json(const struct listing *listing, size_t index)
{
    char id[KEYRING_ID_BYTES];
    keyring_id(listing->ring, index, id);
    struct keyring_key_report key = keyring_report_key(&listing->report, id);
    bool is_known = key.is_loaded;
    return json_pack(
        "{s:s, s:i, s:b, s:o, s:o, s:o, s:o}", "id", id, "bits",
        (int)keyring_key_bits(listing->ring, index), "is_primary", index == 0, "is_loaded",
        maybe_truth(listing->has_instance, key.is_loaded), "sealed",
        maybe_number(is_known, key.sealed), "opened", maybe_number(is_known, key.opened),
        "last_opened_seconds",
        maybe_number(is_known && key.last_opened_seconds >= 0, key.last_opened_seconds));
}

static bool print_json(const struct listing *listing)
{
    json_t *keys = json_array();
    bool is_whole = keys != NULL;
    for (size_t i = 0; i < keyring_count(listing->ring); i++) {
        is_whole = json_array_append_new(keys, key_to_json(listing, i)) == 0 && is_whole;
    }
    bool is_loaded = listing->report.is_loaded;
    const char *why = listing->has_instance && !is_loaded ? listing->report.why : NULL;
    json_t *all =
        json_pack("{s:s, s:o, s:s?, s:o}", "keyring", listing->file, "is_loaded",
                  maybe_truth(listing->has_instance, is_loaded), "why_not", why, "keys", keys);
    is_whole =
        is_whole && all != NULL && json_dumpf(all, stdout, JSON_COMPACT) == 0 && printf("\n") == 1;
    json_decref(all);
    return is_whole;
}

static bool print_listing(const struct listing *listing, bool is_json)
{
    bool is_whole = true;
    if (is_json) {
        is_whole = print_json(listing);
    } else {
        print_text(listing);
    }
    return is_whole && fflush(stdout) == 0 && ferror(stdout) == 0;
}

int keyring_list(const struct keyring_options *options)
{
    struct listing listing = {.file = options->words[0]};
    struct crypto_error error = {{0}};
    char socket_path[INSTANCE_PATH_BYTES];
    bool is_bad = false;
    listing.has_instance = keyring_instance_find(options, socket_path, &is_bad);
    if (is_bad) {
        return COMMAND_BAD_INPUT;
    }
    enum keyring_file_result result = keyring_file_read(listing.file, &listing.ring, &error);
    if (result != KEYRING_FILE_FINE) {
        return keyring_tell_file(options, listing.file, result, &error);
    }
    if (listing.has_instance) {
        keyring_instance_ask(&listing.report, socket_path, listing.file, listing.ring);
    }
    bool is_printed = print_listing(&listing, options->is_json);
    keyring_report_fini(&listing.report);
    keyring_free(listing.ring);
    if (!is_printed) {
        (void)fprintf(stderr, "sallyport keyring list: the result cannot be written\n");
    }
    return is_printed ? COMMAND_FINE : COMMAND_SYSTEM;
}
