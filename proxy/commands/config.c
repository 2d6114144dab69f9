/* proxy/commands/config.c
 *
 * sallyport config reference | schema: the vocabulary of the configuration, for people and for
 * editors, from the table that the loader uses.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include <stdio.h>
#include <string.h>

#include "config/schema_print.h"
#include "config/spelling.h"
#include "proxy/commands/command.h"

static int print_help(FILE *out)
{
    (void)fprintf(out, "Usage: sallyport config reference    the manual, in Markdown\n"
                       "       sallyport config schema       a JSON Schema for a YAML editor\n");
    return out == stderr ? COMMAND_BAD_INPUT : COMMAND_FINE;
}

static int finish(bool is_printed)
{
    if (!is_printed || fflush(stdout) != 0) {
        (void)fprintf(stderr, "sallyport config: the result cannot be written\n");
        return COMMAND_SYSTEM;
    }
    return COMMAND_FINE;
}

static int print_reference(void)
{
    schema_print_reference(stdout);
    return finish(ferror(stdout) == 0);
}

static int print_schema(void)
{
    json_t *schema = schema_to_json();
    bool is_printed =
        schema != NULL && json_dumpf(schema, stdout, JSON_INDENT(2)) == 0 && printf("\n") == 1;
    json_decref(schema);
    return finish(is_printed);
}

int command_config(int argc, char **argv)
{
    const char *what = argc > 1 ? argv[1] : NULL;
    if (what == NULL) {
        return print_help(stderr);
    }
    if (strcmp(what, "--help") == 0 || strcmp(what, "-h") == 0) {
        return print_help(stdout);
    }
    if (argc == 2 && strcmp(what, "reference") == 0) {
        return print_reference();
    }
    if (argc == 2 && strcmp(what, "schema") == 0) {
        return print_schema();
    }
    const char *meant = NULL;
    spelling_consider(what, "reference", &meant);
    spelling_consider(what, "schema", &meant);
    (void)fprintf(stderr,
                  "sallyport config: `%s` is not understood; expected `reference` or "
                  "`schema`%s%s%s\n",
                  argc > 2 ? argv[2] : what, meant != NULL && argc == 2 ? "; did you mean `" : "",
                  meant != NULL && argc == 2 ? meant : "", meant != NULL && argc == 2 ? "`?" : "");
    return COMMAND_BAD_INPUT;
}
