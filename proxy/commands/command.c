/* proxy/commands/command.c · SPDX-License-Identifier: Apache-2.0 */
#include "proxy/commands/command.h"

#include <openssl/crypto.h>
#include <stdio.h>
#include <string.h>

#include "config/spelling.h"

enum { VERB_WIDTH = 10 };

static const struct command *find(const struct command *commands, const char *verb)
{
    for (const struct command *command = commands; command->verb != NULL; command++) {
        if (strcmp(command->verb, verb) == 0) {
            return command;
        }
    }
    return NULL;
}

static const char *nearest(const struct command *commands, const char *verb)
{
    const char *best = NULL;
    for (const struct command *command = commands; command->verb != NULL; command++) {
        spelling_consider(verb, command->verb, &best);
    }
    return best;
}

int command_dispatch(const struct command *commands, int argc, char **argv)
{
    const struct command *command = find(commands, argv[0]);
    if (command == NULL) {
        const char *meant = nearest(commands, argv[0]);
        (void)fprintf(stderr,
                      "sallyport: there is no command `%s`; expected one of those that "
                      "`sallyport --help` lists",
                      argv[0]);
        if (meant != NULL) {
            (void)fprintf(stderr, "; did you mean `%s`?", meant);
        }
        (void)fprintf(stderr, "\n");
        return COMMAND_BAD_INPUT;
    }
    if (command->run == NULL) {
        (void)fprintf(stderr, "sallyport: `%s` is not available yet\n", command->verb);
        return COMMAND_BAD_INPUT;
    }
    return command->run(argc, argv);
}

int command_help(const struct command *commands, bool is_error)
{
    FILE *out = is_error ? stderr : stdout;
    (void)fprintf(out,
                  "Usage: sallyport COMMAND [OPTIONS]\n\n"
                  "Encrypts every hop of your traffic, and proves it.\n\n"
                  "  sallyport run --to http://127.0.0.1:8065    https on :8443, no file needed\n"
                  "  sallyport run -c FILE                       as the file says\n\n");
    for (const struct command *command = commands; command->verb != NULL; command++) {
        (void)fprintf(out, "  %-*s%s%s\n", VERB_WIDTH, command->verb, command->doc,
                      command->run == NULL ? " (not available yet)" : "");
    }
    (void)fprintf(out, "\n`sallyport COMMAND --help` tells more.\n");
    return is_error ? COMMAND_BAD_INPUT : COMMAND_FINE;
}

int command_version(void)
{
    (void)printf("sallyport %s (%s)\n", SALLYPORT_VERSION, OpenSSL_version(OPENSSL_VERSION));
    return COMMAND_FINE;
}
