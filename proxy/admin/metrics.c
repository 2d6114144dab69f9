/* proxy/admin/metrics.c · SPDX-License-Identifier: Apache-2.0 */
#include "proxy/admin/metrics.h"

#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "proxy/admin/exposition.h"

#define METRIC_ENUM(code, name, kind, help) METRIC_##code,
enum metric { METRIC_TABLE(METRIC_ENUM) METRICS };
#undef METRIC_ENUM

static const struct {
    const char *name;
    const char *kind;
    const char *help;
} ROWS[METRICS] = {
#define METRIC_ROW(code, name, kind, help) [METRIC_##code] = {name, kind, help},
    METRIC_TABLE(METRIC_ROW)
#undef METRIC_ROW
};

enum { LABELS_MAX = 4 };

static void begin(FILE *out, enum metric metric)
{
    exposition_family(out, ROWS[metric].name, ROWS[metric].kind, ROWS[metric].help);
}

static void write_one(FILE *out, enum metric metric, int64_t value)
{
    begin(out, metric);
    exposition_sample(out, ROWS[metric].name, NULL, 0, value);
}

static void add(FILE *out, enum metric metric, const char *label, const char *text, int64_t value)
{
    const struct exposition_label one = {label, text};
    exposition_sample(out, ROWS[metric].name, &one, 1, value);
}

/* ---- the instance ---- */

static void write_upgrade(FILE *out, const struct status_upgrade *upgrade)
{
    bool has_failed = upgrade->state != NULL && strcmp(upgrade->state, "failed") == 0;
    write_one(out, METRIC_UPGRADE_FAILED, has_failed);
    write_one(out, METRIC_FORMER, (int64_t)upgrade->former_processes);
}

static void write_instance(FILE *out, const struct metrics_facts *facts)
{
    const struct instance_status *status = facts->status;
    bool is_ready =
        (status->is_ready || status->is_succeeding) && !status->is_draining && !status->is_expired;
    begin(out, METRIC_INFO);
    add(out, METRIC_INFO, "version", SALLYPORT_VERSION, 1);
    write_one(out, METRIC_UPTIME, (int64_t)status->uptime_s);
    write_one(out, METRIC_READY, is_ready);
    write_one(out, METRIC_DRAINING, status->is_draining);
    write_one(out, METRIC_GENERATION, status->generation);
    write_one(out, METRIC_GENERATION_TIME, status->generation_since);
    begin(out, METRIC_RELOADS);
    add(out, METRIC_RELOADS, "result", "done", (int64_t)facts->reloads_done);
    add(out, METRIC_RELOADS, "result", "failed", (int64_t)facts->reloads_failed);
    write_upgrade(out, &status->upgrade);
}

static void write_processes(FILE *out, const struct instance_status *status)
{
    int64_t workers = 0;
    begin(out, METRIC_PROCESS_READY);
    for (size_t i = 0; i < status->child_count; i++) {
        const struct status_child *child = &status->children[i];
        workers += child->counters != NULL;
        add(out, METRIC_PROCESS_READY, "role", child->role, child->is_ready);
    }
    begin(out, METRIC_RESTARTS);
    for (size_t i = 0; i < status->child_count; i++) {
        add(out, METRIC_RESTARTS, "role", status->children[i].role,
            (int64_t)status->children[i].restarts);
    }
    write_one(out, METRIC_WORKERS, workers);
}

/* ---- what workers count ---- */

static void write_counter(FILE *out, const struct instance_status *status, enum counter counter)
{
    static const char TOTAL[] = "_total";
    const char *name = counter_name(counter);
    size_t len = strlen(name);
    bool is_total = len > sizeof(TOTAL) - 1 && strcmp(name + len - (sizeof(TOTAL) - 1), TOTAL) == 0;
    exposition_family(out, name, is_total ? "counter" : "gauge", counter_help(counter));
    for (size_t i = 0; i < status->child_count; i++) {
        const struct status_child *child = &status->children[i];
        const struct exposition_label role = {"role", child->role};
        if (child->counters != NULL) {
            exposition_sample(out, name, &role, 1, (int64_t)counter_get(child->counters, counter));
        }
    }
}

static void write_faults(FILE *out, const struct instance_status *status)
{
    begin(out, METRIC_FAULTS);
    for (size_t k = 0; k < FAULT_CODES; k++) {
        enum fault_code fault = (enum fault_code)k;
        int64_t sum = 0;
        for (size_t i = 0; i < status->child_count; i++) {
            const struct counters *counters = status->children[i].counters;
            sum += counters == NULL ? 0 : (int64_t)counter_get_faults(counters, fault);
        }
        if (fault != FAULT_NONE) {
            add(out, METRIC_FAULTS, "fault", fault_name(fault), sum);
        }
    }
}

