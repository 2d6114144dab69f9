/* proxy/commands/cert_show.h
 *
 * Prints what is in a certificate file, for people or as JSON.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#pragma once

#include <stdbool.h>

struct crypto_error;

/* `password_file` may be NULL: none. False with a sentence: nothing was printed. */
bool cert_show(const char *path, const char *password_file, bool is_json,
               struct crypto_error *error);
