/* proxy/process/report.c · SPDX-License-Identifier: Apache-2.0 */
#include "proxy/process/report.h"

#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include "proxy/base/clock.h"

static struct status_child child_facts(const struct child *child, const struct counters *counters)
{
    struct status_child facts = {.role = child->role,
                                 .pid = child->pid,
                                 .is_ready = child->state == CHILD_READY,
                                 .restarts = child->restarts,
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

/* ---- status ---- */

static char *make_status(const struct report_subject *subject, struct status_child *children,
                         struct status_listener *listeners, const struct gossip_facts *gossip)
{
    const struct plan *plan = subject->plan;
    const struct instance_status status = {
        .config = plan->config->file,
        .pid = getpid(),
        .uptime_s = (clock_monotonic_us() - subject->begun_us) / 1000000U,
        .is_ready = roster_is_ready(subject->roster) && sidecars_are_ready(subject->sidecars),
        .is_draining = subject->is_draining,
        .is_expired = plan->config->enforcement.expiry.unready &&
                      expiry_has_own_expired(&plan->dates, (int64_t)time(NULL)),
        .generation = subject->roster->present->number,
        .generation_since = subject->generation_since,
        .is_report_mode = plan->config->enforcement.mode == CONFIG_MODE_REPORT,
        .hops = plan->hops,
        .violations = plan->violations,
        .waived = plan->waived,
        .children = children,
        .child_count = gather_children(subject->roster, subject->sidecars, children),
        .listeners = listeners,
        .listener_count = gather_listeners(subject->sockets, listeners),
        .certificates = plan->certificates,
        .certificate_count = plan->certificate_count,
        .expiry = plan->dates.policy,
        .dates = plan->dates.dates,
        .date_count = plan->dates.count,
        .gossip = gossip,
        .gossip_count = sidecars_count(subject->sidecars),
        .notices = plan->notices,
        .notice_count = plan->notice_count,
    };
    return instance_status_to_json(&status);
}

char *report_status(const struct report_subject *subject)
{
    size_t children_max = subject->roster->keyholder_count + subject->roster->worker_count +
                          sidecars_count(subject->sidecars) + 1; /* never of nothing */
    size_t listeners_max = subject->sockets == NULL ? 0 : listen_sockets_count(subject->sockets);
    struct status_child *children = calloc(children_max, sizeof(*children));
    struct status_listener *listeners = calloc(listeners_max + 1, sizeof(*listeners));
    struct gossip_facts *gossip = gather_gossip(subject->sidecars);
    char *text = children == NULL || listeners == NULL || gossip == NULL
                     ? NULL
                     : make_status(subject, children, listeners, gossip);
    free(children);
    free(listeners);
    free(gossip);
    return text;
}

/* ---- posture and keyrings ---- */

static struct posture *judge_now(const struct report_subject *subject)
{
    const struct plan *plan = subject->plan;
    size_t count = sidecars_count(subject->sidecars);
    struct enforcement_gossip_facts *rings = calloc(count + 1, sizeof(*rings));
    if (rings == NULL) {
        return NULL;
    }
    for (size_t i = 0; i < count; i++) {
        rings[i] = *sidecars_at(subject->sidecars, i).ring;
    }
    const struct enforcement_findings findings = {
        .certificates = plan->facts,
        .certificate_count = plan->fact_count,
        .gossip = rings,
        .gossip_count = count,
        .dates = plan->dates.dates,
        .date_count = plan->dates.count,
        .now = (int64_t)time(NULL),
    };
    struct posture *posture = posture_new(plan->config, &findings);
    free(rings);
    return posture;
}

char *report_posture(const struct report_subject *subject)
{
    struct posture *posture = judge_now(subject);
    struct gossip_facts *gossip = gather_gossip(subject->sidecars);
    char *text = posture == NULL || gossip == NULL
                     ? NULL
                     : instance_posture_to_json(posture, gossip, sidecars_count(subject->sidecars));
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
