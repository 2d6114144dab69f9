/* tests/unit/support/relay_rig.h
 *
 * A relay from a configuration's text, with plaintext listeners; clients and backends are sockets
 * of the test. At the end every counter of something open must be zero again.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#pragma once

#include <sys/mman.h>

#include "config/load.h"
#include "proxy/relay/relay.h"
#include "support/peer.h"

enum { RELAY_SERVERS = 2, RELAY_PEERS_MAX = 64, RELAY_LOG_ROOM = 64 * 1024 };

struct relay_rig {
    struct turns turns;
    struct bundle *bundle;
    struct config *config;
    struct counters counters;
    struct log *log;
    struct log *access_log;
    int log_file;
    int access_file;
    int listening; /* of the relay */
    uint16_t port;
    int servers[RELAY_SERVERS]; /* listening; -1: refuses */
    uint16_t server_ports[RELAY_SERVERS];
    struct relay *relay;
    struct peer clients[RELAY_PEERS_MAX];
    size_t client_count;
    struct peer backends[RELAY_PEERS_MAX]; /* conns that the relay opened, in order */
    size_t backend_count;
    bool is_drained;
    bool frees_when_drained;
};

static inline struct config *relay_rig_load(struct relay_rig *rig, const char *more)
{
    char text[2000];
    (void)snprintf(text, sizeof(text),
                   "backends: {app: {servers: ['http://127.0.0.1:%u', 'http://127.0.0.1:%u'],"
                   " balance: round_robin}}\n"
                   "listeners: [{name: web, address: '127.0.0.1:%u', tls: off,"
                   " routes: [{host: localhost, path: /, backend: app}]}]\n%s",
                   rig->server_ports[0], rig->server_ports[1], rig->port, more);
    rig->bundle = bundle_new();
    assert_true(bundle_add(rig->bundle, "f", text, strlen(text)));
    struct problem_list *problems = problem_list_new();
    struct source source = source_bundle(rig->bundle);
    struct config *config = config_load(&source, "f", problems);
    for (size_t i = 0; problem_at(problems, i) != NULL; i++) {
        char line[800];
        problem_format(problem_at(problems, i), line, sizeof(line));
        print_error("%s\n", line);
    }
    problem_list_free(problems);
    assert_non_null(config);
    return config;
}

/* The configuration is loaded and can be changed before relay_rig_open. */
static inline void relay_rig_init(struct relay_rig *rig, const char *more)
{
    *rig = (struct relay_rig){0};
    turns_init(&rig->turns);
    rig->listening = peer_listen(&rig->port);
    for (size_t i = 0; i < RELAY_SERVERS; i++) {
        rig->servers[i] = peer_listen(&rig->server_ports[i]);
    }
    rig->config = relay_rig_load(rig, more);
    rig->log_file = memfd_create("log", MFD_CLOEXEC);
    rig->access_file = memfd_create("access", MFD_CLOEXEC);
    rig->log = log_new(LOG_INFO, LOG_JSON, rig->log_file, "test");
    rig->access_log = log_new(LOG_INFO, LOG_JSON, rig->access_file, "test");
    assert_non_null(rig->log);
    assert_non_null(rig->access_log);
}

static inline void relay_rig_open(struct relay_rig *rig)
{
    const struct relay_start start = {
        .loop = rig->turns.loop,
        .config = rig->config,
        .bundle = rig->bundle,
        .log = rig->log,
        .access_log = rig->access_log,
        .counters = &rig->counters,
        .descriptors = &rig->listening,
        .descriptor_count = 1,
    };
    struct relay_error error = {{0}};
    enum status status = relay_open(&rig->relay, &start, &error);
    if (status != STATUS_OK) {
        fail_msg("relay_open: %d %s", (int)status, error.text);
    }
}

/* What was logged so far. Valid until the next call. */
static inline const char *relay_rig_lines(struct relay_rig *rig, struct log *log, int file)
{
    static char text[RELAY_LOG_ROOM + 1];
    (void)rig;
    log_flush(log);
    ssize_t got = pread(file, text, RELAY_LOG_ROOM, 0);
    text[got > 0 ? got : 0] = '\0';
    return text;
}

