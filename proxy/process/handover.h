/* proxy/process/handover.h
 *
 * What one master leaves to the program that takes its place in an upgrade, as a text of lines:
 *
 *     sallyport-handover 1
 *     pid 4711                                  the process, which stays the same
 *     begun 81723661                            when the instance began, monotonic microseconds
 *     crew 2                                    how many upgrades there were, this one included
 *     drain 30000                               how long its children take to end, milliseconds
 *     log 5 2 0                                 descriptor, level, format
 *     admin 7 /run/sallyport/admin.sock
 *     tickets 9                                 the random secret of the tickets, sealed
 *     spent 10                                  the list of spent tickets
 *     socket 11 0 4:00000000:8443 0.0.0.0:8443  descriptor, row, as asked for, as bound
 *     lent 12 0 unix unix:/run/web.sock         the same of a socket that a service manager opened
 *     child 14 4712 1 0 worker 1                channel, pid, crew, when it must be gone, role
 *     rules 7947 7946,8301 nodes                own port, ports, name of a cluster
 *     end
 *
 * Why it exists: two versions of the program have to agree on it, and who reads it must not believe
 * that all of it is there. The number in its first line is what a rehearsal answers
 * (proxy/process/rehearsal.h); a text of another version is never handed over.
 *
 * Owner: the master, or whoever holds its place (proxy/process/holding.h).
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#pragma once

#include <stdio.h>
#include <sys/types.h>

#include "config/model.h"
#include "proxy/base/log.h"
#include "proxy/base/slice.h"
#include "proxy/base/status.h"

enum {
    HANDOVER_VERSION = 1,
    HANDOVER_BYTES_MAX = 8 * 1024 * 1024,
    HANDOVER_ADDRESS_BYTES = 160,
    HANDOVER_PATH_BYTES = 128,
    HANDOVER_ROLE_BYTES = 24,
    HANDOVER_NAME_BYTES = 64,
    HANDOVER_PORTS_MAX = 64,
};

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

void handover_write(const struct handover *handover, FILE *out);

/* REFUSED: it is not such a text, of this version, and whole. On failure nothing stays. */
MUST_CHECK enum status handover_parse(struct handover *handover, slice text);
