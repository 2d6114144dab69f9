/* proxy/commands/inspection.h
 *
 * A look at the files that the configuration names, before anything starts: can our certificates be
 * read, do their keys fit, what does the policy have to know about them; are authorities,
 * revocation lists, OCSP responses and keyrings what they should be.
 *
 * Why it exists: `run` and `check` must see the same problems and the same facts.
 *
 * Owner: the command.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#pragma once

#include <stdbool.h>

#include "config/enforcement.h"
#include "config/model.h"
#include "config/problem.h"
#include "config/source.h"
#include "proxy/admin/status.h"

struct inspection {
    struct enforcement_facts *facts;
    size_t fact_count;
    struct status_certificate *certificates; /* the same ones; strings are the config's */
    struct enforcement_gossip_facts *gossip;
    size_t gossip_count;
    struct expiry_date
        *dates; /* of the certificates, and of the authorities in files of their own */
    size_t date_count;
    struct memory *memory; /* this and the next are private to inspection.c */
    bool is_short_of_memory;
};

/* Reads every certificate, key, authority, list, response and keyring of the configuration; what is
 * wrong with one is added to `problems` with its place. A key that is only too small is none of
 * them: the facts tell, and policy decides. False: out of memory. */
bool inspection_make(struct inspection *inspection, const struct config *config,
                     const struct source *source, struct problem_list *problems);
void inspection_fini(struct inspection *inspection);