static void write_counters(FILE *out, const struct instance_status *status)
{
    for (size_t k = 0; k < COUNTERS; k++) {
        write_counter(out, status, (enum counter)k);
    }
    write_faults(out, status);
}

/* ---- hops ---- */

static void write_hops(FILE *out, const struct posture *posture)
{
    begin(out, METRIC_HOPS);
    size_t bad = posture->violations + posture->waived;
    add(out, METRIC_HOPS, "verdict", verdict_name(VERDICT_OK), (int64_t)(posture->count - bad));
    add(out, METRIC_HOPS, "verdict", verdict_name(VERDICT_VIOLATION), (int64_t)posture->violations);
    add(out, METRIC_HOPS, "verdict", verdict_name(VERDICT_WAIVED), (int64_t)posture->waived);
    begin(out, METRIC_HOP);
    for (size_t i = 0; i < posture->count; i++) {
        const struct judged_hop *judged = &posture->hops[i];
        add(out, METRIC_HOP, "hop", judged->hop.name, judged->verdict == VERDICT_VIOLATION);
    }
}

/* ---- certificates ---- */

static bool is_same_subject(const struct expiry_date *left, const struct expiry_date *right)
{
    return left->kind == right->kind && strcmp(left->name, right->name) == 0 &&
           strcmp(left->file, right->file) == 0 && strcmp(left->subject, right->subject) == 0;
}

/* A file may hold two authorities of one name, whose labels would be the same: the one that ends
 * first speaks for both. */
static bool is_spoken_for(const struct posture *posture, size_t index)
{
    const struct expiry_date *own = &posture->dates[index].date;
    for (size_t i = 0; i < posture->date_count; i++) {
        const struct expiry_date *other = &posture->dates[i].date;
        if (i != index && is_same_subject(own, other) &&
            (other->not_after < own->not_after ||
             (other->not_after == own->not_after && i < index))) {
            return true;
        }
    }
    return false;
}

static void write_date(FILE *out, enum metric metric, const struct expiry_date *date, int64_t value)
{
    const struct exposition_label labels[LABELS_MAX] = {{"kind", expiry_kind_name(date->kind)},
                                                        {"name", date->name},
                                                        {"file", date->file},
                                                        {"subject", date->subject}};
    exposition_sample(out, ROWS[metric].name, labels, LABELS_MAX, value);
}

static void write_certificates(FILE *out, const struct posture *posture)
{
    static const enum metric BOTH[] = {METRIC_CERTIFICATE, METRIC_CERTIFICATE_DAYS};
    for (size_t k = 0; k < sizeof(BOTH) / sizeof(BOTH[0]); k++) {
        begin(out, BOTH[k]);
        for (size_t i = 0; i < posture->date_count; i++) {
            const struct judged_date *judged = &posture->dates[i];
            if (!is_spoken_for(posture, i)) {
                write_date(out, BOTH[k], &judged->date,
                           k == 0 ? judged->date.not_after : judged->view.days_left);
            }
        }
    }
}

static void write_staples(FILE *out, const struct metrics_facts *facts)
{
    static const char *const STATES[] = {"good", "revoked", "waiting"};
    begin(out, METRIC_STAPLE);
    for (size_t i = 0; i < facts->staple_count; i++) {
        for (size_t k = 0; k < sizeof(STATES) / sizeof(STATES[0]); k++) {
            const struct exposition_label labels[] = {
                {"certificate", facts->staples[i].certificate}, {"state", STATES[k]}};
            exposition_sample(out, ROWS[METRIC_STAPLE].name, labels, 2,
                              strcmp(facts->staples[i].state, STATES[k]) == 0);
        }
    }
    begin(out, METRIC_STAPLE_TIME);
    for (size_t i = 0; i < facts->staple_count; i++) {
        add(out, METRIC_STAPLE_TIME, "certificate", facts->staples[i].certificate,
            facts->staples[i].ends_at);
    }
    begin(out, METRIC_STAPLE_FAILURES);
    for (size_t i = 0; i < facts->staple_count; i++) {
        add(out, METRIC_STAPLE_FAILURES, "certificate", facts->staples[i].certificate,
            facts->staples[i].failures);
    }
}

