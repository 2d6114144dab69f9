/* proxy/commands/keyring_options.h
 *
 * What the verbs of `sallyport keyring` are told: each takes some of these.
 *
 * Owner: the command; borrows the words of the command line.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

enum {
    KEYRING_WORDS_MAX = 2,
    KEYRING_NODES_MAX = 256,
    KEYRING_TIMEOUT_MS_DEFAULT = 10000,
    KEYRING_SETTLE_MS_DEFAULT = 10000,
    KEYRING_BITS_DEFAULT = 256,
};

struct keyring_options {
    const char *verb;
    const char *words[KEYRING_WORDS_MAX]; /* FILE, then ID or KEYFILE; NULL: not given */
    size_t word_count;
    unsigned bits;
    const char *from; /* NULL: a new key */
    bool is_json;
    const char *config; /* of the instance; NULL: not given */
    const char *admin;  /* its admin socket; NULL: not given */
    long timeout_ms;    /* for an instance to confirm */
    const char *nodes[KEYRING_NODES_MAX];
    size_t node_count; /* 0: this machine */
    const char *via;
    const char *remote_command;
    long settle_ms;
    bool keeps_old;
    bool is_help;
};

/* Which options and how many words a verb takes. */
struct keyring_usage {
    const char *letters; /* those of the options, of the table in keyring_options.c */
    size_t words_min;
    size_t words_max;
    const char *expected; /* the words, for a sentence */
};

/* Reads what follows argv[0], the verb. False: bad, and told on standard error. */
bool keyring_options_read(struct keyring_options *options, const struct keyring_usage *usage,
                          int argc, char **argv);
