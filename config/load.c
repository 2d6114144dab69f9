/* config/load.c · SPDX-License-Identifier: Apache-2.0 */
#include "config/load.h"

#include <string.h>

#include "config/include.h"
#include "config/memory.h"
#include "config/read.h"
#include "config/validate.h"
#include "config/yaml_tree.h"

/* The tree lives in the config's memory: places borrow their file names from it. */
static struct config *config_new(const char *name)
{
    struct memory *memory = memory_new();
    struct config *config = memory == NULL ? NULL : memory_take(memory, sizeof(*config));
    const char *file = config == NULL ? NULL : memory_copy_text(memory, name);
    if (file == NULL) {
        memory_free(memory);
        return NULL;
    }
    *config = (struct config){.file = file, .memory = memory};
    return config;
}

static void keep_file_names(struct config *config, const struct include_files *files)
{
    config->files = memory_take_array(config->memory, files->count, sizeof(*config->files));
    for (size_t i = 0; i < files->count && config->files != NULL; i++) {
        config->files[i] = files->names[i];
        config->file_count = i + 1;
    }
}

/* Reads and checks; what is wrong is in `problems`. */
static void load(struct config *config, const struct source *source, struct problem_list *problems)
{
    struct include_files files;
    size_t before = problem_count(problems);
    const struct yaml_node *root =
        include_read(config->memory, source, config->file, &files, problems);
    if (root == NULL) {
        return;
    }
    keep_file_names(config, &files);
    read_config(config, root, source, problems);
    validate_config(config, problem_count(problems) == before, problems);
}

struct config *config_load(const struct source *source, const char *name,
                           struct problem_list *problems)
{
    size_t before = problem_count(problems);
    struct config *config = config_new(name);
    if (config == NULL) {
        problem_add(problems, NULL, "out of memory while reading %s", name);
        return NULL;
    }
    load(config, source, problems);
    if (memory_failed(config->memory)) {
        problem_add(problems, NULL, "out of memory while reading %s", name);
    }
    if (problem_count(problems) != before) {
        config_free(config);
        return NULL;
    }
    return config;
}
