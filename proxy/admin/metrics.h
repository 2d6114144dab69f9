/* proxy/admin/metrics.h
 *
 * The instance's figures in Prometheus's text format, which `sallyport status --metrics` prints:
 * what the status tells, what workers count, how hops are judged now, and what is known of
 * certificates, staples and tickets.
 *
 * Why it exists: what an operator wants an alert for has to be a number with a name that stays.
 *
 * The table is the list of all of them but for what workers count (proxy/relay/counters.h) and what
 * is counted of gossip (proxy/gossip/peer_table.h).
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "config/enforcement.h"
#include "crypto/spent_tickets.h"
#include "proxy/admin/status.h"

/* clang-format off */
#define METRIC_TABLE(X)                                                                                     \
    X(INFO,            "sallyport_info",                    "gauge",   "1, with the version that runs")      \
    X(UPTIME,          "sallyport_uptime_seconds",          "gauge",   "seconds since the start")            \
    X(READY,           "sallyport_ready",                   "gauge",   "1 when `status` says ready, else 0") \
    X(DRAINING,        "sallyport_draining",                "gauge",   "1 while it drains or stops")         \
    X(GENERATION,      "sallyport_config_generation",       "gauge",   "configurations put to work, the first included") \
    X(GENERATION_TIME, "sallyport_config_timestamp_seconds", "gauge",  "when the present one was, since 1970") \
    X(RELOADS,         "sallyport_config_reloads_total",    "counter", "reloads by how they ended")          \
    X(UPGRADE_FAILED,  "sallyport_upgrade_failed",          "gauge",   "1 when the last upgrade has failed, else 0") \
    X(FORMER,          "sallyport_former_processes",        "gauge",   "processes of a program before this one that are there still") \
    X(WORKERS,         "sallyport_workers",                 "gauge",   "worker processes that there should be") \
    X(PROCESS_READY,   "sallyport_process_ready",           "gauge",   "1 for a child process that is ready, else 0") \
    X(RESTARTS,        "sallyport_process_restarts_total",  "counter", "times that a child process was started again") \
    X(HOPS,            "sallyport_hops",                    "gauge",   "hops by verdict, judged now")        \
    X(HOP,             "sallyport_hop_violation",           "gauge",   "1 for a hop that the policy forbids and no waiver covers, else 0") \
    X(CERTIFICATE,     "sallyport_certificate_expiry_timestamp_seconds", "gauge", "when a certificate ends, since 1970: ours (own), and authorities of clients (client_ca) and servers (backend_ca)") \
    X(CERTIFICATE_DAYS, "sallyport_certificate_days_left",  "gauge",   "whole days until then, negative: days since") \
    X(STAPLE,          "sallyport_ocsp_state",              "gauge",   "1 for what a certificate with `ocsp: auto` is: good, revoked, or waiting for a response") \
    X(STAPLE_TIME,     "sallyport_ocsp_expiry_timestamp_seconds", "gauge", "when its response ends, since 1970; 0: it has none") \
    X(STAPLE_FAILURES, "sallyport_ocsp_failures",           "gauge",   "fetches that failed since the last good one") \
    X(TICKET_EPOCH,    "sallyport_tickets_epoch",           "gauge",   "epoch of the keys that seal session tickets") \
    X(TICKETS_SPENT,   "sallyport_tickets_spent_total",     "counter", "tickets of single use that were used") \
    X(TICKETS_REUSED,  "sallyport_tickets_reused_total",    "counter", "tickets of single use that were refused as used before") \
    X(TICKETS_NO_ROOM, "sallyport_tickets_no_room_total",   "counter", "tickets of single use that were refused as the list is full") \
    X(FAULTS,          "sallyport_faults_total",            "counter", "what went wrong, by fault code")     \
    X(GOSSIP_PEERS,    "sallyport_gossip_peers",            "gauge",   "peers of a gossip cluster by kind")  \
    X(GOSSIP_REFUSED,  "sallyport_gossip_refused_total",    "counter", "packets and frames of gossip that were refused") \
    X(GOSSIP_PACKETS,  "sallyport_gossip_events_total",     "counter", "packets and frames of gossip by what became of them")
/* clang-format on */

/* Of one certificate whose responder is asked. */
struct metrics_staple {
    const char *certificate;
    const char *state; /* "good", "revoked", "waiting" */
    int64_t ends_at;   /* 0: it has none */
    unsigned failures;
};

/* All borrowed for the call. */
struct metrics_facts {
    const struct instance_status *status;
    const struct posture *posture; /* judged now */
    const struct metrics_staple *staples;
    size_t staple_count;
    struct spent_facts spent;
    uint64_t ticket_epoch;
    uint64_t reloads_done;
    uint64_t reloads_failed;
};

/* The text, malloc'ed; NULL: out of memory. */
char *instance_metrics_text(const struct metrics_facts *facts);

/* The same as the one line of JSON that the admin socket gives: {"metrics": TEXT}. */
char *instance_metrics_to_json(const struct metrics_facts *facts);

/* The few of them that there are when a failed start has left the former processes serving. */
char *instance_holding_metrics_to_json(const struct holding_status *status);
