/* proxy/commands/keyring_edit.c
 *
 * sallyport keyring create, add, use and remove: one change of one file, and that the instance has
 * loaded it.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "proxy/commands/command.h"
#include "proxy/commands/instance.h"
#include "proxy/commands/keyring_instance.h"
#include "proxy/commands/keyring_verbs.h"

/* One change, and what it is about. */
struct edit {
    const struct keyring_options *options;
    const struct keyring *source; /* of the key to add */
    char id[KEYRING_ID_BYTES];    /* empty: no such key */
    enum keyring_change (*apply)(struct edit *edit, struct keyring *ring);
    const char *done;    /* behind the id */
    const char *already; /* the same, when nothing had to change */
};

int keyring_tell_file(const struct keyring_options *options, const char *path,
                      enum keyring_file_result result, const struct crypto_error *error)
{
    const char *name = strcmp(path, "-") == 0 ? "standard input" : path;
    if (result == KEYRING_FILE_EXISTS) {
        (void)fprintf(stderr,
                      "sallyport keyring %s: %s exists already; expected a new file (a key is "
                      "added with `sallyport keyring add`)\n",
                      options->verb, name);
        return COMMAND_BAD_INPUT;
    }
    (void)fprintf(stderr, "sallyport keyring %s: %s: %s\n", options->verb, name, error->text);
    return result == KEYRING_FILE_MALFORMED ? COMMAND_BAD_INPUT : COMMAND_SYSTEM;
}

/* ---- where a key comes from ---- */

static bool is_key(const char *word)
{
    struct secret key;
    bool is_one = keyring_key_from_text(&key, (struct bytes){(const uint8_t *)word, strlen(word)});
    secret_fini(&key);
    return is_one;
}

/* NULL: told, with the exit status. */
static struct keyring *read_source(const struct keyring_options *options, const char *path,
                                   int *exit_status)
{
    struct keyring *ring = NULL;
    struct crypto_error error = {{0}};
    if (is_key(path)) {
        (void)fprintf(stderr,
                      "sallyport keyring %s: a key on the command line is seen by every user of "
                      "this machine; expected a file that it is in, or - for standard input\n",
                      options->verb);
        *exit_status = COMMAND_BAD_INPUT;
        return NULL;
    }
    enum keyring_file_result result =
        strcmp(path, "-") == 0 ? keyring_file_read_descriptor(STDIN_FILENO, &ring, &error)
                               : keyring_file_read(path, &ring, &error);
    if (result != KEYRING_FILE_FINE) {
        *exit_status = keyring_tell_file(options, path, result, &error);
    }
    return ring;
}

static struct keyring *make_source(const struct keyring_options *options, int *exit_status)
{
    struct keyring *ring = keyring_new_random(options->bits);
    if (ring == NULL) {
        (void)fprintf(stderr, "sallyport keyring %s: no key can be made: no randomness or memory\n",
                      options->verb);
        *exit_status = COMMAND_SYSTEM;
    }
    return ring;
}

/* ---- one change ---- */

static int tell_refusal(const struct edit *edit, enum keyring_change change)
{
    const struct keyring_options *options = edit->options;
    const char *file = options->words[0];
    /* The word is not repeated: it may be a key by mistake. */
    (void)fprintf(stderr, "sallyport keyring %s: ", options->verb);
    switch (change) {
    case KEYRING_UNKNOWN:
        (void)fprintf(stderr,
                      "%s has no such key, or several; expected a fingerprint that `sallyport "
                      "keyring list` shows, or its first 4 digits or more\n",
                      file);
        return COMMAND_REFUSED;
    case KEYRING_IS_PRIMARY:
        (void)fprintf(stderr,
                      "%s encrypts, so it cannot be removed; expected another key to be made "
                      "primary first, with `sallyport keyring use`\n",
                      edit->id);
        return COMMAND_REFUSED;
    case KEYRING_FULL:
        (void)fprintf(stderr, "%s is full; expected at most %d keys and %d bytes\n", file,
                      KEYRING_KEYS_MAX, KEYRING_TEXT_BYTES_MAX);
        return COMMAND_REFUSED;
    case KEYRING_FAILED:
    case KEYRING_CHANGED:
    case KEYRING_UNCHANGED:
    default:
        (void)fprintf(stderr, "out of memory\n");
        return COMMAND_SYSTEM;
    }
}

/* Loads, changes and writes while the file is locked. *ring is what then is in it. */
static int change_locked(struct edit *edit, const struct keyring_file *file, struct keyring **ring)
{
    struct crypto_error error = {{0}};
    const char *path = edit->options->words[0];
    enum keyring_file_result result = keyring_file_load(file, ring, &error);
    if (result != KEYRING_FILE_FINE) {
        return keyring_tell_file(edit->options, path, result, &error);
    }
    enum keyring_change change = edit->apply(edit, *ring);
    if (change == KEYRING_UNCHANGED) {
        (void)printf("%s %s\n", edit->id, edit->already);
        return COMMAND_FINE;
    }
    if (change != KEYRING_CHANGED) {
        return tell_refusal(edit, change);
    }
    result = keyring_file_replace(file, *ring, &error);
    if (result != KEYRING_FILE_FINE) {
        return keyring_tell_file(edit->options, path, result, &error);
    }
    (void)printf("%s %s\n", edit->id, edit->done);
    return COMMAND_FINE;
}

