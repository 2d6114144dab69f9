/* proxy/process/report.c · SPDX-License-Identifier: Apache-2.0 */
#include "proxy/process/report.h"

#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include "crypto/spent_tickets.h"
#include "crypto/ticket_keys.h"
#include "proxy/admin/metrics.h"
#include "proxy/base/clock.h"

static struct status_child child_facts(const struct child *child, const struct counters *counters)
{
    struct status_child facts = {.role = child->role,
                                 .pid = child->pid,
                                 .is_ready = child->state == CHILD_READY,
                                 .restarts = child->restarts,
                                 .keeps_failing = child_keeps_failing(child),
                                 .delay_ms = child->delay_ms,
                                 .counters = counters,
                                 .batch_lanes = child->batch_lanes};
    _Static_assert(sizeof(facts.sandbox) >= SANDBOX_TEXT_BYTES, "room for any description");
    sandbox_describe(child->sandbox, facts.sandbox);
    return facts;
}

static size_t gather_children(const struct roster *roster, const struct sidecars *sidecars,
                              struct status_child *children)
{
    size_t count = 0;
    for (size_t i = 0; i < roster->keyholder_count; i++) {
        children[count] = child_facts(&roster->keyholders[i], NULL);
        children[count].memory = roster->keyholders[i].is_locked ? "locked" : "not locked";
        children[count++].batched = "signing";
    }
    for (size_t i = 0; i < roster->worker_count; i++) {
        children[count] = child_facts(&roster->workers[i], slots_at(roster->supplies.slots, i));
        children[count++].batched = "agreements";
    }
    for (size_t i = 0; i < sidecars_count(sidecars); i++) {
        children[count++] = child_facts(sidecars_at(sidecars, i).child, NULL);
    }
    return count;
}

static size_t gather_listeners(const struct listen_sockets *sockets,
                               struct status_listener *listeners)
{
    size_t count = sockets == NULL ? 0 : listen_sockets_count(sockets);
    for (size_t i = 0; i < count; i++) {
        listeners[i] = (struct status_listener){.name = listen_sockets_name(sockets, i),
                                                .address = listen_sockets_address(sockets, i)};
    }
    return count;
}

/* calloc'ed; NULL: out of memory. */
static struct gossip_facts *gather_gossip(const struct sidecars *sidecars)
{
    size_t count = sidecars_count(sidecars);
    struct gossip_facts *gossip = calloc(count + 1, sizeof(*gossip));
    for (size_t i = 0; gossip != NULL && i < count; i++) {
        struct sidecar_facts facts = sidecars_at(sidecars, i);
        gossip[i] = (struct gossip_facts){.settings = facts.settings,
                                          .index = i,
                                          .pages = facts.pages,
                                          .refusal = facts.refusal,
                                          .is_ready = facts.child->state == CHILD_READY};
    }
    return gossip;
}

/* Room for all; calloc'ed, NULL: out of memory. */
static struct status_child *new_children(const struct report_subject *subject)
{
    size_t count = subject->roster->keyholder_count + subject->roster->worker_count +
                   sidecars_count(subject->sidecars) + 1; /* never of nothing */
    return calloc(count, sizeof(struct status_child));
}

/* ---- status ---- */

struct status_upgrade report_upgrade(const struct upgrade *upgrade, size_t former_processes)
{
    return (struct status_upgrade){.state = upgrade_state_name(upgrade),
                                   .reason = upgrade->reason,
                                   .since = upgrade->outcome_s,
                                   .former_processes = former_processes};
}

/* What a status points at. */
struct gathered {
    struct status_child *children;
    struct status_listener *listeners;
    struct gossip_facts *gossip;
};

/* False: out of memory; forget() is due in any case. */
static bool gather(const struct report_subject *subject, struct gathered *gathered)
{
    size_t listeners_max = subject->sockets == NULL ? 0 : listen_sockets_count(subject->sockets);
    gathered->children = new_children(subject);
    gathered->listeners = calloc(listeners_max + 1, sizeof(*gathered->listeners));
    gathered->gossip = gather_gossip(subject->sidecars);
    return gathered->children != NULL && gathered->listeners != NULL && gathered->gossip != NULL;
}

static void forget(struct gathered *gathered)
{
    free(gathered->children);
    free(gathered->listeners);
    free(gathered->gossip);
}

static bool is_expired(const struct plan *plan)
{
    return plan->config->enforcement.expiry.unready &&
           expiry_has_own_expired(&plan->dates, (int64_t)time(NULL));
}

static struct instance_status status_now(const struct report_subject *subject,
                                         const struct gathered *gathered)
{
    const struct plan *plan = subject->plan;
    return (struct instance_status){
        .config = plan->config->file,
        .pid = getpid(),
        .uptime_s = (clock_monotonic_us() - subject->begun_us) / 1000000U,
        .is_ready = roster_is_ready(subject->roster) && sidecars_are_ready(subject->sidecars),
        .is_draining = subject->is_draining,
        .is_succeeding = former_crew_serves(subject->crew),
        .upgrade = report_upgrade(subject->upgrade, former_crew_count(subject->crew)),
        .is_expired = is_expired(plan),
        .generation = subject->roster->present->number,
        .generation_since = subject->generation_since,
        .is_report_mode = plan->config->enforcement.mode == CONFIG_MODE_REPORT,
        .hops = plan->hops,
        .violations = plan->violations,
        .waived = plan->waived,
        .children = gathered->children,
        .child_count = gather_children(subject->roster, subject->sidecars, gathered->children),
        .listeners = gathered->listeners,
        .listener_count = gather_listeners(subject->sockets, gathered->listeners),
        .certificates = plan->certificates,
        .certificate_count = plan->certificate_count,
        .expiry = plan->dates.policy,
        .dates = plan->dates.dates,
        .date_count = plan->dates.count,
        .gossip = gathered->gossip,
        .gossip_count = sidecars_count(subject->sidecars),
        .notices = plan->notices,
        .notice_count = plan->notice_count,
    };
}

