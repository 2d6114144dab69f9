/* config/include.c · SPDX-License-Identifier: Apache-2.0 */
#include "config/include.h"

#include <stdlib.h>
#include <string.h>

#include "config/memory.h"

struct including {
    struct memory *memory;
    const struct source *source;
    struct include_files *files;
    struct problem_list *problems;
};

/* The file being read and those that led to it. */
struct chain {
    const char *name;
    const struct chain *parent;
    unsigned depth;
};

static const struct yaml_node *read_file(struct including *including, const struct chain *chain,
                                         const struct place *from);

/* Takes out `.` segments and repeated slashes, so that two spellings of one name are seen to be
 * one.
 * `..` stays: what it means depends on symbolic links. */
static void simplify(char *path)
{
    char *out = path;
    const char *at = path;
    while (*at != '\0') {
        bool starts_segment = out == path || out[-1] == '/';
        if (starts_segment && at[0] == '.' && at[1] == '/') {
            at += 1 + strspn(at + 1, "/");
            continue;
        }
        if (at[0] == '/' && out > path && out[-1] == '/') {
            at++;
            continue;
        }
        *out++ = *at++;
    }
    *out = '\0';
}

const char *include_resolve(struct memory *memory, const char *base, const char *name)
{
    const char *slash = strrchr(base, '/');
    char *path = name[0] == '/' || slash == NULL
                     ? memory_copy_text(memory, name)
                     : memory_format(memory, "%.*s/%s", (int)(slash - base), base, name);
    if (path != NULL) {
        simplify(path);
    }
    return path;
}

static const char *status_text(enum source_status status)
{
    switch (status) {
    case SOURCE_MISSING:
        return "does not exist";
    case SOURCE_TOO_LARGE:
        return "is larger than 1 MiB";
    case SOURCE_NOMEM:
        return "does not fit into memory";
    case SOURCE_OK:
    case SOURCE_UNREADABLE:
        break;
    }
    return "cannot be read";
}

static void out_of_memory(struct including *including)
{
    problem_add(including->problems, NULL, "out of memory while reading the configuration");
}

/* --- joining -----------------------------------------------------------------------------------
 */

static const struct yaml_node *append_items(struct including *including,
                                            const struct yaml_node *first,
                                            const struct yaml_node *second)
{
    struct yaml_node *joined = memory_take(including->memory, sizeof(*joined));
    const struct yaml_node **items = memory_take_array(
        including->memory, first->count + second->count, sizeof(struct yaml_node *));
    if (joined == NULL || items == NULL) {
        out_of_memory(including);
        return first;
    }
    for (size_t i = 0; i < first->count; i++) {
        items[i] = first->items[i];
    }
    for (size_t i = 0; i < second->count; i++) {
        items[first->count + i] = second->items[i];
    }
    *joined = *first;
    joined->items = items;
    joined->count = first->count + second->count;
    return joined;
}

static const struct yaml_node *join(struct including *including, const struct yaml_node *first,
                                    const struct yaml_node *second, unsigned levels);

/* Both files have this key. */
static void join_pair(struct including *including, struct yaml_pair *first,
                      const struct yaml_pair *second, unsigned levels)
{
    enum yaml_kind kind = first->value->kind;
    if (kind == second->value->kind && kind == YAML_SEQUENCE) {
        first->value = append_items(including, first->value, second->value);
        return;
    }
    if (kind == second->value->kind && kind == YAML_MAPPING && levels > 0) {
        first->value = join(including, first->value, second->value, levels - 1);
        return;
    }
    problem_add(including->problems, &second->place,
                "'%s' is given twice; expected once, the first is at %s:%u", second->key,
                first->place.file, first->place.line);
}

static struct yaml_pair *find_pair(struct yaml_node *node, const char *key)
{
    for (size_t i = 0; i < node->count; i++) {
        if (strcmp(node->pairs[i].key, key) == 0) {
            return &node->pairs[i];
        }
    }
    return NULL;
}

static const struct yaml_node *join(struct including *including, const struct yaml_node *first,
                                    const struct yaml_node *second, unsigned levels)
{
    struct yaml_node *joined = memory_take(including->memory, sizeof(*joined));
    struct yaml_pair *pairs =
        memory_take_array(including->memory, first->count + second->count, sizeof(*pairs));
    if (joined == NULL || pairs == NULL) {
        out_of_memory(including);
        return first;
    }
    *joined = *first;
    joined->pairs = pairs;
    for (size_t i = 0; i < first->count; i++) {
        pairs[i] = first->pairs[i];
    }
    for (size_t i = 0; i < second->count; i++) {
        struct yaml_pair *known = find_pair(joined, second->pairs[i].key);
        if (known != NULL) {
            join_pair(including, known, &second->pairs[i], levels);
            continue;
        }
        pairs[joined->count++] = second->pairs[i];
    }
    return joined;
}

/* --- reading -----------------------------------------------------------------------------------
 */

