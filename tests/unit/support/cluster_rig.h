/* tests/unit/support/cluster_rig.h
 *
 * One cluster with its pages, and with its log in a file that the test can read.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#pragma once

#include <inttypes.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cmocka.h>

#include "proxy/gossip/cluster.h"

#define CLUSTER_TEN(text) text text text text text text text text text text
#define CLUSTER_KEY_A     CLUSTER_TEN("ERER") "ERE=\n"
#define CLUSTER_KEY_B     CLUSTER_TEN("IiIi") "IiI=\n"
#define CLUSTER_KEY_C     CLUSTER_TEN("MzMz") "MzM=\n"
#define CLUSTER_KEY_SHORT "RERERERERERERERERERERA==\n" /* 128 bits */

enum { CLUSTER_LOG_BYTES = 256 * 1024, CLUSTER_PORT = 7946 };

struct cluster_rig {
    uint16_t ports[1];
    struct config_gossip settings;
    struct loop *loop;
    struct log *log;
    struct peer_pages *pages;
    struct cluster cluster;
    int log_file;
    char *lines; /* as last read */
};

/* `settings` (may be NULL) is copied; name and ports are put in. */
static inline void cluster_rig_init(struct cluster_rig *rig, struct loop *loop,
                                    const struct config_gossip *settings, const char *keyring)
{
    *rig = (struct cluster_rig){.ports = {CLUSTER_PORT}, .loop = loop};
    rig->settings = settings != NULL ? *settings : (struct config_gossip){.version = 1};
    rig->settings.name = "test";
    rig->settings.ports = rig->ports;
    rig->settings.port_count = 1;
    rig->log_file = memfd_create("log", MFD_CLOEXEC);
    rig->log = log_new(LOG_INFO, LOG_JSON, rig->log_file, "test");
    rig->lines = calloc(1, CLUSTER_LOG_BYTES + 1);
    int descriptor = peer_pages_new();
    rig->pages = peer_pages_map(descriptor, true);
    (void)close(descriptor);
    assert_true(rig->log != NULL && rig->lines != NULL && rig->pages != NULL);
    assert_int_equal(cluster_init(&rig->cluster, &rig->settings, loop, rig->log, rig->pages),
                     STATUS_OK);
    struct crypto_error error = {{0}};
    assert_int_equal(cluster_set_ring(&rig->cluster,
                                      (struct bytes){(const uint8_t *)keyring, strlen(keyring)},
                                      &error),
                     STATUS_OK);
}

static inline void cluster_rig_fini(struct cluster_rig *rig)
{
    cluster_fini(&rig->cluster);
    peer_pages_unmap(rig->pages);
    log_free(rig->log);
    (void)close(rig->log_file);
    free(rig->lines);
}

/* All that was logged until now. */
static inline const char *cluster_rig_log(struct cluster_rig *rig)
{
    log_flush(rig->log);
    ssize_t len = pread(rig->log_file, rig->lines, CLUSTER_LOG_BYTES, 0);
    assert_true(len >= 0);
    rig->lines[len] = '\0';
    return rig->lines;
}

static inline size_t cluster_rig_count(struct cluster_rig *rig, const char *text)
{
    size_t count = 0;
    for (const char *at = cluster_rig_log(rig); (at = strstr(at, text)) != NULL; at++) {
        count++;
    }
    return count;
}

static inline void cluster_rig_expect(struct cluster_rig *rig, const char *text)
{
    if (cluster_rig_count(rig, text) == 0) {
        fail_msg("%s is not in the log:\n%s", text, rig->lines);
    }
}

static inline struct endpoint cluster_rig_endpoint(uint32_t number)
{
    const uint8_t ip[] = {10, (uint8_t)(number >> 16), (uint8_t)(number >> 8), (uint8_t)number};
    struct endpoint endpoint;
    assert_true(endpoint_from_ip(&endpoint, ip, sizeof(ip), CLUSTER_PORT));
    return endpoint;
}

/* The peer 10.x.y.z:7946; a stranger unless `is_local`. */
static inline struct peer *cluster_rig_peer(struct cluster_rig *rig, uint32_t number, bool is_local)
{
    struct endpoint endpoint = cluster_rig_endpoint(number);
    return peer_table_get(rig->cluster.peers, &endpoint, is_local, rig->cluster.now_s);
}

/* Everything that was counted of a peer. */
static inline uint64_t cluster_rig_sum(const struct peer *peer)
{
    uint64_t sum = 0;
    for (int i = 0; i < PEER_COUNTERS; i++) {
        sum += peer->at[i];
    }
    for (int i = 0; i < GOSSIP_REFUSALS; i++) {
        sum += peer->refused[i];
    }
    return sum;
}
