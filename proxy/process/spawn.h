/* proxy/process/spawn.h
 *
 * Starts a child: this same program, executed again, so that it begins with a fresh address space
 * and holds nothing of the master's memory.
 *
 * What a child begins with: its role as argv[0] ("sallyport: worker 1"), an empty environment, the
 * descriptors below and no others, no privilege, the signals that operators send ignored (the
 * master commands over the channel), and SIGKILL when the master dies.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#pragma once

#include <stdbool.h>
#include <sys/types.h>

#include "proxy/base/status.h"
#include "proxy/process/account.h"

/* 0 and 1 are /dev/null, 2 is the master's standard error. */
enum {
    SPAWN_CHANNEL = 3,
    SPAWN_LOG = 4,
    SPAWN_SLOTS = 5, /* a worker's counters, a gossip process's peers; others have none */
    SPAWN_SPENT = 6, /* the list of spent tickets; workers only */
    SPAWN_END = 7,
};

struct spawn_order {
    const char *title; /* argv[0] */
    int channel;       /* the child's end; stays the caller's */
    int log;
    int slots; /* -1: none */
    int spent; /* -1: none */
    const struct account *account;
    bool sends_files; /* it may send descriptors over the channel */
};

/* REFUSED, SYS: errno says why. What fails after the fork ends the child with status 127. */
MUST_CHECK enum status spawn(const struct spawn_order *order, pid_t *pid);
