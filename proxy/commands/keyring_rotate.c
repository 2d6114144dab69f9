/* proxy/commands/keyring_rotate.c
 *
 * sallyport keyring rotate: a new key for a whole cluster without a moment in which two members do
 * not understand each other. Add it everywhere; when all have loaded it, use it everywhere; when
 * all do, remove the old one everywhere.
 *
 * Why it exists: only the order matters, and by hand it is easily got wrong: a node that uses a key
 * which another does not have yet is dead for that one.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "proxy/commands/command.h"
#include "proxy/commands/instance.h"
#include "proxy/commands/keyring_node.h"
#include "proxy/commands/keyring_verbs.h"

struct rotation {
    const struct keyring_options *options;
    struct keyring_node nodes[KEYRING_NODES_MAX];
    size_t count;
    struct secret key; /* the new one's line */
    char new_id[KEYRING_ID_BYTES];
    char old_id[KEYRING_ID_BYTES];
    bool tells; /* progress, on a terminal */
};

struct step {
    const char *verb;
    const char *doing; /* with the id of the key */
    const char *(*word)(const struct rotation *rotation);
    bool needs_key; /* on standard input */
    bool (*is_done)(const struct rotation *rotation, const struct keyring_node *node);
    void (*advise)(const struct rotation *rotation);
};

/* ---- what is told when it stops ---- */

static void print_command(const struct rotation *rotation, const char *verb, const char *id)
{
    const struct keyring_options *options = rotation->options;
    const char *config = options->config != NULL ? options->config : INSTANCE_CONFIG_FILE;
    (void)fprintf(stderr, "`sallyport keyring %s %s %s %s %s`", verb, options->words[0], id,
                  options->admin != NULL ? "--admin" : "-c",
                  options->admin != NULL ? options->admin : config);
}

static void advise_after_add(const struct rotation *rotation)
{
    (void)fprintf(stderr, "Every node still encrypts with the old key, so nothing is cut off. "
                          "Where the new key is, take it out again with ");
    print_command(rotation, "remove", rotation->new_id);
    (void)fprintf(stderr, "; mend what stopped this, and rotate again.\n");
}

static void advise_after_use(const struct rotation *rotation)
{
    (void)fprintf(stderr, "Every node has both keys, so all understand each other. Mend what "
                          "stopped this; where the old key encrypts still, run ");
    print_command(rotation, "use", rotation->new_id);
    (void)fprintf(stderr, "; then, on every node, ");
    print_command(rotation, "remove", rotation->old_id);
    (void)fprintf(stderr, ".\n");
}

static void advise_after_remove(const struct rotation *rotation)
{
    (void)fprintf(stderr, "Every node encrypts with the new key, so nothing is cut off. Where the "
                          "old key still is, take it out with ");
    print_command(rotation, "remove", rotation->old_id);
    (void)fprintf(stderr, ".\n");
}

static const char *state_of(const struct rotation *rotation, const struct keyring_node *node)
{
    if (!node->is_known) {
        return "does not answer";
    }
    bool uses_new = strcmp(node->primary, rotation->new_id) == 0;
    if (!node->has_new) {
        return "does not have the new key";
    }
    if (!uses_new) {
        return "has the new key, and encrypts with the old one";
    }
    return node->has_old ? "encrypts with the new key, and has the old one"
                         : "encrypts with the new key; the old one is gone";
}

/* Each node's state as it is now, and how to go on. */
static int stop(struct rotation *rotation, const struct step *step, const struct keyring_node *at)
{
    (void)fflush(stdout);
    (void)fprintf(stderr,
                  "sallyport keyring rotate: stopped while %s (new key %s, old key %s): %s: %s\n",
                  step->doing, rotation->new_id, rotation->old_id, keyring_node_name(at), at->why);
    for (size_t i = 0; i < rotation->count; i++) {
        struct keyring_node *node = &rotation->nodes[i];
        (void)keyring_node_survey(node, rotation->options, rotation->new_id, rotation->old_id);
        (void)fprintf(stderr, "  %s: %s%s\n", keyring_node_name(node), state_of(rotation, node),
                      node->is_known && !node->is_loaded ? "; its instance has not loaded that"
                                                         : "");
    }
    step->advise(rotation);
    return COMMAND_REFUSED;
}

