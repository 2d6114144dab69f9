/* proxy/commands/keyring.c
 *
 * sallyport keyring: the keys of a gossip cluster, made, listed, changed and rotated.
 * Exit: 0 fine, 1 refused or not confirmed, 2 bad input, 3 the system failed.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include <stdio.h>
#include <string.h>

#include "config/spelling.h"
#include "proxy/commands/command.h"
#include "proxy/commands/keyring_verbs.h"

struct keyring_verb {
    const char *name;
    struct keyring_usage usage;
    int (*run)(const struct keyring_options *options);
};

static const struct keyring_verb VERBS[] = {
    {"create", {"bf", 1, 1, "one FILE"}, keyring_create},
    {"add", {"bcat", 1, 2, "FILE, and perhaps KEYFILE"}, keyring_edit_add},
    {"use", {"cat", 2, 2, "FILE and the ID of a key"}, keyring_edit_use},
    {"remove", {"cat", 2, 2, "FILE and the ID of a key"}, keyring_edit_remove},
    {"list", {"jcat", 1, 1, "one FILE"}, keyring_list},
    {"rotate", {"bcatnNvrsk", 1, 1, "one FILE"}, keyring_rotate},
};

enum { VERB_COUNT = sizeof(VERBS) / sizeof(VERBS[0]) };

static int help(FILE *out)
{
    (void)fputs(
        "Usage: sallyport keyring create FILE [--bits 128|192|256] [--from KEYFILE|-]\n"
        "       sallyport keyring add FILE [KEYFILE|-] [--bits N] [INSTANCE]\n"
        "       sallyport keyring use FILE ID [INSTANCE]\n"
        "       sallyport keyring remove FILE ID [INSTANCE]\n"
        "       sallyport keyring list FILE [--json] [INSTANCE]\n"
        "       sallyport keyring rotate FILE [--nodes A,B,...] [INSTANCE] [OPTIONS]\n\n"
        "The keys of a gossip cluster. The first key of FILE encrypts, all decrypt. FILE has one\n"
        "key a line in base64, or is a keyring file of serf's (a JSON array), and stays what it "
        "is.\n"
        "An ID is a key's fingerprint, or its first 4 digits or more. No command prints a key.\n\n"
        "  create   makes FILE, which must not exist, with a new key or that of KEYFILE\n"
        "  add      adds a new key, or that of KEYFILE (-: standard input), which then decrypts\n"
        "  use      makes a key of FILE the one that encrypts\n"
        "  remove   removes a key, but not the one that encrypts\n"
        "  list     shows fingerprints; with INSTANCE also whether each key is loaded, and when\n"
        "           it last decrypted something\n"
        "  rotate   makes a new key; adds it on every node; when all have loaded it, puts it to\n"
        "           use on every node; when all do, removes the old one on every node\n\n"
        "  --bits N                128, 192 or 256 (default)\n"
        "INSTANCE: then add, use and remove end when the instance has loaded the changed FILE,\n"
        "and with status 1 if it has not in time\n"
        "  -c CONFIG               the configuration of the instance\n"
        "  --admin unix:PATH       or its admin socket, without reading a configuration\n"
        "  --timeout DURATION      how long it may take (default 10s)\n"
        "of rotate\n"
        "  --nodes A,B,...         the members, FILE and CONFIG being paths there; --node NODE\n"
        "                          names one, and may be repeated. Without: this machine alone\n"
        "  --via 'ssh {}'          the command in front, {} being the node (this is the default)\n"
        "  --remote-command 'X'    what is run there in place of `sallyport`\n"
        "  --settle DURATION       how long to wait before the old key is removed (default 10s).\n"
        "                          If a node opens something with it in the second half, a member\n"
        "                          was forgotten, and the old key stays\n"
        "  --keep-old              do not remove the old key\n"
        "  without -c and --admin  CONFIG is /etc/sallyport/sallyport.yaml\n"
        "The new key goes to a node's standard input. A node that does not confirm stops the\n"
        "rotation; then the state of all is told, and how to go on.\n\n"
        "Exit status: 0 fine, 1 refused or not confirmed, 2 bad input, 3 the system failed.\n",
        out);
    return out == stderr ? COMMAND_BAD_INPUT : COMMAND_FINE;
}

static int tell_unknown(const char *word)
{
    const char *meant = NULL;
    for (size_t i = 0; i < VERB_COUNT; i++) {
        spelling_consider(word, VERBS[i].name, &meant);
    }
    (void)fprintf(stderr,
                  "sallyport keyring: `%s` is not understood; expected create, add, use, remove, "
                  "list or rotate%s%s%s\n",
                  word, meant != NULL ? "; did you mean `" : "", meant != NULL ? meant : "",
                  meant != NULL ? "`?" : "");
    return COMMAND_BAD_INPUT;
}

int command_keyring(int argc, char **argv)
{
    if (argc < 2) {
        return help(stderr);
    }
    if (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0) {
        return help(stdout);
    }
    for (size_t i = 0; i < VERB_COUNT; i++) {
        struct keyring_options options;
        if (strcmp(VERBS[i].name, argv[1]) != 0) {
            continue;
        }
        if (!keyring_options_read(&options, &VERBS[i].usage, argc - 1, argv + 1)) {
            return COMMAND_BAD_INPUT;
        }
        return options.is_help ? help(stdout) : VERBS[i].run(&options);
    }
    return tell_unknown(argv[1]);
}
