/* proxy/commands/posture.c
 *
 * sallyport posture: the hops of the running instance, judged now, with what was really seen: each
 * peer of gossip with when it last proved that it has a key. Exit: 0 no violation, 1 violations,
 * 2 bad input, 3 nobody answers.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "proxy/admin/client.h"
#include "proxy/commands/answer.h"
#include "proxy/commands/command.h"
#include "proxy/commands/instance.h"

enum { ANSWER_MS = 5000 };

/* ---- text ---- */

static void print_counts(const char *what, json_t *counts)
{
    const char *key = NULL;
    json_t *value = NULL;
    bool is_first = true;
    json_object_foreach(counts, key, value)
    {
        (void)printf("%s%s %lld", is_first ? what : ", ", key,
                     (long long)json_integer_value(value));
        is_first = false;
    }
    if (!is_first) {
        (void)printf("\n");
    }
}

static void print_hop(const json_t *hop)
{
    const json_t *waiver = json_object_get(hop, "waiver");
    (void)printf("%s  %s  %s  %s → %s\n", answer_text(hop, "name"), answer_text(hop, "protection"),
                 answer_text(hop, "verdict"), answer_text(hop, "from"), answer_text(hop, "to"));
    (void)printf("    %s\n", answer_text(hop, "evidence"));
    if (strcmp(answer_text(hop, "verdict"), "ok") != 0) {
        (void)printf("    %s\n", answer_text(hop, "reason"));
    }
    if (json_is_object(waiver)) {
        (void)printf("    waiver until %s: %s\n", answer_text(waiver, "expires"),
                     answer_text(waiver, "reason"));
    }
    print_counts("    ", json_object_get(hop, "counters"));
    print_counts("    refused: ", json_object_get(hop, "refused"));
}

static void print_stranger(const json_t *hop)
{
    (void)printf("stranger %s\n", answer_text(hop, "to"));
    print_counts("    ", json_object_get(hop, "counters"));
    print_counts("    refused: ", json_object_get(hop, "refused"));
}

static void print_near_end(const json_t *certificate)
{
    if (json_is_null(json_object_get(certificate, "within_days"))) {
        return;
    }
    (void)printf("WARNING: %s %s (%s) ends on %s, %lld days left\n",
                 answer_text(certificate, "kind"), answer_text(certificate, "name"),
                 answer_text(certificate, "file"), answer_text(certificate, "expires"),
                 answer_number(certificate, "days_left"));
}

static void print_text(const json_t *posture)
{
    size_t i = 0;
    const json_t *hop = NULL;
    json_array_foreach(json_object_get(posture, "hops"), i, hop)
    {
        print_hop(hop);
    }
    json_array_foreach(json_object_get(posture, "strangers"), i, hop)
    {
        print_stranger(hop);
    }
    json_array_foreach(json_object_get(posture, "certificates"), i, hop)
    {
        print_near_end(hop);
    }
    instance_print_failing(json_object_get(posture, "failing"));
    (void)printf("%zu hops, %lld violations, %lld waived; mode %s\n",
                 json_array_size(json_object_get(posture, "hops")),
                 answer_number(posture, "violations"), answer_number(posture, "waived"),
                 answer_text(posture, "mode"));
}

/* ---- Markdown ---- */

/* A bar would end the cell. */
static void print_cell(const char *text)
{
    (void)printf("| ");
    for (; *text != '\0'; text++) {
        (void)printf(*text == '|' ? "\\|" : "%c", *text);
    }
    (void)printf(" ");
}

static void print_markdown(const json_t *posture)
{
    static const char *const KEYS[] = {"name", "from", "to", "protection", "verdict", "evidence"};
    size_t i = 0;
    const json_t *hop = NULL;
    (void)printf("| hop | from | to | protection | verdict | evidence |\n"
                 "|---|---|---|---|---|---|\n");
    json_array_foreach(json_object_get(posture, "hops"), i, hop)
    {
        for (size_t k = 0; k < sizeof(KEYS) / sizeof(KEYS[0]); k++) {
            print_cell(answer_text(hop, KEYS[k]));
        }
        (void)printf("|\n");
    }
}

/* ---- the command ---- */

static bool take_markdown(int *argc, char **argv)
{
    bool is_found = false;
    int kept = 0;
    for (int i = 0; i < *argc; i++) {
        if (strcmp(argv[i], "--markdown") == 0) {
            is_found = true;
        } else {
            argv[kept++] = argv[i];
        }
    }
    *argc = kept;
    argv[kept] = NULL;
    return is_found;
}

static int show(const char *answer, bool is_json, bool is_markdown)
{
    json_t *posture = json_loads(answer, 0, NULL);
    if (!json_is_array(json_object_get(posture, "hops"))) {
        (void)fprintf(stderr, "sallyport posture: the instance cannot tell: %s\n",
                      answer_text(posture, "error"));
        json_decref(posture);
        return COMMAND_SYSTEM;
    }
    if (is_json) {
        (void)printf("%s\n", answer);
    } else if (is_markdown) {
        print_markdown(posture);
    } else {
        print_text(posture);
    }
    bool is_clean = answer_number(posture, "violations") == 0;
    json_decref(posture);
    return is_clean ? COMMAND_FINE : COMMAND_REFUSED;
}

int command_posture(int argc, char **argv)
{
    struct instance_options options;
    char path[INSTANCE_PATH_BYTES];
    bool is_markdown = take_markdown(&argc, argv);
    if (!instance_options_read(&options, argc, argv)) {
        return COMMAND_BAD_INPUT;
    }
    if (options.is_help) {
        instance_options_help("posture", "Shows the running instance's hops with their verdicts; "
                                         "with --markdown as a table for a report. Exit status: "
                                         "0 no violation, 1 violations, 2 bad input, 3 nobody "
                                         "answers.");
        return COMMAND_FINE;
    }
    if (!instance_find(&options, path)) {
        return COMMAND_BAD_INPUT;
    }
    char *answer = NULL;
    int timeout_ms = options.timeout_ms < 0 ? ANSWER_MS : (int)options.timeout_ms;
    if (admin_ask(path, "posture", timeout_ms, &answer, NULL) != STATUS_OK) {
        instance_tell_silence(path);
        return COMMAND_SYSTEM;
    }
    int status = show(answer, options.is_json, is_markdown);
    free(answer);
    return status;
}
