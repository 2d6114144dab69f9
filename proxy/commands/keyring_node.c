/* proxy/commands/keyring_node.c · SPDX-License-Identifier: Apache-2.0 */
#include "proxy/commands/keyring_node.h"

#include <errno.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "proxy/commands/instance.h"
#include "proxy/commands/program.h"

enum {
    WORDS_MAX = 48,
    TEXT_BYTES = 8192,
    WAY_MS = 30000, /* there and back, beside what the command itself may wait */
};

static const char DEFAULT_VIA[] = "ssh {}";
static const char DEFAULT_REMOTE[] = "sallyport";
static const char PLACE[] = "{}"; /* where the name of the node goes */

/* What a shell at the other end leaves alone. */
static const char PLAIN[] =
    "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-./:@%+=,";
static const char NAME[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-.:@%[]";

/* The words of one command, with their text. */
struct words {
    char *argv[WORDS_MAX + 1];
    size_t count;
    char text[TEXT_BYTES];
    size_t len;
    bool is_full;
};

/* ---- words ---- */

static void put_char(struct words *words, char c)
{
    if (words->len == sizeof(words->text)) {
        words->is_full = true;
        return;
    }
    words->text[words->len++] = c;
}

/* A word of `len` bytes; {} in it becomes `name`, if that is not NULL. */
static void add_word(struct words *words, const char *word, size_t len, const char *name)
{
    if (words->count == WORDS_MAX) {
        words->is_full = true;
        return;
    }
    words->argv[words->count++] = &words->text[words->len];
    for (size_t i = 0; i < len; i++) {
        if (name != NULL && i + 1 < len && strncmp(word + i, PLACE, sizeof(PLACE) - 1) == 0) {
            for (const char *c = name; *c != '\0'; c++) {
                put_char(words, *c);
            }
            i++;
            continue;
        }
        put_char(words, word[i]);
    }
    put_char(words, '\0');
}

static void add(struct words *words, const char *word)
{
    add_word(words, word, strlen(word), NULL);
}

static void add_split(struct words *words, const char *text, const char *name)
{
    while (*text != '\0') {
        size_t len = strcspn(text, " ");
        if (len > 0) {
            add_word(words, text, len, name);
        }
        text += len + strspn(text + len, " ");
    }
}

static void add_instance(struct words *words, const struct keyring_options *options)
{
    char timeout[32];
    if (options->admin != NULL) {
        add(words, "--admin");
        add(words, options->admin);
    }
    if (options->config != NULL || options->admin == NULL) {
        add(words, "-c");
        add(words, options->config != NULL ? options->config : INSTANCE_CONFIG_FILE);
    }
    if (options->timeout_ms != KEYRING_TIMEOUT_MS_DEFAULT) {
        (void)snprintf(timeout, sizeof(timeout), "%ldms", options->timeout_ms);
        add(words, "--timeout");
        add(words, timeout);
    }
}

/* False: too many, or too long. */
static bool make_words(struct words *words, const struct keyring_node *node,
                       const struct keyring_options *options, const char *verb, const char *word)
{
    words->count = 0;
    words->len = 0;
    words->is_full = false;
    if (node->name == NULL) {
        add(words, "/proc/self/exe");
    } else {
        add_split(words, options->via != NULL ? options->via : DEFAULT_VIA, node->name);
        add_split(words, options->remote_command != NULL ? options->remote_command : DEFAULT_REMOTE,
                  NULL);
    }
    bool is_list = strcmp(verb, "list") == 0;
    add(words, "keyring");
    add(words, verb);
    if (is_list) {
        add(words, "--json");
    }
    add(words, options->words[0]);
    if (word != NULL) {
        add(words, word);
    }
    /* `list` asks once. */
    struct keyring_options asked = *options;
    asked.timeout_ms = is_list ? KEYRING_TIMEOUT_MS_DEFAULT : options->timeout_ms;
    add_instance(words, &asked);
    words->argv[words->count] = NULL;
    return !words->is_full;
}

/* ---- what can be run at all ---- */

static bool refuse(const struct keyring_options *options, const char *what, const char *expected)
{
    (void)fprintf(stderr, "sallyport keyring %s: %s; expected %s\n", options->verb, what, expected);
    return false;
}

static bool is_made_of(const char *text, const char *characters)
{
    return text == NULL || text[strspn(text, characters)] == '\0';
}

bool keyring_node_can_run(const struct keyring_options *options)
{
    if (options->node_count == 0) {
        return options->via == NULL && options->remote_command == NULL
                   ? true
                   : refuse(options, "--via and --remote-command without nodes", "--nodes too");
    }
    if (options->via != NULL && strstr(options->via, PLACE) == NULL) {
        return refuse(options, "--via does not say where the node's name goes",
                      "a {}, as in --via 'ssh {}'");
    }
    if (options->words[0][0] != '/' || !is_made_of(options->words[0], PLAIN) ||
        !is_made_of(options->config, PLAIN) || !is_made_of(options->admin, PLAIN)) {
        return refuse(options, "a path that may mean something else on a node",
                      "FILE to begin with /, and paths of letters, digits and _-./:@%+=,");
    }
    for (size_t i = 0; i < options->node_count; i++) {
        if (options->nodes[i][0] == '-' || !is_made_of(options->nodes[i], NAME)) {
            return refuse(options, "this is no name of a node",
                          "letters, digits and _-.:@%[], and no - at its beginning");
        }
    }
    return true;
}

/* ---- running ---- */

const char *keyring_node_name(const struct keyring_node *node)
{
    return node->name != NULL ? node->name : "this machine";
}

static bool run(struct keyring_node *node, const struct keyring_options *options, const char *verb,
                const char *word, struct bytes input, struct program_result *result)
{
    static const char TOO_LONG[] = "the command is too long";
    struct words *words = malloc(sizeof(*words));
    if (words == NULL || !make_words(words, node, options, verb, word)) {
        (void)snprintf(node->why, sizeof(node->why), "%s",
                       words == NULL ? "out of memory" : TOO_LONG);
        free(words);
        return false;
    }
    enum status status = program_run(words->argv, input, options->timeout_ms + WAY_MS, result);
    if (status == STATUS_SYS) {
        (void)snprintf(node->why, sizeof(node->why), "`%s` cannot be started: %s", words->argv[0],
                       strerror(errno));
    } else if (status != STATUS_OK) {
        (void)snprintf(node->why, sizeof(node->why), "`keyring %s` did not end in time", verb);
    } else if (result->exit_status != 0) {
        (void)snprintf(node->why, sizeof(node->why), "`keyring %s` ended with status %d", verb,
                       result->exit_status);
    }
    bool is_done = status == STATUS_OK && result->exit_status == 0;
    free(words);
    return is_done;
}

bool keyring_node_run(struct keyring_node *node, const struct keyring_options *options,
                      const char *verb, const char *word, struct bytes input)
{
    struct program_result *result = malloc(sizeof(*result));
    if (result == NULL) {
        (void)snprintf(node->why, sizeof(node->why), "out of memory");
        return false;
    }
    bool is_done = run(node, options, verb, word, input, result);
    free(result);
    return is_done;
}

/* ---- what it has ---- */

static void take_key(struct keyring_node *node, const json_t *key, const char *new_id,
                     const char *old_id)
{
    const char *id = json_string_value(json_object_get(key, "id"));
    const json_t *last = json_object_get(key, "last_opened_seconds");
    if (id == NULL) {
        return;
    }
    if (json_is_true(json_object_get(key, "is_primary"))) {
        (void)snprintf(node->primary, sizeof(node->primary), "%s", id);
    }
    node->has_new = node->has_new || (new_id != NULL && strcmp(id, new_id) == 0);
    if (old_id != NULL && strcmp(id, old_id) == 0) {
        node->has_old = true;
        node->old_opened_seconds = json_is_integer(last) ? json_integer_value(last) : -1;
    }
}

static bool take_listing(struct keyring_node *node, const char *text, const char *new_id,
                         const char *old_id)
{
    json_t *listing = json_loads(text, 0, NULL);
    const json_t *keys = json_object_get(listing, "keys");
    const char *why = json_string_value(json_object_get(listing, "why_not"));
    for (size_t i = 0; i < json_array_size(keys); i++) {
        take_key(node, json_array_get(keys, i), new_id, old_id);
    }
    node->is_known = node->primary[0] != '\0';
    node->is_loaded = json_is_true(json_object_get(listing, "is_loaded"));
    if (!node->is_known) {
        (void)snprintf(node->why, sizeof(node->why), "`keyring list` answered something odd");
    } else if (!node->is_loaded) {
        (void)snprintf(node->why, sizeof(node->why), "its instance has another ring: %s",
                       why != NULL ? why : "it does not say why");
    }
    json_decref(listing);
    return node->is_known;
}

bool keyring_node_survey(struct keyring_node *node, const struct keyring_options *options,
                         const char *new_id, const char *old_id)
{
    const char *name = node->name;
    *node = (struct keyring_node){.name = name, .old_opened_seconds = -1};
    struct program_result *result = malloc(sizeof(*result));
    if (result == NULL) {
        (void)snprintf(node->why, sizeof(node->why), "out of memory");
        return false;
    }
    bool is_known = run(node, options, "list", NULL, (struct bytes){0}, result) &&
                    take_listing(node, result->output, new_id, old_id);
    free(result);
    return is_known;
}
