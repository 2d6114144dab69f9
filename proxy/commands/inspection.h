/* proxy/commands/inspection.h
 *
 * A look at our own certificates before anything starts: can each be read, does its key fit, what
 * does the policy have to know about it.
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
};

/* Reads every certificate and key of the configuration; what is wrong with one is added to
 * `problems` with its place. False: out of memory. */
bool inspection_make(struct inspection *inspection, const struct config *config,
                     const struct source *source, struct problem_list *problems);
void inspection_fini(struct inspection *inspection);
