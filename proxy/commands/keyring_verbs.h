/* proxy/commands/keyring_verbs.h
 *
 * What `sallyport keyring` can do, a function each; they end with a command_exit.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#pragma once

#include "crypto/error.h"
#include "crypto/keyring_file.h"
#include "proxy/commands/keyring_options.h"

int keyring_create(const struct keyring_options *options);
int keyring_edit_add(const struct keyring_options *options);
int keyring_edit_use(const struct keyring_options *options);
int keyring_edit_remove(const struct keyring_options *options);
int keyring_list(const struct keyring_options *options);
int keyring_rotate(const struct keyring_options *options);

/* Says on standard error what a file's result means. `path`: "-" is standard input. */
int keyring_tell_file(const struct keyring_options *options, const char *path,
                      enum keyring_file_result result, const struct crypto_error *error);
