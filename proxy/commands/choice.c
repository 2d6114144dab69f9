/* proxy/commands/choice.c · SPDX-License-Identifier: Apache-2.0 */
#include "proxy/commands/choice.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "proxy/commands/instance.h"

enum { OPTION_BYTES = 32, OPTION_WIDTH = 20 };

static bool read_option(struct choice *choice, const char *option, const char *value)
{
    enum argument argument = argument_find(option);
    bool is_file = strcmp(option, "-c") == 0 || strcmp(option, "--config") == 0;
    if (argument == ARGUMENT_COUNT && !is_file) {
        (void)fprintf(stderr, "sallyport %s: there is no option `%s`; see --help\n", choice->verb,
                      option);
        return false;
    }
    if (value == NULL) {
        (void)fprintf(stderr, "sallyport %s: %s takes a value\n", choice->verb, option);
        return false;
    }
    *(is_file ? &choice->file : &choice->arguments.values[argument]) = value;
    return true;
}

/* True if it is one of the options without a value. */
static bool read_flag(struct choice *choice, const char *word)
{
    if (strcmp(word, "--help") == 0 || strcmp(word, "-h") == 0) {
        choice->is_help = true;
        return true;
    }
    if (choice->takes_json && strcmp(word, "--json") == 0) {
        choice->is_json = true;
        return true;
    }
    return false;
}

/* Options with a value come as `--to URL` or `--to=URL`. */
bool choice_read(struct choice *choice, int argc, char **argv)
{
    choice->verb = argv[0];
    for (int i = 1; i < argc && !choice->is_help; i++) {
        if (read_flag(choice, argv[i])) {
            continue;
        }
        const char *equals = strncmp(argv[i], "--", 2) == 0 ? strchr(argv[i], '=') : NULL;
        if (equals != NULL) {
            char option[OPTION_BYTES];
            (void)snprintf(option, sizeof(option), "%.*s", (int)(equals - argv[i]), argv[i]);
            if (!read_option(choice, option, equals + 1)) {
                return false;
            }
            continue;
        }
        if (!read_option(choice, argv[i], i + 1 < argc ? argv[i + 1] : NULL)) {
            return false;
        }
        i++;
    }
    return true;
}

/* An option that no file will hear of is a mistake, not a wish to be dropped silently. */
static bool has_stray_argument(const struct choice *choice)
{
    for (enum argument argument = 0; argument < ARGUMENT_COUNT; argument++) {
        if (choice->arguments.values[argument] != NULL &&
            !choice->arguments.from_environment[argument]) {
            (void)fprintf(stderr, "sallyport %s: %s needs --to, and excludes -c\n", choice->verb,
                          argument_option(argument));
            return true;
        }
    }
    return false;
}

bool choice_settle(struct choice *choice)
{
    if (choice->file != NULL && choice->arguments.values[ARGUMENT_TO] != NULL) {
        (void)fprintf(stderr, "sallyport %s: -c and --to exclude each other\n", choice->verb);
        return false;
    }
    if (choice->file == NULL) {
        arguments_from_environment(&choice->arguments);
    }
    if (choice->file == NULL && arguments_are_enough(&choice->arguments)) {
        return true;
    }
    if (has_stray_argument(choice)) {
        return false;
    }
    if (choice->file == NULL && access(INSTANCE_CONFIG_FILE, F_OK) != 0) {
        (void)fprintf(stderr,
                      "sallyport %s: no configuration: %s does not exist; expected --to URL or the "
                      "variable SALLYPORT_TO (where requests go), or -c FILE\n",
                      choice->verb, INSTANCE_CONFIG_FILE);
        return false;
    }
    if (choice->file == NULL) {
        choice->file = INSTANCE_CONFIG_FILE;
    }
    return true;
}

void choice_print_options(void)
{
    (void)printf("  %-*s the configuration file; default %s\n", OPTION_WIDTH, "-c FILE",
                 INSTANCE_CONFIG_FILE);
    for (enum argument argument = 0; argument < ARGUMENT_COUNT; argument++) {
        (void)printf("  %-*s %s (or %s)\n", OPTION_WIDTH, argument_option(argument),
                     argument_doc(argument), argument_variable(argument));
    }
}
