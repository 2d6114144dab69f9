/* proxy/process/keyring_source.h
 *
 * Reads the text of a cluster's keyring from where the configuration says: a keyring file, or a
 * single key in a file or in the environment. It is not parsed here: whoever seals with it does
 * that.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#pragma once

#include "config/model.h"
#include "crypto/secret.h"
#include "proxy/base/status.h"
#include "proxy/process/error.h"

/* `text` is made anew, and the caller's to end. REFUSED, NOMEM or SYS with a sentence that has the
 * place; `text` is then empty. */
MUST_CHECK enum status keyring_source_read(const struct config_gossip *gossip, struct secret *text,
                                           struct process_error *error);

/* The file to watch for changes; NULL: it comes from the environment. */
const char *keyring_source_path(const struct config_gossip *gossip);
