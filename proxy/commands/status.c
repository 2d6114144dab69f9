/* proxy/commands/status.c
 *
 * sallyport status: what the running instance says about itself. Exit: 0 ready, 1 running but not
 * ready (starting, draining, a worker being started again), 2 bad input, 3 nobody answers.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "config/arguments.h"
#include "proxy/admin/client.h"
#include "proxy/commands/command.h"
#include "proxy/commands/instance.h"

enum { ANSWER_MS = 5000 };

static const char *text_of(const json_t *object, const char *key)
{
    const char *text = json_string_value(json_object_get(object, key));
    return text == NULL ? "?" : text;
}

static long long number_of(const json_t *object, const char *key)
{
    return (long long)json_integer_value(json_object_get(object, key));
}

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

static void print_process(const json_t *process)
{
    bool is_ready = json_is_true(json_object_get(process, "ready"));
    (void)printf("  %-10s pid %-8lld %-9s restarts %lld", text_of(process, "role"),
                 number_of(process, "pid"), is_ready ? "ready" : "not ready",
                 number_of(process, "restarts"));
    if (json_object_get(process, "conns") != NULL) {
        (void)printf("   conns %lld  exchanges %lld  tunnels %lld", number_of(process, "conns"),
                     number_of(process, "exchanges"), number_of(process, "tunnels"));
    }
    (void)printf("\n");
}

static const char *plural(long long count)
{
    return count == 1 ? "" : "s";
}

static void print_policy(const json_t *status)
{
    long long hops = number_of(status, "hops");
    long long violations = number_of(status, "violations");
    const char *config = text_of(status, "config");
    bool is_report = strcmp(text_of(status, "mode"), "report") == 0;
    (void)printf("configuration %s\n", strcmp(config, ARGUMENTS_FILE) == 0
                                           ? "from options and environment, without a file"
                                           : config);
    (void)printf("mode %s: %lld hop%s, %lld violation%s, %lld waived%s\n", text_of(status, "mode"),
                 hops, plural(hops), violations, plural(violations), number_of(status, "waived"),
                 is_report ? "; violations are reported and not refused" : "");
}

static void print_listeners(const json_t *listeners)
{
    size_t i = 0;
    const json_t *row = NULL;
    (void)printf("%s", json_array_size(listeners) > 0 ? "listeners\n" : "");
    json_array_foreach(listeners, i, row)
    {
        (void)printf("  %-10s %s\n", text_of(row, "name"), text_of(row, "address"));
    }
}

static void print_certificates(const json_t *certificates)
{
    size_t i = 0;
    const json_t *row = NULL;
    (void)printf("%s", json_array_size(certificates) > 0 ? "certificates\n" : "");
    json_array_foreach(certificates, i, row)
    {
        (void)printf("  %-10s until %s (%lld days)  %s\n", text_of(row, "name"),
                     text_of(row, "expires"), number_of(row, "days_left"), text_of(row, "file"));
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
                     text_of(row, "name"), text_of(row, "mode"), number_of(row, "peers"),
                     plural(number_of(row, "peers")), number_of(row, "strangers"),
                     plural(number_of(row, "strangers")), number_of(row, "sealed"),
                     number_of(row, "opened"), number_of(row, "refused"),
                     number_of(row, "replayed"), number_of(row, "clear_in"),
                     number_of(row, "clear_out"));
    }
}

static void print_status(const json_t *status)
{
    size_t i = 0;
    const json_t *row = NULL;
    (void)printf("sallyport %s, %s, pid %lld, up ", text_of(status, "version"),
                 text_of(status, "state"), number_of(status, "pid"));
    print_uptime(number_of(status, "uptime_seconds"));
    (void)printf("\n");
    print_policy(status);
    (void)printf("processes\n");
    json_array_foreach(json_object_get(status, "processes"), i, row)
    {
        print_process(row);
    }
    print_listeners(json_object_get(status, "listeners"));
    print_certificates(json_object_get(status, "certificates"));
    print_gossip(json_object_get(status, "gossip"));
    json_array_foreach(json_object_get(status, "notices"), i, row)
    {
        (void)printf("notice: %s\n", json_string_value(row));
    }
}

int command_status(int argc, char **argv)
{
    struct instance_options options;
    char path[INSTANCE_PATH_BYTES];
    if (!instance_options_read(&options, argc, argv)) {
        return COMMAND_BAD_INPUT;
    }
    if (options.is_help) {
        instance_options_help("status", "Shows the running instance. Exit status: 0 ready, "
                                        "1 not ready, 2 bad input, 3 nobody answers.");
        return COMMAND_FINE;
    }
    if (!instance_find(&options, path)) {
        return COMMAND_BAD_INPUT;
    }
    char *answer = NULL;
    int timeout_ms = options.timeout_ms < 0 ? ANSWER_MS : (int)options.timeout_ms;
    if (admin_ask(path, "status", timeout_ms, &answer, NULL) != STATUS_OK) {
        instance_tell_silence(path);
        return COMMAND_SYSTEM;
    }
    json_t *status = json_loads(answer, 0, NULL);
    if (options.is_json) {
        (void)printf("%s\n", answer);
    } else {
        print_status(status);
    }
    bool is_ready = json_is_true(json_object_get(status, "ready"));
    json_decref(status);
    free(answer);
    return is_ready ? COMMAND_FINE : COMMAND_REFUSED;
}
