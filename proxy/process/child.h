/* proxy/process/child.h
 *
 * One child as the master sees it: its process, the channel to it, and the next attempt when it
 * was lost. A child that was lost after it had run for a while is started again at once; one that
 * keeps failing waits longer each time.
 *
 *     DOWN --start--> STARTING --READY--> READY --end--> ENDING --exit--> DOWN
 *       ^----------------exit (respawn after a delay)---|
 *
 * Owner: the master. Embedded; fields are for reading, except for child.c.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#pragma once

#include <sys/types.h>

#include "proxy/base/log.h"
#include "proxy/net/timer.h"
#include "proxy/process/channel.h"
#include "proxy/process/sandbox.h"
#include "proxy/process/spawn.h"

/* Where in READY's number what is. */
enum { CHILD_SANDBOX_MASK = 0x7fff, CHILD_LOCKED = 0x8000, CHILD_LANES_SHIFT = 16 };

/* Who ends so often in a row, each time sooner than that after its start, keeps failing. */
enum { CHILD_SHORT_LIVES = 3, CHILD_SETTLED_MS = 10000 };

enum child_state { CHILD_DOWN, CHILD_STARTING, CHILD_READY, CHILD_ENDING };

struct child;

/* Called from the loop. */
struct child_events {
    void (*on_message)(void *self, struct child *child, const struct channel_message *message);
    /* It said something that the channel does not allow; it is killed already. */
    void (*on_garbage)(void *self, struct child *child);
    void *self;
    enum status (*on_respawn)(void *respawn_self, struct child *child); /* it is time: start it */
    void *respawn_self;
    struct log *log; /* where it is told when a child is started again */
};

struct child {
    char role[24];  /* "worker 1" */
    char title[40]; /* "sallyport: worker 1" */
    size_t index;
    enum child_state state;
    pid_t pid;                    /* -1: none */
    int channel;                  /* -1: none */
    uint32_t keys_given;          /* channels to the keyholder, since its start (workers only) */
    uint32_t keys_lost;           /* the last that it says has ended */
    uint64_t keys_renewed_ms;     /* when it was given another one for that; 0: never */
    struct deadline keys_due;     /* when it is given another one */
    bool is_locked;               /* its memory, as it said itself */
    struct sandbox_facts sandbox; /* as it said itself, with READY */
    uint32_t asked;               /* to prepare this generation; 0: none */
    uint32_t prepared;            /* it says that it has */
    uint32_t
        batch_lanes; /* what its READY said: signatures (keyholder) or agreements (worker) a call */
    uint64_t restarts;
    unsigned failures;    /* in a row */
    unsigned short_lives; /* in a row: ended before CHILD_SETTLED_MS */
    uint64_t delay_ms;    /* its last start came so long after the end before */
    uint64_t started_ms;
    struct watch watch;
    struct deadline respawn;
    struct loop *loop;
    struct child_events events;
};

/* `role` is copied. */
void child_init(struct child *child, struct loop *loop, const char *role, size_t index,
                const struct child_events *events);

/* Its index has changed, with its role: for its next start. */
void child_renumber(struct child *child, const char *role, size_t index);

/* Starts the process. `order` says all but title and channel. */
MUST_CHECK enum status child_start(struct child *child, struct spawn_order *order);

/* Sends; the descriptors stay the caller's. A child whose channel is full and that does not read
 * within a second is killed. False: it was not told, and is ending. */
bool child_send(struct child *child, const struct channel_message *message);

/* The process has ended (waited for). Closes the channel. */
void child_on_exit(struct child *child);

/* Calls on_respawn, now or after the delay that its failures in a row have earned, and again when
 * it fails. Returns the delay in ms. */
uint64_t child_respawn_later(struct child *child);

/* Ends it by closing the channel: it has nothing to wait for. */
void child_end(struct child *child);
void child_kill(struct child *child);

bool child_is_down(const struct child *child);

/* Until it has run for CHILD_SETTLED_MS. */
bool child_keeps_failing(const struct child *child);