static void write_tickets(FILE *out, const struct metrics_facts *facts)
{
    write_one(out, METRIC_TICKET_EPOCH, (int64_t)facts->ticket_epoch);
    write_one(out, METRIC_TICKETS_SPENT, (int64_t)facts->spent.spent);
    write_one(out, METRIC_TICKETS_REUSED, (int64_t)facts->spent.refused);
    write_one(out, METRIC_TICKETS_NO_ROOM, (int64_t)facts->spent.no_room);
}

/* ---- gossip ---- */

static void write_gossip_sums(FILE *out, const char *cluster, const struct gossip_totals *totals)
{
    for (size_t k = 0; k < PEER_COUNTERS; k++) {
        const struct exposition_label labels[] = {
            {"cluster", cluster}, {"event", peer_counter_name((enum peer_counter)k)}};
        exposition_sample(out, ROWS[METRIC_GOSSIP_PACKETS].name, labels, 2,
                          (int64_t)totals->counts[k]);
    }
}

static void write_gossip_peers(FILE *out, const char *cluster, const struct gossip_totals *totals)
{
    const struct exposition_label known[] = {{"cluster", cluster}, {"kind", "peer"}};
    const struct exposition_label others[] = {{"cluster", cluster}, {"kind", "stranger"}};
    exposition_sample(out, ROWS[METRIC_GOSSIP_PEERS].name, known, 2, (int64_t)totals->peers);
    exposition_sample(out, ROWS[METRIC_GOSSIP_PEERS].name, others, 2, (int64_t)totals->strangers);
}

/* The samples of a family must stand together, so each is a walk of its own. */
static void write_gossip(FILE *out, const struct instance_status *status)
{
    static const enum metric ALL[] = {METRIC_GOSSIP_PEERS, METRIC_GOSSIP_REFUSED,
                                      METRIC_GOSSIP_PACKETS};
    for (size_t k = 0; k < sizeof(ALL) / sizeof(ALL[0]); k++) {
        begin(out, ALL[k]);
        for (size_t i = 0; i < status->gossip_count; i++) {
            const char *cluster = status->gossip[i].settings->name;
            struct gossip_totals totals;
            gossip_totals_of(&status->gossip[i], &totals);
            if (ALL[k] == METRIC_GOSSIP_PEERS) {
                write_gossip_peers(out, cluster, &totals);
            } else if (ALL[k] == METRIC_GOSSIP_REFUSED) {
                add(out, ALL[k], "cluster", cluster, (int64_t)totals.refused);
            } else {
                write_gossip_sums(out, cluster, &totals);
            }
        }
    }
}

/* ---- all ---- */

/* Takes the stream. False: what was written is not whole. */
static bool close_whole(FILE *out)
{
    bool is_whole = ferror(out) == 0;
    return fclose(out) == 0 && is_whole;
}

char *instance_metrics_text(const struct metrics_facts *facts)
{
    char *text = NULL;
    size_t len = 0;
    FILE *out = open_memstream(&text, &len);
    if (out == NULL) {
        return NULL;
    }
    write_instance(out, facts);
    write_processes(out, facts->status);
    write_counters(out, facts->status);
    write_hops(out, facts->posture);
    write_certificates(out, facts->posture);
    write_staples(out, facts);
    write_tickets(out, facts);
    write_gossip(out, facts->status);
    if (!close_whole(out)) {
        free(text);
        return NULL;
    }
    return text;
}

/* Takes the text; NULL stays NULL. */
static char *to_json(char *text)
{
    json_t *object = text == NULL ? NULL : json_pack("{s:s}", "metrics", text);
    char *line = object == NULL ? NULL : json_dumps(object, JSON_COMPACT);
    json_decref(object);
    free(text);
    return line;
}

char *instance_metrics_to_json(const struct metrics_facts *facts)
{
    return to_json(instance_metrics_text(facts));
}

char *instance_holding_metrics_to_json(const struct holding_status *status)
{
    char *text = NULL;
    size_t len = 0;
    FILE *out = open_memstream(&text, &len);
    if (out == NULL) {
        return NULL;
    }
    begin(out, METRIC_INFO);
    add(out, METRIC_INFO, "version", SALLYPORT_VERSION, 1);
    write_one(out, METRIC_UPTIME, (int64_t)status->uptime_s);
    write_one(out, METRIC_READY, status->serves && !status->is_draining);
    write_one(out, METRIC_DRAINING, status->is_draining);
    write_upgrade(out, &status->upgrade);
    if (!close_whole(out)) {
        free(text);
        return NULL;
    }
    return to_json(text);
}
