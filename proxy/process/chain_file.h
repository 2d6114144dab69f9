/* proxy/process/chain_file.h
 *
 * The certificates of a file that also holds the private key (PEM, or PKCS#12), without the key: a
 * worker may have no more than that.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#pragma once

#include <stddef.h>

#include "config/bundle.h"
#include "proxy/process/error.h"

/* The chain as PEM, leaf first, malloc'ed. `password` may be NULL: none. NULL with a sentence. */
char *chain_file_without_key(const char *bytes, size_t len, const struct bundle_entry *password,
                             size_t *pem_len, struct process_error *error);
