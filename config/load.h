/* config/load.h
 *
 * From a file to the model: YAML → tree with places → schema table → model → checks across it.
 * Collects every problem instead of stopping at the first.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#pragma once

#include "config/model.h"
#include "config/problem.h"
#include "config/source.h"

/* Loads the configuration called `name` from `source` (the file system, or a bundle). Returns NULL
 * after adding at least one line to `problems` when anything is wrong. The caller frees the config;
 * it keeps nothing of the source. */
struct config *config_load(const struct source *source, const char *name,
                           struct problem_list *problems) __attribute__((warn_unused_result));