char *report_status(const struct report_subject *subject)
{
    struct gathered gathered = {NULL};
    char *text = NULL;
    if (gather(subject, &gathered)) {
        const struct instance_status status = status_now(subject, &gathered);
        text = instance_status_to_json(&status);
    }
    forget(&gathered);
    return text;
}

/* ---- posture and keyrings ---- */

/* What the responders say, beside what the files do. calloc'ed; NULL: out of memory. */
static struct enforcement_facts *facts_now(const struct report_subject *subject, time_t now)
{
    const struct plan *plan = subject->plan;
    struct enforcement_facts *facts = calloc(plan->fact_count + 1, sizeof(*facts));
    for (size_t i = 0; facts != NULL && i < plan->fact_count; i++) {
        facts[i] = plan->facts[i];
        enum staple_state state = staples_facts(subject->staples, facts[i].certificate, now).state;
        facts[i].is_revoked = state == STAPLE_REVOKED;
        facts[i].has_staple = state == STAPLE_OFF ? facts[i].has_staple : state == STAPLE_GOOD;
    }
    return facts;
}

static struct posture *judge_now(const struct report_subject *subject)
{
    const struct plan *plan = subject->plan;
    size_t count = sidecars_count(subject->sidecars);
    time_t now = time(NULL);
    struct enforcement_gossip_facts *rings = calloc(count + 1, sizeof(*rings));
    struct enforcement_facts *facts = facts_now(subject, now);
    if (rings == NULL || facts == NULL) {
        free(rings);
        free(facts);
        return NULL;
    }
    for (size_t i = 0; i < count; i++) {
        rings[i] = *sidecars_at(subject->sidecars, i).ring;
    }
    const struct enforcement_findings findings = {
        .certificates = facts,
        .certificate_count = plan->fact_count,
        .gossip = rings,
        .gossip_count = count,
        .dates = plan->dates.dates,
        .date_count = plan->dates.count,
        .now = (int64_t)now,
    };
    struct posture *posture = posture_new(plan->config, &findings);
    free(rings);
    free(facts);
    return posture;
}

char *report_posture(const struct report_subject *subject)
{
    struct posture *posture = judge_now(subject);
    struct gossip_facts *gossip = gather_gossip(subject->sidecars);
    struct status_child *children = new_children(subject);
    const struct instance_posture facts = {
        .judged = posture,
        .gossip = gossip,
        .gossip_count = sidecars_count(subject->sidecars),
        .children = children,
        .child_count =
            children == NULL ? 0 : gather_children(subject->roster, subject->sidecars, children),
    };
    char *text = posture == NULL || gossip == NULL || children == NULL
                     ? NULL
                     : instance_posture_to_json(&facts);
    free(children);
    posture_free(posture);
    free(gossip);
    return text;
}

char *report_keyrings(const struct report_subject *subject)
{
    struct gossip_facts *gossip = gather_gossip(subject->sidecars);
    char *text = gossip == NULL
                     ? NULL
                     : instance_keyrings_to_json(gossip, sidecars_count(subject->sidecars));
    free(gossip);
    return text;
}

/* ---- metrics ---- */

/* How many: those whose responder is asked. */
static size_t gather_staples(const struct report_subject *subject, struct metrics_staple *staples)
{
    static const char *const NAMES[] = {[STAPLE_OFF] = "off",
                                        [STAPLE_WAITING] = "waiting",
                                        [STAPLE_GOOD] = "good",
                                        [STAPLE_REVOKED] = "revoked"};
    const struct config *config = subject->plan->config;
    time_t now = time(NULL);
    size_t count = 0;
    for (size_t i = 0; i < config->certificate_count; i++) {
        const struct staple_facts facts = staples_facts(subject->staples, i, now);
        if (facts.state != STAPLE_OFF) {
            staples[count++] = (struct metrics_staple){.certificate = config->certificates[i].name,
                                                       .state = NAMES[facts.state],
                                                       .ends_at = (int64_t)facts.ends_at,
                                                       .failures = facts.failures};
        }
    }
    return count;
}

static char *make_metrics(const struct report_subject *subject, const struct gathered *gathered,
                          const struct posture *posture, struct metrics_staple *staples)
{
    const struct instance_status status = status_now(subject, gathered);
    struct metrics_facts facts = {
        .status = &status,
        .posture = posture,
        .staples = staples,
        .staple_count = gather_staples(subject, staples),
        .ticket_epoch = ticket_epoch((uint64_t)time(NULL), TICKET_EPOCH_SECONDS_DEFAULT),
        .reloads_done = subject->reloads_done,
        .reloads_failed = subject->reloads_failed,
    };
    if (subject->spent != NULL) {
        facts.spent = spent_tickets_facts(subject->spent);
    }
    return instance_metrics_to_json(&facts);
}

char *report_metrics(const struct report_subject *subject)
{
    struct gathered gathered = {NULL};
    struct posture *posture = judge_now(subject);
    struct metrics_staple *staples =
        calloc(subject->plan->config->certificate_count + 1, sizeof(*staples));
    char *text = NULL;
    if (posture != NULL && staples != NULL && gather(subject, &gathered)) {
        text = make_metrics(subject, &gathered, posture, staples);
    }
    forget(&gathered);
    free(staples);
    posture_free(posture);
    return text;
}
