/* proxy/commands/ending.c · SPDX-License-Identifier: Apache-2.0 */
#include "proxy/commands/ending.h"

#include <stdio.h>
#include <stdlib.h>

#include "proxy/admin/client.h"
#include "proxy/commands/command.h"
#include "proxy/commands/instance.h"

enum { ANSWER_MS = 5000 };

int ending_ask(int argc, char **argv, const char *what)
{
    struct instance_options options;
    char path[INSTANCE_PATH_BYTES];
    if (!instance_options_read(&options, argc, argv)) {
        return COMMAND_BAD_INPUT;
    }
    if (options.is_help) {
        instance_options_help(argv[0], what);
        return COMMAND_FINE;
    }
    if (!instance_find(&options, path)) {
        return COMMAND_BAD_INPUT;
    }
    char *answer = NULL;
    int conn = -1;
    if (admin_ask(path, argv[0], ANSWER_MS, &answer, &conn) != STATUS_OK) {
        instance_tell_silence(path);
        return COMMAND_SYSTEM;
    }
    free(answer);
    if (!admin_wait_for_end(conn, (int)options.timeout_ms)) {
        (void)fprintf(stderr, "sallyport: the instance at unix:%s has not ended yet\n", path);
        return COMMAND_REFUSED;
    }
    return COMMAND_FINE;
}
