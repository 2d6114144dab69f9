/* proxy/admin/status.h
 *
 * What an instance tells about itself: plain facts that the master gathers, and their JSON form,
 * which `sallyport status` prints.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "config/expiry.h"
#include "proxy/admin/gossip_report.h"
#include "proxy/relay/counters.h"

/* A worker, the keyholder or a gossip process. */
struct status_child {
    const char *role;
    pid_t pid; /* -1: not running at the moment */
    bool is_ready;
    uint64_t restarts;
    bool keeps_failing;
    uint64_t delay_ms;               /* before its last start */
    char sandbox[32];                /* what is in force: "seccomp, landlock 6" */
    const struct counters *counters; /* NULL: it has none */
    const char *memory;              /* "locked", "not locked"; NULL: of no matter */
    const char *batched;             /* what it may compute several of in one call: "signing" of the
                                        keyholder, "agreements" of a worker; NULL: nothing */
    uint32_t batch_lanes;            /* how many; 0: one */
};

struct status_listener {
    const char *name;
    const char *address; /* really bound */
};

struct status_certificate {
    const char *name;
    const char *file;
    int64_t expires; /* seconds since 1970 */
};

struct status_upgrade {
    const char *state;       /* "none", "rehearsing", "waiting", "done", "failed" */
    const char *reason;      /* of a failure; "": none */
    int64_t since;           /* seconds since 1970; 0: never */
    size_t former_processes; /* of programs before this one, that are there still */
};

/* All pointers are borrowed for the call. */
struct instance_status {
    const char *config;
    pid_t pid;
    uint64_t uptime_s;
    bool is_ready;
    bool is_draining;
    bool is_succeeding;       /* those of a former program serve until all is ready */
    bool is_expired;          /* and the policy says that this is not ready */
    uint32_t generation;      /* of the configuration; 1 at first, higher with each reload */
    int64_t generation_since; /* seconds since 1970 */
    bool is_report_mode;
    size_t hops;
    size_t violations;
    size_t waived;
    const struct status_child *children;
    size_t child_count;
    const struct status_listener *listeners;
    size_t listener_count;
    const struct status_certificate *certificates;
    size_t certificate_count;
    const struct config_expiry *expiry;
    const struct expiry_date *dates; /* of certificates and authorities */
    size_t date_count;
    const struct gossip_facts *gossip;
    size_t gossip_count;
    const char *const *notices;
    size_t notice_count;
    struct status_upgrade upgrade;
};

/* An instance whose new program could not start: the processes of the former one serve. */
struct holding_status {
    pid_t pid;
    uint64_t uptime_s;
    bool serves;
    bool is_draining;
    const struct status_child *children;
    size_t child_count;
    struct status_upgrade upgrade;
};

char *instance_holding_to_json(const struct holding_status *status);

/* How a reload ended. */
struct reload_outcome {
    int status;             /* exit status of the command; 0: done */
    const char *complaints; /* lines; borrowed */
    uint32_t generation;    /* that is in use now */
    uint64_t ms;
};

/* The answer to `reload`, in the same form. */
char *instance_reload_to_json(const struct reload_outcome *outcome);

/* One line of JSON, malloc'ed; NULL: out of memory. */
char *instance_status_to_json(const struct instance_status *status);

/* All pointers are borrowed for the call. */
struct instance_posture {
    const struct posture *judged;
    const struct gossip_facts *gossip;
    size_t gossip_count;
    const struct status_child *children;
    size_t child_count;
};

/* The answers to `posture` (which adds to what was judged what was seen of gossip's peers) and to
 * `keyrings`, in the same form. */
char *instance_posture_to_json(const struct instance_posture *posture);
char *instance_keyrings_to_json(const struct gossip_facts *gossip, size_t gossip_count);
