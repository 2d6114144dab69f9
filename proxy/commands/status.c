/* proxy/commands/status.c
 *
 * sallyport status: what the running instance says about itself. Exit: 0 ready, 1 running but not
 * ready (starting, draining, a worker being started again), 2 bad input, 3 nobody answers. With
 * --metrics, 0 whenever it answers: readiness is one of the figures.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "config/arguments.h"
#include "proxy/admin/client.h"
#include "proxy/commands/answer.h"
#include "proxy/commands/command.h"
#include "proxy/commands/instance.h"

enum { ANSWER_MS = 5000 };

static void print_uptime(long long seconds)
{
    if (seconds >= 86400) {
        (void)printf("%lldd %lldh", seconds / 86400, seconds % 86400 / 3600);
    } else if (seconds >= 3600) {
        (void)printf("%lldh %lldm", seconds / 3600, seconds % 3600 / 60);
    } else {
        (void)printf("%lldm %llds", seconds / 60, seconds % 60);
    }
}

/* What some kinds of processes have to tell, and only while they run. */
static void print_fact(const json_t *process, const char *what)
{
    if (json_is_string(json_object_get(process, what))) {
        (void)printf("   %s: %s", what, answer_text(process, what));
    }
}

static void print_process(const json_t *process)
{
    bool is_ready = json_is_true(json_object_get(process, "ready"));
    (void)printf("  %-10s pid %-8lld %-9s restarts %lld", answer_text(process, "role"),
                 answer_number(process, "pid"), is_ready ? "ready" : "not ready",
                 answer_number(process, "restarts"));
    if (is_ready) {
        (void)printf("   sandbox: %s", answer_text(process, "sandbox"));
    }
    if (json_object_get(process, "conns") != NULL) {
        (void)printf("   conns %lld  exchanges %lld  tunnels %lld", answer_number(process, "conns"),
                     answer_number(process, "exchanges"), answer_number(process, "tunnels"));
    }
    print_fact(process, "memory");
    print_fact(process, "signing");
    print_fact(process, "agreements");
    (void)printf("\n");
}

static const char *plural(long long count)
{
    return count == 1 ? "" : "s";
}

/* Of an instance that holds the place of another one there is none. */
static void print_policy(const json_t *status)
{
    if (json_object_get(status, "config") == NULL) {
        return;
    }
    long long hops = answer_number(status, "hops");
    long long violations = answer_number(status, "violations");
    const char *config = answer_text(status, "config");
    bool is_report = strcmp(answer_text(status, "mode"), "report") == 0;
    (void)printf("configuration %s\n", strcmp(config, ARGUMENTS_FILE) == 0
                                           ? "from options and environment, without a file"
                                           : config);
    (void)printf("generation %lld since %s\n", answer_number(status, "generation"),
                 answer_text(status, "generation_since"));
    (void)printf("mode %s: %lld hop%s, %lld violation%s, %lld waived%s\n",
                 answer_text(status, "mode"), hops, plural(hops), violations, plural(violations),
                 answer_number(status, "waived"),
                 is_report ? "; violations are reported and not refused" : "");
}

static void print_listeners(const json_t *listeners)
{
    size_t i = 0;
    const json_t *row = NULL;
    (void)printf("%s", json_array_size(listeners) > 0 ? "listeners\n" : "");
    json_array_foreach(listeners, i, row)
    {
        (void)printf("  %-10s %s\n", answer_text(row, "name"), answer_text(row, "address"));
    }
}

static void print_certificates(const json_t *certificates)
{
    size_t i = 0;
    const json_t *row = NULL;
    (void)printf("%s", json_array_size(certificates) > 0 ? "certificates\n" : "");
    json_array_foreach(certificates, i, row)
    {
        (void)printf("  %-10s until %s (%lld days)  %s\n", answer_text(row, "name"),
                     answer_text(row, "expires"), answer_number(row, "days_left"),
                     answer_text(row, "file"));
    }
}

static void print_expiring(const json_t *expiring)
{
    size_t i = 0;
    const json_t *row = NULL;
    json_array_foreach(expiring, i, row)
    {
        const char *subject = answer_text(row, "subject");
        long long days = answer_number(row, "days_left");
        (void)printf("%s: %s %s%s%s (%s) ", days < 0 ? "EXPIRED" : "expires soon",
                     answer_text(row, "kind"), answer_text(row, "name"),
                     subject[0] == '\0' ? "" : ", ", subject, answer_text(row, "file"));
        (void)printf(days < 0 ? "on %s\n" : "on %s, in %lld day%s\n", answer_text(row, "expires"),
                     days, plural(days));
    }
}

