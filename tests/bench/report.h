/* tests/bench/report.h
 *
 * What one run of the load program found: right answers counted, wrong ones by kind, how long each
 * took, and the processor time that the watched processes used meanwhile.
 *
 * Why it exists: rate, errors and cost must be of exactly the same stretch of time, so the program
 * that knows when the stretch begins and ends takes all three.
 *
 * Owner: struct load.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/types.h>

enum report_fault {
    REPORT_CONNECT,     /* no TCP connection */
    REPORT_HANDSHAKE,   /* TLS handshake failed, or the certificate is not the expected one */
    REPORT_PARAMETERS,  /* another version, suite or protocol than asked for */
    REPORT_NOT_RESUMED, /* a full handshake where a resumed one was asked for */
    REPORT_CLOSED,      /* the connection ended too early */
    REPORT_ANSWER,      /* wrong status, length or bytes */
    REPORT_STUCK,       /* nothing came for the whole measured time */
    REPORT_FAULTS,
};

enum {
    REPORT_BUCKETS = 1024, /* 32 a doubling: about 3 % wide */
    REPORT_WATCHED_MAX = 16,
};

struct report {
    uint64_t units; /* what the scenario counts: handshakes, requests, bytes, messages */
    uint64_t reconnects;
    uint64_t faults[REPORT_FAULTS];
    uint64_t fault_total;
    char first_fault[160];
    uint64_t buckets[REPORT_BUCKETS];
    pid_t watched[REPORT_WATCHED_MAX];
    size_t watched_count;
    bool is_watching; /* false once a watched process could not be read */
    double cpu_begin; /* seconds, of all watched processes */
    double cpu_end;
    int64_t begin_ns;
    int64_t end_ns;
};

/* CLOCK_MONOTONIC, nanoseconds. */
int64_t report_now_ns(void);

/* Adds a process to watch; false when there are too many or there is no such process. */
bool report_watch(struct report *report, pid_t pid);

/* Forgets counts and times, not faults, and starts the measured stretch. */
void report_begin(struct report *report);

/* Ends it. */
void report_end(struct report *report);

/* Notes how long one unit took. */
void report_latency(struct report *report, int64_t ns);

/* Counts a fault and keeps the sentence of the first. */
void report_fail(struct report *report, enum report_fault fault, const char *sentence);

/* Writes one line of JSON. `unit` names what is counted. */
void report_print(const struct report *report, const char *scenario, const char *unit, FILE *out);
