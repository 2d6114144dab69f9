/* proxy/process/handed_config.c · SPDX-License-Identifier: Apache-2.0 */
#include "proxy/process/handed_config.h"

#include <stdio.h>

#include "config/load.h"
#include "proxy/process/memory_file.h"

static bool say(char *sentence, const char *text)
{
    (void)snprintf(sentence, HANDED_CONFIG_SENTENCE_BYTES, "%s", text);
    return false;
}

static bool load(struct handed_config *handed, slice name, char *sentence)
{
    char file[4096];
    (void)snprintf(file, sizeof(file), "%.*s", SLICE_FORMAT(name));
    struct source source = source_bundle(handed->bundle);
    struct problem_list *problems = problem_list_new();
    if (problems == NULL) {
        return say(sentence, "out of memory");
    }
    handed->config = config_load(&source, file, problems);
    const struct problem *first = problem_at(problems, 0);
    (void)say(sentence, "the configuration cannot be loaded");
    if (handed->config == NULL && first != NULL) {
        problem_format(first, sentence, HANDED_CONFIG_SENTENCE_BYTES);
    }
    problem_list_free(problems);
    return handed->config != NULL;
}

bool handed_config_take(struct handed_config *handed, int descriptor, slice name,
                        char sentence[HANDED_CONFIG_SENTENCE_BYTES])
{
    struct memory_file file;
    if (memory_file_map(&file, descriptor, BUNDLE_BYTES_MAX) != STATUS_OK) {
        return say(sentence, "the master's configuration cannot be read");
    }
    handed->bundle = bundle_parse(file.bytes, file.len);
    memory_file_unmap(&file);
    if (handed->bundle == NULL) {
        return say(sentence, "the master's configuration cannot be read");
    }
    return load(handed, name, sentence);
}

void handed_config_fini(struct handed_config *handed)
{
    config_free(handed->config);
    bundle_free(handed->bundle);
    *handed = (struct handed_config){.bundle = NULL};
}
