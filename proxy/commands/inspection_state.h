/* proxy/commands/inspection_state.h
 *
 * What the parts of an inspection share: inspection.c (our own certificates, tickets and keyrings)
 * and inspection_trust.c (whom we believe: authorities and lists). Nobody else includes it.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#pragma once

#include "crypto/bytes.h"
#include "proxy/commands/inspection.h"

/* ---- inspection.c ---- */

/* A file's bytes; freed with inspection_file_fini, which wipes. */
struct inspection_file {
    char *bytes;
    size_t len;
};

/* One that workers get too. False: a problem was added. */
bool inspection_public_file_read(struct inspection_file *file, const struct source *source,
                                 enum config_file_kind kind, const struct config_file *reference,
                                 size_t limit, struct problem_list *problems);
struct bytes inspection_file_bytes(const struct inspection_file *file);

/* Harmless when repeated. */
void inspection_file_fini(struct inspection_file *file);

/* Names and files are the config's; the subject is copied. Without memory the date is left out,
 * which inspection_make reports. */
void inspection_add_date(struct inspection *inspection, const struct expiry_date *date);

/* ---- inspection_trust.c ---- */

/* Reads the authorities and revocation lists of all listeners and backends. */
void inspection_look_at_trust(struct inspection *inspection, const struct config *config,
                              const struct source *source, struct problem_list *problems);
