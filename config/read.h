/* config/read.h
 *
 * Tree → model, by walking the schema table: defaults, units, ranges, words, references. Rules that
 * concern one key are checked here; rules across keys in validate.h.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#pragma once

#include "config/model.h"
#include "config/problem.h"
#include "config/source.h"
#include "config/yaml_tree.h"

/* Fills `config` (zeroed, with its memory and file set) from `root`. What is wrong goes to
 * `problems`; the rest is filled all the same. */
void read_config(struct config *config, const struct yaml_node *root, const struct source *source,
                 struct problem_list *problems);
