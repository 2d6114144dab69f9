/* proxy/commands/keyring_node.h
 *
 * A machine whose keyring is rotated: this one, or one that is reached through --via. Each is told
 * the same commands that a person would type there, and is believed only what `keyring list` shows
 * afterwards.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#pragma once

#include <stdbool.h>

#include "crypto/bytes.h"
#include "crypto/keyring.h"
#include "proxy/commands/keyring_options.h"

enum { KEYRING_NODE_WHY_BYTES = 400 };

/* What a node has said last. */
struct keyring_node {
    const char *name; /* NULL: this machine */
    bool is_known;    /* it has answered */
    bool is_loaded;   /* its instance has exactly what is in its file */
    bool has_new;
    bool has_old;
    char primary[KEYRING_ID_BYTES];
    long long old_opened_seconds;     /* since it opened something with the old key; -1: never */
    char why[KEYRING_NODE_WHY_BYTES]; /* of the last failure */
};

/* Whether the options can be made a command of: told on standard error if not. */
bool keyring_node_can_run(const struct keyring_options *options);

/* Runs `keyring VERB FILE [WORD]` there, with `input` for its standard input. False: it failed, see
 * `why`. */
bool keyring_node_run(struct keyring_node *node, const struct keyring_options *options,
                      const char *verb, const char *word, struct bytes input);

/* Asks `keyring list` there. The ids may be NULL: none. False: no answer. */
bool keyring_node_survey(struct keyring_node *node, const struct keyring_options *options,
                         const char *new_id, const char *old_id);

/* Its name, for people. */
const char *keyring_node_name(const struct keyring_node *node);