/* ---- steps ---- */

static const char *no_word(const struct rotation *rotation)
{
    (void)rotation;
    return "-"; /* the key comes on standard input */
}

static const char *new_word(const struct rotation *rotation)
{
    return rotation->new_id;
}

static const char *old_word(const struct rotation *rotation)
{
    return rotation->old_id;
}

static bool has_new(const struct rotation *rotation, const struct keyring_node *node)
{
    (void)rotation;
    return node->has_new && node->has_old;
}

static bool uses_new(const struct rotation *rotation, const struct keyring_node *node)
{
    return strcmp(node->primary, rotation->new_id) == 0;
}

static bool lacks_old(const struct rotation *rotation, const struct keyring_node *node)
{
    return uses_new(rotation, node) && !node->has_old;
}

static const struct step ADD = {"add",   "adding the new key", no_word, true,
                                has_new, advise_after_add};
static const struct step USE = {
    "use", "putting the new key to use", new_word, false, uses_new, advise_after_use};
static const struct step REMOVE = {"remove",  "removing the old key", old_word, false,
                                   lacks_old, advise_after_remove};

__attribute__((format(printf, 2, 3))) static void tell(const struct rotation *rotation,
                                                       const char *format, ...)
{
    va_list arguments;
    if (!rotation->tells) {
        return;
    }
    va_start(arguments, format);
    (void)vprintf(format, arguments);
    va_end(arguments);
    (void)fflush(stdout);
}

/* NULL, or the node that has not confirmed: each is asked, not only believed. */
static struct keyring_node *find_unconfirmed(struct rotation *rotation, const struct step *step)
{
    for (size_t i = 0; i < rotation->count; i++) {
        struct keyring_node *node = &rotation->nodes[i];
        if (!keyring_node_survey(node, rotation->options, rotation->new_id, rotation->old_id) ||
            !node->is_loaded) {
            return node; /* with its reason */
        }
        if (!step->is_done(rotation, node)) {
            (void)snprintf(node->why, sizeof(node->why),
                           "`keyring %s` ended well, but its file shows no trace of it",
                           step->verb);
            return node;
        }
    }
    return NULL;
}

static int take_step(struct rotation *rotation, const struct step *step)
{
    struct bytes input = {0};
    if (step->needs_key) {
        input = (struct bytes){secret_bytes(&rotation->key), secret_len(&rotation->key)};
    }
    for (size_t i = 0; i < rotation->count; i++) {
        struct keyring_node *node = &rotation->nodes[i];
        tell(rotation, "%s: %s\n", keyring_node_name(node), step->doing);
        if (!keyring_node_run(node, rotation->options, step->verb, step->word(rotation), input)) {
            return stop(rotation, step, node);
        }
    }
    struct keyring_node *unconfirmed = find_unconfirmed(rotation, step);
    if (unconfirmed != NULL) {
        return stop(rotation, step, unconfirmed);
    }
    tell(rotation, "all confirm it\n");
    return COMMAND_FINE;
}

/* Somebody who still seals with the old key would be cut off: a member that is not among the nodes,
 * or an instance that was not asked. Half the time, as what was on its way still arrives. */
