/* proxy/commands/keyring_instance.c · SPDX-License-Identifier: Apache-2.0 */
#include "proxy/commands/keyring_instance.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "proxy/admin/client.h"
#include "proxy/base/clock.h"
#include "proxy/commands/instance.h"

enum { ANSWER_MS = 2000, POLL_MS = 50 };

bool keyring_instance_find(const struct keyring_options *options, char *path, bool *is_bad)
{
    struct instance_options instance = {
        .verb = "keyring", .config = options->config, .admin = options->admin};
    *is_bad = false;
    if (options->config == NULL && options->admin == NULL) {
        return false;
    }
    *is_bad = !instance_find(&instance, path);
    return !*is_bad;
}

/* ---- one answer ---- */

__attribute__((format(printf, 2, 3))) static void say(struct keyring_report *report,
                                                      const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    (void)vsnprintf(report->why, sizeof(report->why), format, arguments);
    va_end(arguments);
}

static bool is_same_file(const char *a, const char *b)
{
    char *whole_a = realpath(a, NULL);
    char *whole_b = realpath(b, NULL);
    bool is_same = whole_a != NULL && whole_b != NULL && strcmp(whole_a, whole_b) == 0;
    free(whole_a);
    free(whole_b);
    return is_same;
}

static bool is_same_ring(const json_t *keys, const struct keyring *ring)
{
    if (json_array_size(keys) != keyring_count(ring)) {
        return false;
    }
    for (size_t i = 0; i < json_array_size(keys); i++) {
        const json_t *key = json_array_get(keys, i);
        const char *id = json_string_value(json_object_get(key, "id"));
        /* Its own ids are of different keys, so as many known ones are all. */
        size_t index = id != NULL ? keyring_find(ring, id) : keyring_count(ring);
        bool is_primary = json_is_true(json_object_get(key, "is_primary"));
        if (index == keyring_count(ring) || is_primary != (index == 0)) {
            return false;
        }
    }
    return true;
}

static void judge_cluster(struct keyring_report *report, const json_t *cluster,
                          const struct keyring *ring)
{
    const char *name = json_string_value(json_object_get(cluster, "name"));
    const char *error = json_string_value(json_object_get(cluster, "error"));
    name = name != NULL ? name : "?";
    if (error != NULL) {
        report->is_loaded = false;
        say(report, "its cluster `%s` could not load the file: %s", name, error);
    } else if (!is_same_ring(json_object_get(cluster, "keys"), ring)) {
        report->is_loaded = false;
        say(report, "its cluster `%s` has not loaded what is in the file", name);
    }
}

static void judge(struct keyring_report *report, const json_t *answer, const char *file,
                  const struct keyring *ring)
{
    const json_t *clusters = json_object_get(answer, "gossip");
    const char *error = json_string_value(json_object_get(answer, "error"));
    report->clusters = json_array();
    if (!json_is_array(clusters) || report->clusters == NULL) {
        say(report, "it cannot tell of keyrings: %s", error != NULL ? error : "its answer is odd");
        return;
    }
    report->is_loaded = true;
    for (size_t i = 0; i < json_array_size(clusters); i++) {
        json_t *cluster = json_array_get(clusters, i);
        const char *path = json_string_value(json_object_get(cluster, "keyring"));
        if (path != NULL && is_same_file(path, file)) {
            (void)json_array_append(report->clusters, cluster);
            judge_cluster(report, cluster, ring);
        }
    }
    if (json_array_size(report->clusters) == 0) {
        report->is_loaded = false;
        say(report, "none of its gossip clusters has this keyring");
    }
}

void keyring_instance_ask(struct keyring_report *report, const char *path, const char *file,
                          const struct keyring *ring)
{
    *report = (struct keyring_report){0};
    char *text = NULL;
    enum status status = admin_ask(path, "keyrings", ANSWER_MS, &text, NULL);
    if (status != STATUS_OK) {
        say(report, "nobody answers at unix:%s%s%s", path, status == STATUS_SYS ? ": " : "",
            status == STATUS_SYS ? strerror(errno) : "");
        return;
    }
    json_t *answer = json_loads(text, 0, NULL);
    judge(report, answer, file, ring);
    json_decref(answer);
    free(text);
}

void keyring_report_fini(struct keyring_report *report)
{
    json_decref(report->clusters);
    report->clusters = NULL;
}

/* ---- of one key ---- */

static const json_t *find_key(const json_t *cluster, const char *id)
{
    const json_t *keys = json_object_get(cluster, "keys");
    for (size_t i = 0; i < json_array_size(keys); i++) {
        const json_t *key = json_array_get(keys, i);
        const char *other = json_string_value(json_object_get(key, "id"));
        if (other != NULL && strcmp(other, id) == 0) {
            return key;
        }
    }
    return NULL;
}

struct keyring_key_report keyring_report_key(const struct keyring_report *report, const char *id)
{
    struct keyring_key_report sum = {.is_loaded = json_array_size(report->clusters) > 0,
                                     .last_opened_seconds = -1};
    for (size_t i = 0; i < json_array_size(report->clusters); i++) {
        const json_t *key = find_key(json_array_get(report->clusters, i), id);
        const json_t *last = json_object_get(key, "last_opened_seconds");
        sum.is_loaded = sum.is_loaded && key != NULL;
        sum.sealed += json_integer_value(json_object_get(key, "sealed"));
        sum.opened += json_integer_value(json_object_get(key, "opened"));
        if (json_is_integer(last) &&
            (sum.last_opened_seconds < 0 || json_integer_value(last) < sum.last_opened_seconds)) {
            sum.last_opened_seconds = json_integer_value(last);
        }
    }
    return sum;
}

/* ---- waiting ---- */

bool keyring_instance_wait(const char *path, const char *file, const struct keyring *ring,
                           long timeout_ms, char why[KEYRING_WHY_BYTES])
{
    uint64_t until_us = clock_monotonic_us() + (uint64_t)timeout_ms * 1000U;
    for (;;) {
        struct keyring_report report;
        keyring_instance_ask(&report, path, file, ring);
        bool is_loaded = report.is_loaded;
        (void)snprintf(why, KEYRING_WHY_BYTES, "%s", report.why);
        keyring_report_fini(&report);
        if (is_loaded || clock_monotonic_us() >= until_us) {
            return is_loaded;
        }
        (void)usleep(POLL_MS * 1000);
    }
}
