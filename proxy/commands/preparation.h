/* proxy/commands/preparation.h
 *
 * Everything between the command line and a start: the configuration is loaded, its certificates
 * and authorities are looked at, its hops are judged.
 *
 * Why it exists: `run` does it and goes on; `check` does it and stops.
 *
 * Owner: the command.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#pragma once

#include <stdio.h>

#include "config/bundle.h"
#include "config/enforcement.h"
#include "config/problem.h"
#include "proxy/commands/choice.h"
#include "proxy/commands/command.h"
#include "proxy/commands/inspection.h"
#include "proxy/commands/instance.h"
#include "proxy/commands/local_certificate.h"

struct preparation {
    const struct choice *choice;
    FILE *complaints;           /* where mistakes are told */
    const struct bundle *yaml;  /* the YAML files, if they are not to be read anew; borrowed */
    struct arguments arguments; /* the choice's, completed */
    char admin[INSTANCE_PATH_BYTES];
    struct local_ca_files local;
    bool has_local;
    struct bundle *overlay; /* what is not to be read from the file system (again) */
    struct problem_list *problems;
    struct config *config;
    struct inspection inspection;
    struct posture *posture;
};

/* Prepares what was chosen; what is wrong is told on standard error. A rehearsal writes nothing to
 * the file system: a missing local certificate is made in memory alone. FINE: config, inspection
 * and posture are there, and violations are the caller's matter. BAD_INPUT or SYSTEM otherwise;
 * preparation_fini is due in any case. */
enum command_exit preparation_make(struct preparation *preparation, struct choice *choice,
                                   bool is_rehearsal);

/* The same again for a choice that was settled, with `yaml` instead of the YAML files (NULL: they
 * are read), and mistakes told on `complaints`. */
enum command_exit preparation_repeat(struct preparation *preparation, struct choice *choice,
                                     const struct bundle *yaml, FILE *complaints);
void preparation_fini(struct preparation *preparation);
