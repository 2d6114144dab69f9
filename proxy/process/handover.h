/* proxy/process/handover.h
 *
 * What one master leaves to the program that takes its place in an upgrade: sockets, children, and
 * what else outlives the programs. It passes as a text (proxy/process/handover_text.h).
 *
 * Owner: the master, or whoever holds its place (proxy/process/holding.h).
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#pragma once

#include <stdint.h>
#include <sys/types.h>

#include "config/model.h"
#include "proxy/base/log.h"
#include "proxy/base/slice.h"
#include "proxy/base/status.h"

enum {
    HANDOVER_ITEMS_MAX = 65536, /* of each kind */
    HANDOVER_ADDRESS_BYTES = 160,
    HANDOVER_PATH_BYTES = 128,
    HANDOVER_ROLE_BYTES = 24,
    HANDOVER_NAME_BYTES = 64,
    HANDOVER_PORTS_MAX = 64,
};

#define HANDOVER_UNIX_PREFIX "unix:"

struct handover_socket {
    int descriptor;
    uint32_t row;                       /* which of several of its address; from 0, without a gap */
    struct config_address asked;        /* without text and path */
    char bound[HANDOVER_ADDRESS_BYTES]; /* "[::]:8443", "unix:/run/web.sock" */
    bool is_lent;                       /* the service manager's, that keeps it open too */
};

struct handover_child {
    int channel;
    pid_t pid;
    uint32_t crew;    /* which upgrade has made it a former one */
    uint64_t gone_ms; /* it drains, and must be gone then (monotonic); 0: it serves */
    char role[HANDOVER_ROLE_BYTES];
};

/* The rules of a cluster, which are ours to remove. */
struct handover_rules {
    uint16_t own_port;
    uint16_t ports[HANDOVER_PORTS_MAX];
    size_t port_count;
    char name[HANDOVER_NAME_BYTES];
};

struct handover {
    pid_t pid;
    uint64_t begun_us;
    uint32_t crew;
    uint64_t drain_ms;
    int log;
    enum log_level log_level;
    enum log_format log_format;
    int admin; /* -1: none */
    char admin_path[HANDOVER_PATH_BYTES];
    int tickets; /* -1: none */
    int spent;   /* -1: none */
    struct handover_socket *sockets;
    size_t socket_count;
    struct handover_child *children;
    size_t child_count;
    struct handover_rules *rules;
    size_t rule_count;
};

/* With nothing in it. */
void handover_init(struct handover *handover);
/* Frees the memory; descriptors stay open. */
void handover_fini(struct handover *handover);

/* Copies, behind those before. NOMEM. */
MUST_CHECK enum status handover_add_socket(struct handover *handover,
                                           const struct handover_socket *socket);
MUST_CHECK enum status handover_add_child(struct handover *handover,
                                          const struct handover_child *child);
MUST_CHECK enum status handover_add_rules(struct handover *handover,
                                          const struct handover_rules *rules);

/* The child that this process was is gone. */
void handover_remove_child(struct handover *handover, pid_t pid);

/* The address as the configuration has it; its path is the socket's. */
struct config_address handover_asked(const struct handover_socket *socket);

/* Calls for each descriptor that is handed over. */
void handover_each_descriptor(const struct handover *handover,
                              void (*run)(void *self, int descriptor), void *self);