static inline void relay_rig_expect_access(struct relay_rig *rig, const char *part)
{
    const char *lines = relay_rig_lines(rig, rig->access_log, rig->access_file);
    if (strstr(lines, part) == NULL) {
        fail_msg("no %s in the access log:\n%s", part, lines);
    }
}

static inline size_t relay_rig_access_lines(struct relay_rig *rig)
{
    size_t lines = 0;
    for (const char *at = relay_rig_lines(rig, rig->access_log, rig->access_file); *at != '\0';
         at++) {
        lines += *at == '\n' ? 1U : 0U;
    }
    return lines;
}

static inline void relay_rig_refuse(struct relay_rig *rig, size_t server)
{
    (void)close(rig->servers[server]);
    rig->servers[server] = -1;
}

/* Accepts what the relay has opened, and hears everybody. */
static inline bool relay_rig_serve(void *self)
{
    struct relay_rig *rig = self;
    for (size_t i = 0; i < RELAY_SERVERS; i++) {
        int descriptor =
            rig->servers[i] < 0 ? -1 : accept4(rig->servers[i], NULL, NULL, SOCK_CLOEXEC);
        if (descriptor >= 0) {
            assert_true(rig->backend_count < RELAY_PEERS_MAX);
            peer_init(&rig->backends[rig->backend_count++], descriptor);
        }
    }
    for (size_t i = 0; i < rig->backend_count; i++) {
        peer_hear(&rig->backends[i]);
    }
    for (size_t i = 0; i < rig->client_count; i++) {
        peer_hear(&rig->clients[i]);
    }
    return false;
}

static inline void relay_rig_settle(struct relay_rig *rig)
{
    turns_settle(&rig->turns, relay_rig_serve, rig);
}

static inline struct peer *relay_rig_connect(struct relay_rig *rig)
{
    assert_true(rig->client_count < RELAY_PEERS_MAX);
    struct peer *client = &rig->clients[rig->client_count++];
    peer_init(client, peer_connect_to(rig->port));
    return client;
}

/* A client's bytes, and whatever follows of them. */
static inline void relay_rig_say(struct relay_rig *rig, struct peer *peer, const char *text)
{
    peer_say(peer, text);
    relay_rig_settle(rig);
}

static inline void relay_rig_on_drained(void *self)
{
    struct relay_rig *rig = self;
    rig->is_drained = true;
    if (rig->frees_when_drained) {
        relay_free(rig->relay);
        rig->relay = NULL;
    }
}

static inline void relay_rig_fini(struct relay_rig *rig)
{
    relay_free(rig->relay);
    for (size_t i = 0; i < rig->client_count; i++) {
        peer_fini(&rig->clients[i]);
    }
    for (size_t i = 0; i < rig->backend_count; i++) {
        peer_fini(&rig->backends[i]);
    }
    turns_settle(&rig->turns, NULL, NULL);
    assert_int_equal(counter_get(&rig->counters, COUNTER_CONNS_OPEN), 0);
    assert_int_equal(counter_get(&rig->counters, COUNTER_BACKEND_CONNS_OPEN), 0);
    assert_int_equal(counter_get(&rig->counters, COUNTER_EXCHANGES_OPEN), 0);
    assert_int_equal(counter_get(&rig->counters, COUNTER_TUNNELS_OPEN), 0);
    assert_int_equal(counter_get(&rig->counters, COUNTER_EXCHANGES), relay_rig_access_lines(rig));
    turns_fini(&rig->turns);
    log_free(rig->log);
    log_free(rig->access_log);
    (void)close(rig->log_file);
    (void)close(rig->access_file);
    (void)close(rig->listening);
    for (size_t i = 0; i < RELAY_SERVERS; i++) {
        if (rig->servers[i] >= 0) {
            (void)close(rig->servers[i]);
        }
    }
    config_free(rig->config);
    bundle_free(rig->bundle);
}
