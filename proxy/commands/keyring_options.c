/* proxy/commands/keyring_options.c · SPDX-License-Identifier: Apache-2.0 */
#include "proxy/commands/keyring_options.h"

#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { OPTIONS_COUNT = 13, DURATION_MS_MAX = 24 * 3600 * 1000 };

/* The last member is how `struct keyring_usage` names it. */
static const struct option OPTIONS[OPTIONS_COUNT] = {
    {"bits", required_argument, NULL, 'b'},   {"from", required_argument, NULL, 'f'},
    {"json", no_argument, NULL, 'j'},         {"config", required_argument, NULL, 'c'},
    {"admin", required_argument, NULL, 'a'},  {"timeout", required_argument, NULL, 't'},
    {"node", required_argument, NULL, 'n'},   {"nodes", required_argument, NULL, 'N'},
    {"via", required_argument, NULL, 'v'},    {"remote-command", required_argument, NULL, 'r'},
    {"settle", required_argument, NULL, 's'}, {"keep-old", no_argument, NULL, 'k'},
    {"help", no_argument, NULL, 'h'},
};

static bool refuse(const struct keyring_options *options, const char *what, const char *expected)
{
    (void)fprintf(stderr, "sallyport keyring %s: %s; expected %s\n", options->verb, what, expected);
    return false;
}

static bool read_bits(struct keyring_options *options, const char *text)
{
    static const struct {
        const char *text;
        unsigned bits;
    } SIZES[] = {{"128", 128}, {"192", 192}, {"256", 256}};
    for (size_t i = 0; i < sizeof(SIZES) / sizeof(SIZES[0]); i++) {
        if (strcmp(SIZES[i].text, text) == 0) {
            options->bits = SIZES[i].bits;
            return true;
        }
    }
    return refuse(options, "--bits has another value", "128, 192 or 256");
}

/* Seconds, or with a unit: 500ms, 10s, 2m. */
static bool read_duration(const struct keyring_options *options, const char *text, long *out_ms)
{
    static const struct {
        const char *unit;
        double ms;
    } UNITS[] = {{"", 1000}, {"ms", 1}, {"s", 1000}, {"m", 60000}};
    char *end = NULL;
    double number = strtod(text, &end);
    for (size_t i = 0; end != text && i < sizeof(UNITS) / sizeof(UNITS[0]); i++) {
        double ms = number * UNITS[i].ms;
        if (strcmp(UNITS[i].unit, end) == 0 && ms >= 0 && ms <= DURATION_MS_MAX) {
            *out_ms = (long)ms;
            return true;
        }
    }
    return refuse(options, "this is no duration", "seconds up to a day, such as 10, 500ms or 2m");
}

static bool add_node(struct keyring_options *options, const char *node)
{
    if (node[0] == '\0') {
        return refuse(options, "a node without a name", "names with a comma between them");
    }
    for (size_t i = 0; i < options->node_count; i++) {
        if (strcmp(options->nodes[i], node) == 0) {
            return refuse(options, "a node is named twice", "each node once");
        }
    }
    if (options->node_count == KEYRING_NODES_MAX) {
        return refuse(options, "too many nodes", "at most 256");
    }
    options->nodes[options->node_count++] = node;
    return true;
}

/* Takes the word apart where it stands. */
static bool add_nodes(struct keyring_options *options, char *list)
{
    for (char *node = strsep(&list, ","); node != NULL; node = strsep(&list, ",")) {
        if (!add_node(options, node)) {
            return false;
        }
    }
    return true;
}

static bool take_option(struct keyring_options *options, int letter, char *value)
{
    switch (letter) {
    case 'b':
        return read_bits(options, value);
    case 'f':
        options->from = value;
        return true;
    case 'j':
        options->is_json = true;
        return true;
    case 'c':
        options->config = value;
        return true;
    case 'a':
        options->admin = value;
        return true;
    case 't':
        return read_duration(options, value, &options->timeout_ms);
    case 'n':
        return add_node(options, value);
    case 'N':
        return add_nodes(options, value);
    case 'v':
        options->via = value;
        return true;
    case 'r':
        options->remote_command = value;
        return true;
    case 's':
        return read_duration(options, value, &options->settle_ms);
    case 'k':
        options->keeps_old = true;
        return true;
    case 'h':
        options->is_help = true;
        return true;
    default:
        return false; /* getopt has told */
    }
}

static bool take_words(struct keyring_options *options, const struct keyring_usage *usage, int argc,
                       char **argv)
{
    size_t count = (size_t)(argc - optind);
    if (count < usage->words_min || count > usage->words_max) {
        return refuse(options, count < usage->words_min ? "too few words" : "too many words",
                      usage->expected);
    }
    for (size_t i = 0; i < count; i++) {
        options->words[options->word_count++] = argv[optind + (int)i];
    }
    return true;
}

bool keyring_options_read(struct keyring_options *options, const struct keyring_usage *usage,
                          int argc, char **argv)
{
    *options = (struct keyring_options){.verb = argv[0],
                                        .bits = KEYRING_BITS_DEFAULT,
                                        .timeout_ms = KEYRING_TIMEOUT_MS_DEFAULT,
                                        .settle_ms = KEYRING_SETTLE_MS_DEFAULT};
    struct option known[OPTIONS_COUNT + 1] = {{0}};
    size_t count = 0;
    for (size_t i = 0; i < OPTIONS_COUNT; i++) {
        if (OPTIONS[i].val == 'h' || strchr(usage->letters, OPTIONS[i].val) != NULL) {
            known[count++] = OPTIONS[i];
        }
    }
    const char *letters = strchr(usage->letters, 'c') != NULL ? "c:h" : "h";
    optind = 0;
    for (int letter = getopt_long(argc, argv, letters, known, NULL); letter != -1;
         letter = getopt_long(argc, argv, letters, known, NULL)) {
        if (!take_option(options, letter, optarg)) {
            return false;
        }
    }
    return options->is_help || take_words(options, usage, argc, argv);
}