static void print_gossip(const json_t *clusters)
{
    size_t i = 0;
    const json_t *row = NULL;
    (void)printf("%s", json_array_size(clusters) > 0 ? "gossip\n" : "");
    json_array_foreach(clusters, i, row)
    {
        (void)printf("  %-10s %s, %lld peer%s, %lld stranger%s   sealed %lld  opened %lld  refused "
                     "%lld  replayed %lld  in clear %lld in, %lld out\n",
                     answer_text(row, "name"), answer_text(row, "mode"),
                     answer_number(row, "peers"), plural(answer_number(row, "peers")),
                     answer_number(row, "strangers"), plural(answer_number(row, "strangers")),
                     answer_number(row, "sealed"), answer_number(row, "opened"),
                     answer_number(row, "refused"), answer_number(row, "replayed"),
                     answer_number(row, "clear_in"), answer_number(row, "clear_out"));
    }
}

static void print_upgrade(const json_t *upgrade)
{
    const char *state = answer_text(upgrade, "state");
    long long former = answer_number(upgrade, "former_processes");
    if (strcmp(state, "none") == 0) {
        return;
    }
    (void)printf("last upgrade: %s", state);
    if (json_is_string(json_object_get(upgrade, "since"))) {
        (void)printf(" on %s", answer_text(upgrade, "since"));
    }
    if (former > 0) {
        (void)printf(", %lld former process%s still there", former, former == 1 ? "" : "es");
    }
    const char *reason = answer_text(upgrade, "reason");
    (void)printf("%s%s\n", reason[0] == '\0' ? "" : ": ", reason);
}

static void print_status(const json_t *status)
{
    size_t i = 0;
    const json_t *row = NULL;
    (void)printf("sallyport %s, %s, pid %lld, up ", answer_text(status, "version"),
                 answer_text(status, "state"), answer_number(status, "pid"));
    print_uptime(answer_number(status, "uptime_seconds"));
    (void)printf("\n");
    print_policy(status);
    print_upgrade(json_object_get(status, "upgrade"));
    (void)printf("processes\n");
    json_array_foreach(json_object_get(status, "processes"), i, row)
    {
        print_process(row);
    }
    instance_print_failing(json_object_get(status, "failing"));
    print_listeners(json_object_get(status, "listeners"));
    print_certificates(json_object_get(status, "certificates"));
    print_expiring(json_object_get(status, "expiring"));
    print_gossip(json_object_get(status, "gossip"));
    json_array_foreach(json_object_get(status, "notices"), i, row)
    {
        (void)printf("notice: %s\n", json_string_value(row));
    }
}

static enum command_exit show_metrics(const char *answer)
{
    json_t *object = json_loads(answer, 0, NULL);
    const char *text = json_string_value(json_object_get(object, "metrics"));
    if (text == NULL) {
        (void)fprintf(stderr, "sallyport status: the instance has no metrics\n");
        json_decref(object);
        return COMMAND_SYSTEM;
    }
    bool is_written = fputs(text, stdout) >= 0 && fflush(stdout) == 0;
    json_decref(object);
    return is_written ? COMMAND_FINE : COMMAND_SYSTEM;
}

static enum command_exit show_status(const char *answer, bool is_json)
{
    json_t *status = json_loads(answer, 0, NULL);
    if (is_json) {
        (void)printf("%s\n", answer);
    } else {
        print_status(status);
    }
    bool is_ready = json_is_true(json_object_get(status, "ready"));
    json_decref(status);
    return is_ready ? COMMAND_FINE : COMMAND_REFUSED;
}

int command_status(int argc, char **argv)
{
    struct instance_options options;
    char path[INSTANCE_PATH_BYTES];
    if (!instance_options_read(&options, argc, argv)) {
        return COMMAND_BAD_INPUT;
    }
    if (options.is_help) {
        instance_options_help("status",
                              "Shows the running instance. Exit status: 0 ready, 1 not ready, 2 "
                              "bad input, 3 nobody answers. With --metrics its figures in the text "
                              "format of Prometheus, and 0 whenever it answers.");
        return COMMAND_FINE;
    }
    if (!instance_find(&options, path)) {
        return COMMAND_BAD_INPUT;
    }
    char *answer = NULL;
    int timeout_ms = options.timeout_ms < 0 ? ANSWER_MS : (int)options.timeout_ms;
    const char *verb = options.is_metrics ? "metrics" : "status";
    if (admin_ask(path, verb, timeout_ms, &answer, NULL) != STATUS_OK) {
        instance_tell_silence(path);
        return COMMAND_SYSTEM;
    }
    enum command_exit done =
        options.is_metrics ? show_metrics(answer) : show_status(answer, options.is_json);
    free(answer);
    return done;
}
