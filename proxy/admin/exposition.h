/* proxy/admin/exposition.h
 *
 * Writes Prometheus's text exposition format (version 0.0.4): families of samples, with whatever
 * stands in labels escaped.
 *
 * Why it exists: one label that is not escaped spoils the whole scrape.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#pragma once

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

struct exposition_label {
    const char *name; /* [a-z_]+; ours */
    const char *value;
};

/* The lines that come before a family's samples. `kind` is "counter" or "gauge". */
void exposition_family(FILE *out, const char *name, const char *kind, const char *help);

/* Of one family no two samples may have the same labels. */
void exposition_sample(FILE *out, const char *name, const struct exposition_label *labels,
                       size_t label_count, int64_t value);
