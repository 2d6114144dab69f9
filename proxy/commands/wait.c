/* proxy/commands/wait.c
 *
 * sallyport wait: returns when the instance is ready. Exit: 0 ready, 1 not ready within the time,
 * 2 bad input.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "proxy/admin/client.h"
#include "proxy/base/clock.h"
#include "proxy/commands/command.h"
#include "proxy/commands/instance.h"

enum { WAIT_MS_DEFAULT = 30000, POLL_MS = 20, ANSWER_MS = 1000 };

static bool is_ready(const char *path)
{
    char *answer = NULL;
    if (admin_ask(path, "status", ANSWER_MS, &answer, NULL) != STATUS_OK) {
        return false;
    }
    json_t *status = json_loads(answer, 0, NULL);
    bool ready = json_is_true(json_object_get(status, "ready"));
    json_decref(status);
    free(answer);
    return ready;
}

int command_wait(int argc, char **argv)
{
    struct instance_options options;
    char path[INSTANCE_PATH_BYTES];
    if (!instance_options_read(&options, argc, argv)) {
        return COMMAND_BAD_INPUT;
    }
    if (options.is_help) {
        instance_options_help("wait", "Waits until the instance is ready (30 seconds if no "
                                      "--timeout is given). Exit status: 0 ready, 1 not ready "
                                      "within the time, 2 bad input.");
        return COMMAND_FINE;
    }
    if (!instance_find(&options, path)) {
        return COMMAND_BAD_INPUT;
    }
    long wait_ms = options.timeout_ms < 0 ? WAIT_MS_DEFAULT : options.timeout_ms;
    uint64_t until_us = clock_monotonic_us() + (uint64_t)wait_ms * 1000U;
    while (!is_ready(path)) {
        if (clock_monotonic_us() >= until_us) {
            (void)fprintf(stderr, "sallyport: the instance at unix:%s is not ready\n", path);
            return COMMAND_REFUSED;
        }
        (void)usleep(POLL_MS * 1000);
    }
    return COMMAND_FINE;
}
