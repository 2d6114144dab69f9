/* proxy/process/report.c · SPDX-License-Identifier: Apache-2.0 */
#include "proxy/process/report.h"

#include <stdlib.h>
#include <unistd.h>

#include "proxy/base/clock.h"

static struct status_child child_facts(const struct child *child, const struct counters *counters)
{
    return (struct status_child){.role = child->role,
                                 .pid = child->pid,
                                 .is_ready = child->state == CHILD_READY,
                                 .restarts = child->restarts,
                                 .counters = counters};
}

static size_t gather_children(const struct roster *roster, struct status_child *children)
{
    size_t count = 0;
    if (roster->has_keyholder) {
        children[count++] = child_facts(&roster->keyholder, NULL);
    }
    for (size_t i = 0; i < roster->worker_count; i++) {
        children[count++] = child_facts(&roster->workers[i], slots_at(roster->supplies.slots, i));
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

char *report_make(const struct master_start *start, const struct roster *roster,
                  const struct listen_sockets *sockets, bool is_draining)
{
    size_t listeners_max = sockets == NULL ? 0 : listen_sockets_count(sockets);
    struct status_child *children = calloc(roster->worker_count + 1, sizeof(*children));
    struct status_listener *listeners = calloc(listeners_max + 1, sizeof(*listeners));
    char *text = NULL;
    if (children != NULL && listeners != NULL) {
        const struct instance_status status = {
            .config = start->config->file,
            .pid = getpid(),
            .uptime_s = (clock_monotonic_us() - start->begun_us) / 1000000U,
            .is_ready = roster_is_ready(roster),
            .is_draining = is_draining,
            .is_report_mode = start->config->enforcement.mode == CONFIG_MODE_REPORT,
            .hops = start->hops,
            .violations = start->violations,
            .waived = start->waived,
            .children = children,
            .child_count = gather_children(roster, children),
            .listeners = listeners,
            .listener_count = gather_listeners(sockets, listeners),
            .certificates = start->certificates,
            .certificate_count = start->certificate_count,
            .notices = start->notices,
            .notice_count = start->notice_count,
        };
        text = instance_status_to_json(&status);
    }
    free(children);
    free(listeners);
    return text;
}
