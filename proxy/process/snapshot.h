/* proxy/process/snapshot.h
 *
 * One configuration as the children get it: two sealed memory files, made from the operator's files
 * once. Workers get the YAML and all that may be seen (chains, CAs, CRLs, OCSP responses, and under
 * RELAY_SYSTEM_CA the system's authorities if a backend asks for them); the keyholder gets keys,
 * their passwords and the ticket secret, and nothing else.
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

/* The file of `ca: system`: that of the variable SSL_CERT_FILE, as with every program that uses
 * OpenSSL, else the system's bundle. NULL: there is none. */
const char *snapshot_system_ca_path(void);

/* What is wrong then. */
#define SNAPSHOT_NO_SYSTEM_CA                                                                      \
    "this system has no bundle of authorities; expected the package ca-certificates, or `ca: "     \
    "FILE`"

#define SNAPSHOT_SHORT_SECRET                                                                      \
    "the ticket secret is too short; expected at least 32 bytes, such as `openssl rand -hex 32` "  \
    "prints"

enum { SNAPSHOT_NAME_BYTES = 32, SNAPSHOT_TICKET_SECRET_BYTES = 48 };

struct snapshot {
    int worker_file; /* -1: none */
    int key_file;
};

/* Reads every file that the configuration names, and refuses a public one that holds a private key.
 * `overlay` has files that are not in the file system (NULL: none). The ticket secret is that of
 * `former`, so that sessions can be resumed across a reload (NULL: a new one). REFUSED, NOMEM or
 * SYS with a sentence, and nothing is left behind. */
MUST_CHECK enum status snapshot_open(struct snapshot *snapshot, const struct config *config,
                                     const struct bundle *overlay, const struct snapshot *former,
                                     struct process_error *error);

/* Whether both hold the same bytes: no file has changed. False when that cannot be found out. */
bool snapshot_is_same(const struct snapshot *left, const struct snapshot *right);

/* Its ticket secret alone, sealed: all that another program needs of it, as `key_file` of a
 * `former` snapshot. -1: none, or errno. */
int snapshot_ticket_secret(const struct snapshot *snapshot);

/* The YAML files of a configuration, as they were read for its snapshot. NULL: no memory. */
struct bundle *snapshot_yaml(const struct snapshot *snapshot, const struct config *config);
void snapshot_close(struct snapshot *snapshot);

/* Of a former configuration only the keys may still be needed. */
void snapshot_close_public(struct snapshot *snapshot);

/* Wipes what a bundle with secrets holds, then frees it. NULL is fine. */
void snapshot_wipe_bundle(struct bundle *bundle);