static int settle(struct rotation *rotation)
{
    long settle_ms = rotation->options->settle_ms;
    tell(rotation, "waiting %.1f s for what is on its way\n", (double)settle_ms / 1000);
    struct timespec pause = {.tv_sec = settle_ms / 1000, .tv_nsec = settle_ms % 1000 * 1000000L};
    (void)nanosleep(&pause, NULL);
    for (size_t i = 0; i < rotation->count; i++) {
        struct keyring_node *node = &rotation->nodes[i];
        if (!keyring_node_survey(node, rotation->options, rotation->new_id, rotation->old_id)) {
            return stop(rotation, &REMOVE, node);
        }
        if (node->old_opened_seconds >= 0 && node->old_opened_seconds * 2000 < settle_ms) {
            (void)snprintf(node->why, sizeof(node->why),
                           "%lld s ago it received something sealed with the old key, so a member "
                           "that is not among these nodes still uses that",
                           node->old_opened_seconds);
            return stop(rotation, &REMOVE, node);
        }
    }
    return COMMAND_FINE;
}

/* ---- before it begins ---- */

/* All must be reached and agree, or else nothing is begun. */
static int survey_all(struct rotation *rotation)
{
    for (size_t i = 0; i < rotation->count; i++) {
        struct keyring_node *node = &rotation->nodes[i];
        if (!keyring_node_survey(node, rotation->options, NULL, NULL) || !node->is_loaded) {
            (void)fprintf(stderr,
                          "sallyport keyring rotate: nothing was changed: %s is not ready for it: "
                          "%s\n",
                          keyring_node_name(node), node->why);
            return COMMAND_REFUSED;
        }
        if (strcmp(node->primary, rotation->nodes[0].primary) != 0) {
            (void)fprintf(stderr,
                          "sallyport keyring rotate: nothing was changed: %s encrypts with %s, and "
                          "%s with %s; expected the same key on all. Was another rotation not "
                          "finished?\n",
                          keyring_node_name(&rotation->nodes[0]), rotation->nodes[0].primary,
                          keyring_node_name(node), node->primary);
            return COMMAND_REFUSED;
        }
    }
    memcpy(rotation->old_id, rotation->nodes[0].primary, sizeof(rotation->old_id));
    return COMMAND_FINE;
}

static bool make_key(struct rotation *rotation)
{
    struct keyring *ring = keyring_new_random(rotation->options->bits);
    bool is_made = ring != NULL && keyring_write(ring, &rotation->key);
    if (is_made) {
        keyring_id(ring, 0, rotation->new_id);
    } else {
        (void)fprintf(stderr,
                      "sallyport keyring rotate: no key can be made: no randomness or memory\n");
    }
    keyring_free(ring);
    return is_made;
}

static int rotate(struct rotation *rotation)
{
    int exit_status = survey_all(rotation);
    if (exit_status != COMMAND_FINE) {
        return exit_status;
    }
    if (!make_key(rotation)) {
        return COMMAND_SYSTEM;
    }
    tell(rotation, "new key %s, old key %s\n", rotation->new_id, rotation->old_id);
    exit_status = take_step(rotation, &ADD);
    secret_fini(&rotation->key);
    if (exit_status == COMMAND_FINE) {
        exit_status = take_step(rotation, &USE);
    }
    if (rotation->options->keeps_old || exit_status != COMMAND_FINE) {
        return exit_status;
    }
    exit_status = settle(rotation);
    return exit_status == COMMAND_FINE ? take_step(rotation, &REMOVE) : exit_status;
}

int keyring_rotate(const struct keyring_options *options)
{
    if (!keyring_node_can_run(options)) {
        return COMMAND_BAD_INPUT;
    }
    struct rotation *rotation = calloc(1, sizeof(*rotation));
    if (rotation == NULL) {
        (void)fprintf(stderr, "sallyport keyring rotate: out of memory\n");
        return COMMAND_SYSTEM;
    }
    rotation->options = options;
    rotation->tells = isatty(STDOUT_FILENO) == 1;
    rotation->count = options->node_count == 0 ? 1 : options->node_count;
    for (size_t i = 0; i < options->node_count; i++) {
        rotation->nodes[i].name = options->nodes[i];
    }
    int exit_status = rotate(rotation);
    secret_fini(&rotation->key);
    free(rotation);
    return exit_status;
}
