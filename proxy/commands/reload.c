/* proxy/commands/reload.c
 *
 * sallyport reload: the running instance reads its configuration and its files again, and this
 * waits for the outcome. Exit: 0 taken, 1 refused by policy, 2 bad input (nothing has changed), 3 a
 * system failure (likewise), or nobody answers.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "proxy/admin/client.h"
#include "proxy/commands/answer.h"
#include "proxy/commands/command.h"
#include "proxy/commands/instance.h"

enum { ANSWER_MS = 60000 };

static int tell(const json_t *outcome)
{
    if (json_is_true(json_object_get(outcome, "ok"))) {
        (void)printf("generation %lld is in use, after %lld ms\n",
                     answer_number(outcome, "generation"), answer_number(outcome, "ms"));
        return COMMAND_FINE;
    }
    const char *complaints = answer_text(outcome, "error");
    size_t len = strlen(complaints);
    (void)fprintf(stderr, "%s%s", complaints, len > 0 && complaints[len - 1] == '\n' ? "" : "\n");
    (void)fprintf(stderr, "sallyport reload: nothing has changed\n");
    long long status = answer_number(outcome, "exit");
    return status > 0 && status <= COMMAND_SYSTEM ? (int)status : COMMAND_SYSTEM;
}

int command_reload(int argc, char **argv)
{
    struct instance_options options;
    char path[INSTANCE_PATH_BYTES];
    if (!instance_options_read(&options, argc, argv)) {
        return COMMAND_BAD_INPUT;
    }
    if (options.is_help) {
        instance_options_help(
            "reload", "Lets the running instance take its changed configuration, and waits until "
                      "it has. What is wrong, all of it, goes to standard error, and then nothing "
                      "has changed. Exit status: 0 taken, 1 refused by policy, 2 bad input, 3 a "
                      "system failure, or nobody answers.");
        return COMMAND_FINE;
    }
    if (!instance_find(&options, path)) {
        (void)fprintf(stderr, "sallyport reload: nothing has changed\n");
        return COMMAND_BAD_INPUT;
    }
    char *answer = NULL;
    int timeout_ms = options.timeout_ms < 0 ? ANSWER_MS : (int)options.timeout_ms;
    if (admin_ask(path, "reload", timeout_ms, &answer, NULL) != STATUS_OK) {
        instance_tell_silence(path);
        return COMMAND_SYSTEM;
    }
    json_t *outcome = json_loads(answer, 0, NULL);
    if (options.is_json) {
        (void)printf("%s\n", answer);
    }
    int status = tell(outcome);
    json_decref(outcome);
    free(answer);
    return status;
}
