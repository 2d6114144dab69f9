/* config/yaml_tree.h
 *
 * A YAML document as a tree whose nodes know their line and column. Anchors, aliases and merge keys
 * are resolved; duplicate keys are problems; depth, number of nodes after alias expansion, and size
 * are bounded, so a file cannot make the loader run out of anything.
 *
 * Why it exists: it is the only place that knows libyaml, and the only place that sees YAML's
 * oddities (tags, several documents, complex keys), which it refuses.
 *
 * Owner: the memory that the tree was made in. Immutable, except that include.c joins trees.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "config/place.h"
#include "config/problem.h"

struct memory;

enum {
    YAML_DEPTH_MAX = 32,
    YAML_NODES_MAX = 100 * 1000,
    YAML_BYTES_MAX = 1024 * 1024,
};

enum yaml_kind { YAML_SCALAR, YAML_SEQUENCE, YAML_MAPPING };

struct yaml_node;

struct yaml_pair {
    const char *key;
    struct place place; /* of the key */
    const struct yaml_node *value;
};

struct yaml_node {
    enum yaml_kind kind;
    struct place place;
    bool quoted;                    /* scalar: in quotes, so the empty text is meant */
    const char *text;               /* scalar; holds no NUL */
    const struct yaml_node **items; /* sequence */
    struct yaml_pair *pairs;        /* mapping; keys are unique */
    size_t count;                   /* of items or pairs */
    size_t node_count;              /* with everything below it, each alias counted in full */
    unsigned height;                /* levels below it */
};

/* Reads one document. `file` (borrowed by all places: keep it as long as the tree) is its name. An
 * empty document is an empty mapping. NULL after at least one problem; a tree with duplicate keys
 * is returned all the same (the first of them counts), so that the rest of the file is checked too.
 */
const struct yaml_node *yaml_tree_read(struct memory *memory, const char *file, const char *bytes,
                                       size_t len, struct problem_list *problems);

/* The pair of that key in a mapping, or NULL. */
const struct yaml_pair *yaml_tree_find(const struct yaml_node *mapping, const char *key);

/* "a value", "a list", "a group of keys": for sentences about a node of the wrong kind. */
const char *yaml_kind_name(enum yaml_kind kind);
