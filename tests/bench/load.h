/* tests/bench/load.h
 *
 * The load program's one loop and what every scenario shares: options, the TLS settings, the list
 * of clients and the report.
 *
 * Owner: main() of load.c. Scenarios and clients borrow it.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#pragma once

#include <netinet/in.h>
#include <openssl/ssl.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "tests/bench/report.h"

struct client;

enum { LOAD_SCRATCH = 256 * 1024 };

struct load_options {
    const char *scenario;
    const char *name; /* server name: SNI, Host, and what the certificate must say */
    const char *ca;   /* path of the certificates to trust, PEM */
    uint16_t port;    /* on 127.0.0.1 */
    int tls_version;  /* TLS1_2_VERSION or TLS1_3_VERSION */
    bool is_http2;    /* what ALPN offers, and must choose; follows from the scenario */
    size_t clients;   /* connections at a time; for idle scenarios: connections to hold */
    size_t in_flight; /* WebSocket messages in flight a connection */
    uint64_t bytes;   /* of one download or upload */
    double seconds;   /* of the measured stretch */
};

struct load {
    struct load_options options;
    struct report report;
    struct sockaddr_in address;
    SSL_CTX *tls;
    int epoll;
    struct client **clients; /* borrowed; as many as were added */
    size_t client_count;
    size_t client_room;
    size_t ready;         /* connections that have reached what is to be measured */
    unsigned next_source; /* which loopback address the next connection comes from */
    bool is_stopping;     /* no new connections; set when the stretch is over or all is lost */
    uint8_t scratch[LOAD_SCRATCH]; /* for one callback at a time */
};

/* One turn of the loop: waits at most `timeout_ms` for events and serves them. */
void load_turn(struct load *load, int timeout_ms);

/* Enters a client into the list. False: out of memory. */
bool load_add(struct load *load, struct client *client);

/* Counts a fault; too many of them stop the run. */
void load_fail(struct load *load, enum report_fault fault, const char *sentence);
