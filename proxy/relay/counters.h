/* proxy/relay/counters.h
 *
 * What one worker counts, in memory shared with the master. Each worker writes only its own
 * struct, so there is no lock; readers see each number whole, not all numbers of one instant.
 *
 * The table gives each counter its metric name and help: enum, exporter and reference are made
 * from it.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#pragma once

#include <stdint.h>

#include "proxy/base/fault.h"

/* clang-format off */
#define COUNTER_TABLE(X)                                                                               \
    X(CONNS_ACCEPTED,     "sallyport_conns_accepted_total",        "conns accepted from clients")      \
    X(CONNS_OPEN,         "sallyport_conns_open",                  "client conns open now")            \
    X(BACKEND_CONNS_OPEN, "sallyport_backend_conns_open",          "backend conns open now")           \
    X(ACCEPT_PAUSES,      "sallyport_accept_pauses_total",         "times accepting paused at a limit") \
    X(HANDSHAKES_FULL,    "sallyport_tls_handshakes_full_total",   "full TLS handshakes with clients") \
    X(HANDSHAKES_RESUMED, "sallyport_tls_handshakes_resumed_total", "resumed TLS handshakes with clients") \
    X(EXCHANGES,          "sallyport_exchanges_total",             "exchanges ended")                  \
    X(EXCHANGES_OPEN,     "sallyport_exchanges_open",              "exchanges open now")               \
    X(TUNNELS_OPEN,       "sallyport_tunnels_open",                "tunnels open now")                 \
    X(BYTES_IN,           "sallyport_client_bytes_in_total",       "body bytes from clients")          \
    X(BYTES_OUT,          "sallyport_client_bytes_out_total",      "body bytes to clients")            \
    X(RETRIES,            "sallyport_backend_retries_total",       "connect attempts made on another server") \
    X(SERVER_CERTIFICATES_NEAR, "sallyport_server_certificates_near_total", "looks at a server's certificate whose end is near, once a day each") \
    X(LOG_LINES_DROPPED,  "sallyport_log_lines_dropped_total",     "log lines dropped because the reader was slow")
/* clang-format on */

#define COUNTER_ENUM(code, name, help) COUNTER_##code,
enum counter { COUNTER_TABLE(COUNTER_ENUM) COUNTERS };
#undef COUNTER_ENUM

struct counters {
    uint64_t at[COUNTERS];
    uint64_t faults[FAULT_CODES]; /* sallyport_faults_total{fault="name"} */
};

static inline void counter_add(struct counters *counters, enum counter counter, uint64_t amount)
{
    __atomic_store_n(&counters->at[counter], counters->at[counter] + amount, __ATOMIC_RELAXED);
}

static inline void counter_sub(struct counters *counters, enum counter counter, uint64_t amount)
{
    __atomic_store_n(&counters->at[counter], counters->at[counter] - amount, __ATOMIC_RELAXED);
}

static inline void counter_fault(struct counters *counters, enum fault_code fault)
{
    __atomic_store_n(&counters->faults[fault], counters->faults[fault] + 1, __ATOMIC_RELAXED);
}

static inline uint64_t counter_get_faults(const struct counters *counters, enum fault_code fault)
{
    return __atomic_load_n(&counters->faults[fault], __ATOMIC_RELAXED);
}

static inline uint64_t counter_get(const struct counters *counters, enum counter counter)
{
    return __atomic_load_n(&counters->at[counter], __ATOMIC_RELAXED);
}

/* The metric name and its help text. */
const char *counter_name(enum counter counter);
const char *counter_help(enum counter counter);
