/* proxy/process/snapshot.h
 *
 * One configuration as the children get it: two sealed memory files, made from the operator's files
 * once. Workers get the YAML and all that may be seen (chains, CAs, CRLs, OCSP responses); the
 * keyholder gets keys, their passwords and the ticket secret, and nothing else.
 *
 * Why it exists: children have no file system, and must all see the same bytes, also the one that
 * is started again a week later.
 *
 * Owner: the master.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#pragma once

#include <stdbool.h>

#include "config/bundle.h"
#include "config/model.h"
#include "proxy/base/status.h"
#include "proxy/process/error.h"

/* Names in the keyholder's bundle; keys and passwords are followed by the certificate's index. */
#define SNAPSHOT_TICKET_SECRET "ticket-secret"
#define SNAPSHOT_KEY           "key-"
#define SNAPSHOT_PASSWORD      "password-"

enum { SNAPSHOT_NAME_BYTES = 32, SNAPSHOT_TICKET_SECRET_BYTES = 48 };

struct snapshot {
    int worker_file; /* -1: none */
    int key_file;
};

/* Reads every file that the configuration names. `overlay` has files that are not in the file
 * system (NULL: none). REFUSED, NOMEM or SYS with a sentence, and nothing is left behind. */
MUST_CHECK enum status snapshot_open(struct snapshot *snapshot, const struct config *config,
                                     const struct bundle *overlay, struct process_error *error);
void snapshot_close(struct snapshot *snapshot);

/* Wipes what a bundle with secrets holds, then frees it. NULL is fine. */
void snapshot_wipe_bundle(struct bundle *bundle);