static int confirm(const struct keyring_options *options, const char *socket_path,
                   const struct keyring *ring)
{
    char why[KEYRING_WHY_BYTES];
    (void)fflush(stdout);
    if (keyring_instance_wait(socket_path, options->words[0], ring, options->timeout_ms, why)) {
        return COMMAND_FINE;
    }
    (void)fprintf(stderr,
                  "sallyport keyring %s: %s is written, but the instance has not confirmed within "
                  "%.1f s that it has loaded it: %s\n",
                  options->verb, options->words[0], (double)options->timeout_ms / 1000, why);
    return COMMAND_REFUSED;
}

static int edit_file(struct edit *edit)
{
    const struct keyring_options *options = edit->options;
    char socket_path[INSTANCE_PATH_BYTES];
    bool is_bad = false;
    bool has_instance = keyring_instance_find(options, socket_path, &is_bad);
    if (is_bad) {
        return COMMAND_BAD_INPUT; /* before anything was changed */
    }
    struct keyring_file file;
    struct keyring *ring = NULL;
    struct crypto_error error = {{0}};
    enum keyring_file_result result = keyring_file_open(&file, options->words[0], &error);
    if (result != KEYRING_FILE_FINE) {
        return keyring_tell_file(options, options->words[0], result, &error);
    }
    int exit_status = change_locked(edit, &file, &ring);
    keyring_file_close(&file);
    if (exit_status == COMMAND_FINE && has_instance) {
        exit_status = confirm(options, socket_path, ring);
    }
    keyring_free(ring);
    return exit_status;
}

/* ---- add, use, remove ---- */

static enum keyring_change apply_add(struct edit *edit, struct keyring *ring)
{
    keyring_id(edit->source, 0, edit->id);
    return keyring_add(ring, keyring_key(edit->source, 0));
}

static size_t find(struct edit *edit, const struct keyring *ring)
{
    size_t index = keyring_find(ring, edit->options->words[1]);
    if (index < keyring_count(ring)) {
        keyring_id(ring, index, edit->id);
    }
    return index;
}

static enum keyring_change apply_use(struct edit *edit, struct keyring *ring)
{
    return keyring_use(ring, find(edit, ring));
}

static enum keyring_change apply_remove(struct edit *edit, struct keyring *ring)
{
    return keyring_remove(ring, find(edit, ring));
}

int keyring_edit_add(const struct keyring_options *options)
{
    int exit_status = COMMAND_FINE;
    const char *path = options->words[1];
    struct keyring *source = path != NULL ? read_source(options, path, &exit_status)
                                          : make_source(options, &exit_status);
    if (source == NULL) {
        return exit_status;
    }
    if (keyring_count(source) != 1) {
        (void)fprintf(stderr, "sallyport keyring add: %zu keys; expected one\n",
                      keyring_count(source));
        exit_status = COMMAND_BAD_INPUT;
    } else {
        struct edit edit = {.options = options,
                            .source = source,
                            .apply = apply_add,
                            .done = "is added, and decrypts",
                            .already = "is there already"};
        exit_status = edit_file(&edit);
    }
    keyring_free(source);
    return exit_status;
}

int keyring_edit_use(const struct keyring_options *options)
{
    struct edit edit = {.options = options,
                        .apply = apply_use,
                        .done = "encrypts now",
                        .already = "encrypts already"};
    return edit_file(&edit);
}

int keyring_edit_remove(const struct keyring_options *options)
{
    struct edit edit = {.options = options, .apply = apply_remove, .done = "is removed"};
    return edit_file(&edit);
}

/* ---- create ---- */

int keyring_create(const struct keyring_options *options)
{
    int exit_status = COMMAND_FINE;
    struct keyring *ring = options->from != NULL ? read_source(options, options->from, &exit_status)
                                                 : make_source(options, &exit_status);
    if (ring == NULL) {
        return exit_status;
    }
    struct keyring_file file;
    struct crypto_error error = {{0}};
    enum keyring_file_result result = keyring_file_open(&file, options->words[0], &error);
    if (result == KEYRING_FILE_FINE) {
        result = keyring_file_create(&file, ring, &error);
        keyring_file_close(&file);
    }
    if (result != KEYRING_FILE_FINE) {
        exit_status = keyring_tell_file(options, options->words[0], result, &error);
    } else {
        char id[KEYRING_ID_BYTES];
        keyring_id(ring, 0, id);
        (void)printf("%s encrypts (%u bits)\n", id, keyring_key_bits(ring, 0));
    }
    keyring_free(ring);
    return exit_status;
}
