/* crypto/keyring_file.h
 *
 * A keyring in its file: read, and changed so that whoever reads meanwhile, or after a crash at any
 * moment, finds the whole old text or the whole new one.
 *
 * Why it exists: the file is all that a node knows of its cluster's keys. Two who edit at once must
 * not lose one's key, and a half-written file would cut the node off.
 *
 * The new text goes to `.NAME.new` beside the file (0600), to the disk, and over the file by a
 * rename; the folder follows to the disk. Owner, group and mode stay what they were; where the
 * owner cannot be kept only the owner's bits are. A symbolic link stays, and what it points at is
 * changed. Editors exclude each other by a lock on the folder, which leaves no file behind. What a
 * crash may leave is `.NAME.new`; the next change removes it.
 *
 * Owner: whoever called keyring_file_open. Texts are in locked memory only.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#pragma once

#include <limits.h>
#include <stdbool.h>

#include "crypto/error.h"
#include "crypto/keyring.h"

enum keyring_file_result {
    KEYRING_FILE_FINE,
    KEYRING_FILE_MALFORMED, /* there is a file, but no keyring in it */
    KEYRING_FILE_EXISTS,
    KEYRING_FILE_SYSTEM, /* not there, not readable, no room */
};

/* An edit in progress. */
struct keyring_file {
    int folder; /* locked; -1: closed */
    char name[NAME_MAX + 1];
};

/* Reads without a lock; `descriptor` to its end. The sentence leaves the path to the caller. */
enum keyring_file_result keyring_file_read(const char *path, struct keyring **ring,
                                           struct crypto_error *error)
    __attribute__((warn_unused_result));
enum keyring_file_result keyring_file_read_descriptor(int descriptor, struct keyring **ring,
                                                      struct crypto_error *error)
    __attribute__((warn_unused_result));

/* Begins an edit of a file, which need not be there yet. Waits for another one to end, some seconds
 * at most. */
enum keyring_file_result keyring_file_open(struct keyring_file *file, const char *path,
                                           struct crypto_error *error)
    __attribute__((warn_unused_result));

/* Harmless twice. */
void keyring_file_close(struct keyring_file *file);

enum keyring_file_result keyring_file_load(const struct keyring_file *file, struct keyring **ring,
                                           struct crypto_error *error)
    __attribute__((warn_unused_result));

/* Replaces the file, which is there. */
enum keyring_file_result keyring_file_replace(const struct keyring_file *file,
                                              const struct keyring *ring,
                                              struct crypto_error *error)
    __attribute__((warn_unused_result));

/* Makes the file, readable by its owner alone. EXISTS: it is there already, and unchanged. */
enum keyring_file_result keyring_file_create(const struct keyring_file *file,
                                             const struct keyring *ring, struct crypto_error *error)
    __attribute__((warn_unused_result));
