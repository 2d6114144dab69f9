/* config/schema_reference.c: the manual · SPDX-License-Identifier: Apache-2.0
 *
 * Declared in schema_print.h.
 */
#include <string.h>

#include "config/schema.h"
#include "config/schema_print.h"

static const char INTRODUCTION[] =
    "# Configuration reference\n"
    "\n"
    "Printed by `sallyport config reference` from the table that the loader uses.\n"
    "\n"
    "The configuration is one YAML file, `/etc/sallyport/sallyport.yaml` unless `-c` says "
    "otherwise. Check it with\n"
    "`sallyport check -c FILE`: every mistake is shown with its line and column, and nothing is "
    "started.\n"
    "\n"
    "* Every key may be left out unless it says *required*. A key that is not known is an error, "
    "so "
    "is one that is\n"
    "  given twice.\n"
    "* Durations have a unit (`500ms`, `5s`, `10m`, `1h`, `1d`), sizes too (`512B`, `64KiB`, "
    "`100MiB`, `1GiB`), rates\n"
    "  are sizes with `/s`.\n"
    "* Yes and no may be written `yes`, `on`, `true` and `no`, `off`, `false`.\n"
    "* Where several values may stand as a list, one alone needs no brackets.\n"
    "* File names are relative to the folder of the file that they stand in.\n"
    "* Secrets are never in the file, only a reference: `{file: PATH}` or `{env: NAME}`.\n"
    "* Anchors, aliases and merge keys (`<<`) work; top-level keys that start with `x-` are yours "
    "to put anchors in.\n"
    "* *Not available yet* marks what is planned: using it is an error, never silently ignored.\n"
    "\n"
    "For an editor that knows YAML schemas, `sallyport config schema` prints one.\n";

static bool is_section(const struct schema_key *key)
{
    return key->type == SCHEMA_SECTION && key->section != NULL;
}

/* The key's name with what its shape adds: waivers[], NAME. */
static void join_path(const char *path, const struct schema_key *key, char *joined, size_t size)
{
    const char *suffix = key->shape == SCHEMA_LIST    ? "[]"
                         : key->shape == SCHEMA_NAMED ? ".NAME"
                                                      : "";
    (void)snprintf(joined, size, "%s%s%s%s", path, path[0] == '\0' ? "" : ".", key->name, suffix);
}

static void print_type(const struct schema_key *key, FILE *out)
{
    char expected[640];
    schema_expected(key, expected, sizeof(expected));
    bool is_list = key->shape == SCHEMA_LIST || key->type == SCHEMA_CIPHERS;
    if (is_section(key)) {
        (void)fprintf(out, "%s%s%s, see below",
                      key->shape == SCHEMA_LIST    ? "List of groups"
                      : key->shape == SCHEMA_NAMED ? "Groups by name"
                                                   : "Group",
                      key->word != NULL ? ", or " : "", key->word != NULL ? key->word : "");
        return;
    }
    if (key->choice_count > 0) {
        (void)fprintf(out, "One of these words%s", is_list ? ", or a list of them" : "");
        return;
    }
    (void)fprintf(out, "Value: %s%s", expected, is_list ? "; several as a list" : "");
}

static void print_choices(const struct schema_key *key, FILE *out)
{
    for (size_t i = 0; i < key->choice_count; i++) {
        const struct schema_choice *choice = &key->choices[i];
        if (choice->availability == SCHEMA_NEVER) {
            continue;
        }
        bool is_news = choice->availability == SCHEMA_LATER && key->availability == SCHEMA_NOW;
        (void)fprintf(out, "  - `%s`: %s%s\n", choice->word, choice->doc,
                      is_news ? " (*not available yet*)" : "");
    }
}

static void print_key(const struct schema_key *key, FILE *out)
{
    (void)fprintf(out, "- **`%s`**%s%s: %s\n", key->name, key->required ? " (*required*)" : "",
                  key->availability == SCHEMA_LATER ? " (*not available yet*)" : "", key->doc);
    (void)fprintf(out, "  <br>");
    print_type(key, out);
    if (key->fallback != NULL) {
        (void)fprintf(out, ". Default: `%s`", key->fallback);
    }
    (void)fprintf(out, ".\n");
    print_choices(key, out);
}

/* The keys of a section, then the sections in it under headings of their own. */
static void print_section(const struct schema_section *section, const char *path, FILE *out)
{
    (void)fprintf(out, "\n");
    for (size_t i = 0; i < section->key_count; i++) {
        print_key(&section->keys[i], out);
    }
    for (size_t i = 0; i < section->key_count; i++) {
        const struct schema_key *key = &section->keys[i];
        if (!is_section(key)) {
            continue;
        }
        char below[160];
        join_path(path, key, below, sizeof(below));
        (void)fprintf(out, "\n### `%s`\n\n%s%s\n", below, key->doc,
                      key->availability == SCHEMA_LATER ? " *Not available yet.*" : "");
        print_section(key->section, below, out);
    }
}

/* A top-level key that is no group: a chapter of its own all the same, so that it is found. */
static void print_single(const struct schema_key *key, FILE *out)
{
    (void)fprintf(out, "\n");
    print_key(key, out);
}

static const char *shape_note(const struct schema_key *key)
{
    return key->shape == SCHEMA_LIST    ? " A list of groups with these keys:"
           : key->shape == SCHEMA_NAMED ? " A group for each name, with these keys:"
                                        : "";
}

void schema_print_reference(FILE *out)
{
    const struct schema_section *root = schema_root();
    (void)fputs(INTRODUCTION, out);
    for (size_t i = 0; i < root->key_count; i++) {
        const struct schema_key *key = &root->keys[i];
        (void)fprintf(out, "\n## %s\n", key->name);
        if (!is_section(key)) {
            print_single(key, out);
            continue;
        }
        char path[160];
        join_path("", key, path, sizeof(path));
        (void)fprintf(out, "\n%s%s%s\n", key->doc,
                      key->availability == SCHEMA_LATER ? " *Not available yet.*" : "",
                      shape_note(key));
        print_section(key->section, path, out);
    }
}
