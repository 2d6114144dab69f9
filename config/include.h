/* config/include.h
 *
 * Reads the main file and the files that it includes, and joins them into one tree.
 *
 * Joining: lists are appended, groups of keys are joined one level down, and what two files both
 * set is a problem. Who includes whom is a tree: a file that is included twice, or by itself, is a
 * problem.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#pragma once

#include "config/problem.h"
#include "config/source.h"
#include "config/yaml_tree.h"

struct memory;

enum {
    INCLUDE_FILES_MAX = 100,
    INCLUDE_DEPTH_MAX = 8,
};

/* The names of the files that were read, the main one first. */
struct include_files {
    const char *names[INCLUDE_FILES_MAX];
    size_t count;
};

/* The joined tree without its `include` keys; NULL after a problem that left nothing to look at. */
const struct yaml_node *include_read(struct memory *memory, const struct source *source,
                                     const char *name, struct include_files *files,
                                     struct problem_list *problems);

/* `name` as seen from the folder of the file `base`: absolute names stay where they are.
 * Without `.` segments and repeated slashes. NULL when out of memory. */
const char *include_resolve(struct memory *memory, const char *base, const char *name);
