/* tests/fuzz/yaml_load_fuzz.c
 *
 * Any bytes as a configuration file: either a model (which is then judged, printed and walked over)
 * or at least one problem. The bytes are a bundle's main file and can include themselves.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include "config/bundle.h"
#include "config/enforcement.h"
#include "config/load.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len);

static void on_file(void *self, enum config_file_kind kind, const char *path,
                    const struct place *place)
{
    size_t *count = self;
    (void)kind;
    (void)place;
    *count += path[0] != '\0' ? 1 : 0;
}

static void use(const struct config *config)
{
    size_t count = 0;
    config_files(config, on_file, &count);
    struct posture *posture = posture_new(config, &(struct enforcement_findings){.now = 0});
    if (posture == NULL) {
        abort();
    }
    json_t *json = posture_to_json(posture);
    if (json == NULL || count == 0) {
        abort();
    }
    json_decref(json);
    posture_free(posture);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
    struct bundle *bundle = bundle_new();
    struct problem_list *problems = problem_list_new();
    if (bundle == NULL || problems == NULL || !bundle_add(bundle, "f", bytes, len) ||
        !bundle_add(bundle, "more.yaml", "log: {level: warn}\n", 19)) {
        problem_list_free(problems);
        bundle_free(bundle);
        return 0;
    }
    struct source source = source_bundle(bundle);
    struct config *config = config_load(&source, "f", problems);
    if ((config == NULL) != (problem_count(problems) > 0)) {
        abort();
    }
    if (config != NULL) {
        use(config);
    }
    for (size_t i = 0; problem_at(problems, i) != NULL; i++) {
        char line[1024];
        problem_format(problem_at(problems, i), line, sizeof(line));
    }
    config_free(config);
    problem_list_free(problems);
    bundle_free(bundle);
    return 0;
}
