/* crypto/local_ca.h
 *
 * A certificate authority for one machine, and certificates from it: made once, kept in a folder,
 * renewed when needed. For development, tests and the start without a configuration.
 *
 *   FOLDER/ca.pem  ca.key  leaf.pem (leaf, then CA)  leaf.key      folder 0700, keys 0600
 *
 * Why it exists: TLS must work before anybody has bought or configured anything.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <time.h>

#include "crypto/local_issue.h"

struct crypto_error;

enum {
    LOCAL_RENEW_DAYS = 30, /* before the end */
    LOCAL_CA_PATH_BYTES = 4096,
};

/* Where the authority lives unless told otherwise: $STATE_DIRECTORY/local-ca, or
 * /var/lib/sallyport/local-ca if that is (or can be made) ours to write, else
 * $XDG_DATA_HOME/sallyport/local-ca, else $HOME/.local/share/sallyport/local-ca. False: none. */
bool local_ca_folder(char out[LOCAL_CA_PATH_BYTES]);

struct local_ca_files {
    char ca[LOCAL_CA_PATH_BYTES];    /* certificate of the authority: give this to clients */
    char chain[LOCAL_CA_PATH_BYTES]; /* leaf and authority */
    char key[LOCAL_CA_PATH_BYTES];   /* of the leaf */
    bool is_new_ca;                  /* made just now: clients have to be told */
    bool is_new_leaf;
};

/* Makes what is missing in `folder` and renews the leaf when its names differ, its kind of key
 * differs, it nears its end, or it is not from this authority. Files are replaced whole. False with
 * a sentence. */
bool local_ca_ensure(const char *folder, enum local_key kind, const char *const *names,
                     size_t name_count, time_t now, struct local_ca_files *out,
                     struct crypto_error *error);

/* How to make clients believe the authority, in a few lines of text for people. Cut to `size`;
 * returns the length written. */
size_t local_ca_advice(const struct local_ca_files *files, char *out, size_t size);
