/* proxy/process/upgrade.h
 *
 * An upgrade as whoever is to be replaced goes through it:
 *
 *      IDLE ──asked──► REHEARSING ──fine──► WAITING ──host is free──► the next program
 *        ▲                 │ fault             │                          │ cannot be executed
 *        └─────────────────┴───────────────────┴──── FAILED ◄─────────────┘
 *
 * Until the last step nothing has changed. It is the host that leaves, outside of the loop, since
 * what it hands over is its own.
 *
 * Owner: the master, or whoever holds its place. Embedded; fields are for reading.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "proxy/base/log.h"
#include "proxy/net/loop.h"
#include "proxy/net/timer.h"
#include "proxy/process/invocation.h"
#include "proxy/process/rehearsal.h"

enum upgrade_step { UPGRADE_IDLE, UPGRADE_REHEARSING, UPGRADE_WAITING };
enum upgrade_outcome { UPGRADE_NONE, UPGRADE_DONE, UPGRADE_FAILED };

enum { UPGRADE_REASON_BYTES = 2304 };

struct upgrade_host {
    struct loop *loop;
    struct log *log;
    const struct invocation *invocation; /* NULL: it could not be found out, so there is none */
    void *self;
    bool (*is_free)(void *self); /* nothing is under way that leaving would cut off */
    void (*leave)(void *self);   /* asked once: leave the loop, then make way */
};

struct upgrade {
    struct upgrade_host host;
    enum upgrade_step step;
    struct rehearsal rehearsal;
    struct deadline deadline;     /* looks again whether the host is free */
    enum upgrade_outcome outcome; /* of the last one */
    int64_t outcome_s;            /* wall clock */
    char reason[UPGRADE_REASON_BYTES];
};

void upgrade_open(struct upgrade *upgrade, const struct upgrade_host *host);
/* Gives up what is under way. */
void upgrade_close(struct upgrade *upgrade);

/* One that is under way goes on. */
void upgrade_request(struct upgrade *upgrade);

/* It has failed, or came to its end, and says so. */
void upgrade_fail(struct upgrade *upgrade, const char *reason);
void upgrade_finish(struct upgrade *upgrade);

/* The host was free, and is so no more: looks again, as before. */
void upgrade_put_off(struct upgrade *upgrade);

/* A child was waited for. False: it is not its rehearsal. */
bool upgrade_on_exit(struct upgrade *upgrade, pid_t pid, int status);

/* "none", "rehearsing", "waiting", "done", "failed" */
const char *upgrade_state_name(const struct upgrade *upgrade);

/* The signals that matter to an instance: while one program follows the other nobody acts on them,
 * so they wait. */
void upgrade_hold_signals(void);
void upgrade_release_signals(void);
