/* proxy/process/gathering.h
 *
 * How a snapshot's two bundles are filled from the operator's files. Shared by snapshot.c (what is
 * gathered) and snapshot_certificates.c (certificates and their keys); nobody else includes it.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#pragma once

#include "config/bundle.h"
#include "config/model.h"
#include "config/source.h"
#include "proxy/base/status.h"
#include "proxy/process/error.h"

/* The state of one gathering; the first failure is kept and ends it. */
struct gathering {
    const struct config *config;
    struct source source;
    struct bundle *for_workers;
    struct bundle *for_keyholder;
    enum status status;
    struct process_error *error;
};

void gathering_fail(struct gathering *gathering, enum status status, const struct place *place,
                    const char *name, const char *why);

/* Both malloc'ed bytes, or NULL after noting the failure; a secret comes without its last newline.
 */
char *gathering_read_file(struct gathering *gathering, const char *path, const struct place *place,
                          size_t *len);
char *gathering_read_secret(struct gathering *gathering, const struct config_secret *secret,
                            size_t *len);
void gathering_wipe_and_free(char *bytes, size_t len);

void gathering_add(struct gathering *gathering, struct bundle *bundle, const char *name,
                   const void *bytes, size_t len);

/* ---- snapshot_certificates.c ---- */

/* Password, key and chain of each. */
void gathering_add_certificates(struct gathering *gathering);
