/* proxy/commands/keyring_instance.h
 *
 * What the running instance says about the keyring that is in a file: whether it has loaded exactly
 * that, and what each key did.
 *
 * Why it exists: a key may be used only where all others have loaded it, and removed only where
 * nobody needs it. A file that was written proves neither.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#pragma once

#include <jansson.h>
#include <stdbool.h>

#include "crypto/keyring.h"
#include "proxy/commands/keyring_options.h"

enum { KEYRING_WHY_BYTES = 320 };

struct keyring_report {
    bool is_loaded;              /* every cluster that has this file has this ring */
    char why[KEYRING_WHY_BYTES]; /* if not: a piece of a sentence */
    json_t *clusters;            /* an array of those; may be NULL */
};

struct keyring_key_report {
    bool is_loaded; /* by every cluster that has this file */
    long long sealed;
    long long opened;
    long long last_opened_seconds; /* ago; -1: never */
};

/* True if -c or --admin was given: then `path` is the admin socket's, or *is_bad is set and told.
 */
bool keyring_instance_find(const struct keyring_options *options, char *path, bool *is_bad);

/* Asks once. */
void keyring_instance_ask(struct keyring_report *report, const char *path, const char *file,
                          const struct keyring *ring);
void keyring_report_fini(struct keyring_report *report);

/* What it told of one key. */
struct keyring_key_report keyring_report_key(const struct keyring_report *report, const char *id);

/* Asks until the ring is loaded. False: not within the time, with the last reason. */
bool keyring_instance_wait(const char *path, const char *file, const struct keyring *ring,
                           long timeout_ms, char why[KEYRING_WHY_BYTES]);