static const struct yaml_node *without_include(struct including *including,
                                               const struct yaml_node *root)
{
    struct yaml_node *rest = memory_take(including->memory, sizeof(*rest));
    struct yaml_pair *pairs = memory_take_array(including->memory, root->count, sizeof(*pairs));
    if (rest == NULL || pairs == NULL) {
        out_of_memory(including);
        return root;
    }
    *rest = *root;
    rest->pairs = pairs;
    rest->count = 0;
    for (size_t i = 0; i < root->count; i++) {
        if (strcmp(root->pairs[i].key, "include") != 0) {
            pairs[rest->count++] = root->pairs[i];
        }
    }
    return rest;
}

static bool is_known(const struct including *including, const char *name)
{
    for (size_t i = 0; i < including->files->count; i++) {
        if (strcmp(including->files->names[i], name) == 0) {
            return true;
        }
    }
    return false;
}

static const struct yaml_node *include_one(struct including *including, const struct chain *parent,
                                           const struct place *place, const char *name,
                                           const struct yaml_node *root)
{
    for (const struct chain *link = parent; link != NULL; link = link->parent) {
        if (strcmp(link->name, name) == 0) {
            problem_add(including->problems, place,
                        "includes '%s', which includes this file; "
                        "expected no circle",
                        name);
            return root;
        }
    }
    if (is_known(including, name)) {
        problem_add(including->problems, place, "'%s' is included already; expected once", name);
        return root;
    }
    const char *kept = memory_copy_text(including->memory, name);
    if (kept == NULL) {
        out_of_memory(including);
        return root;
    }
    struct chain chain = {.name = kept, .parent = parent, .depth = parent->depth + 1};
    const struct yaml_node *child = read_file(including, &chain, place);
    return child == NULL ? root : join(including, root, child, 1);
}

static const struct yaml_node *include_pattern(struct including *including,
                                               const struct chain *parent,
                                               const struct yaml_node *pattern,
                                               const struct yaml_node *root)
{
    if (pattern->kind != YAML_SCALAR || pattern->text[0] == '\0') {
        problem_add(including->problems, &pattern->place,
                    "not a file name; expected a name or a pattern such as conf.d/*.yaml");
        return root;
    }
    const char *resolved = include_resolve(including->memory, parent->name, pattern->text);
    struct source_names names;
    enum source_status status =
        resolved == NULL ? SOURCE_NOMEM : source_glob(including->source, resolved, &names);
    if (status != SOURCE_OK) {
        problem_add(including->problems, &pattern->place, "'%s' %s; expected a file or a pattern",
                    pattern->text, status_text(status));
        return root;
    }
    if (names.count == 0 && strpbrk(pattern->text, "*?[") == NULL) {
        problem_add(including->problems, &pattern->place,
                    "'%s' does not exist; expected a file or a pattern", pattern->text);
    }
    for (size_t i = 0; i < names.count; i++) {
        root = include_one(including, parent, &pattern->place, names.names[i], root);
    }
    source_names_free(&names);
    return root;
}

static const struct yaml_node *include_all(struct including *including, const struct chain *chain,
                                           const struct yaml_node *root)
{
    const struct yaml_pair *include = yaml_tree_find(root, "include");
    if (include == NULL) {
        return root;
    }
    const struct yaml_node *joined = without_include(including, root);
    if (include->value->kind != YAML_SEQUENCE) {
        return include_pattern(including, chain, include->value, joined);
    }
    for (size_t i = 0; i < include->value->count; i++) {
        joined = include_pattern(including, chain, include->value->items[i], joined);
    }
    return joined;
}

static const struct yaml_node *read_file(struct including *including, const struct chain *chain,
                                         const struct place *from)
{
    struct include_files *files = including->files;
    if (files->count == INCLUDE_FILES_MAX || chain->depth > INCLUDE_DEPTH_MAX) {
        problem_add(including->problems, from,
                    "too many files; expected at most 100, included at most 8 levels deep");
        return NULL;
    }
    files->names[files->count++] = chain->name;
    char *bytes = NULL;
    size_t len = 0;
    enum source_status status =
        source_read(including->source, chain->name, YAML_BYTES_MAX, &bytes, &len);
    if (status != SOURCE_OK) {
        problem_add(including->problems, from, "'%s' %s; expected a YAML file", chain->name,
                    status_text(status));
        return NULL;
    }
    const struct yaml_node *root =
        yaml_tree_read(including->memory, chain->name, bytes, len, including->problems);
    free(bytes);
    if (root == NULL) {
        return NULL;
    }
    if (root->kind != YAML_MAPPING) {
        problem_add(including->problems, &root->place, "%s; expected keys such as 'listeners:'",
                    yaml_kind_name(root->kind));
        return NULL;
    }
    return include_all(including, chain, root);
}

const struct yaml_node *include_read(struct memory *memory, const struct source *source,
                                     const char *name, struct include_files *files,
                                     struct problem_list *problems)
{
    struct including including = {
        .memory = memory, .source = source, .files = files, .problems = problems};
    *files = (struct include_files){0};
    const char *kept = memory_copy_text(memory, name);
    if (kept == NULL) {
        out_of_memory(&including);
        return NULL;
    }
    struct chain chain = {.name = kept, .depth = 1};
    return read_file(&including, &chain, &(struct place){.file = kept});
}
