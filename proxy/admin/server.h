/* proxy/admin/server.h
 *
 * The admin socket: a unix socket (0600) on which the operator's commands ask the instance. A
 * request is one word and a line feed; the answer is one line of JSON. After `drain` and `stop` the
 * conn stays open until the instance has ended, so that a command can wait for it; the answer to
 * `reload` comes when it is done, or has failed.
 *
 * Owner: the master.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#pragma once

#include <stdbool.h>

#include "proxy/base/status.h"
#include "proxy/net/loop.h"

struct admin_server;
struct reload_outcome;

/* Called from the loop, never from inside an admin_server call. */
struct admin_events {
    void *self;
    /* A line of JSON each, malloc'ed; NULL: out of memory. */
    char *(*on_status)(void *self);
    char *(*on_posture)(void *self);
    char *(*on_keyrings)(void *self);
    char *(*on_metrics)(void *self);
    void (*on_drain)(void *self);
    void (*on_stop)(void *self);
    /* Asks for a reload. The number of the run that will answer (admin_server_tell_reloaded); 0:
     * there is no reload now. */
    uint64_t (*on_reload)(void *self);
};

/* Listens at `path`. SYS: errno as local_socket_listen says. */
MUST_CHECK enum status admin_server_open(struct admin_server **out, struct loop *loop,
                                         const char *path, const struct admin_events *events);

/* The same on a socket that listens at `path` already: a copy is made of it. The path stays,
 * whatever comes, until admin_server_take_path. NOMEM or SYS. */
MUST_CHECK enum status admin_server_inherit(struct admin_server **out, struct loop *loop,
                                            int descriptor, const char *path,
                                            const struct admin_events *events);

/* From now on the path is this one's to remove; or, before another takes its place, no more. NULL
 * is fine. */
void admin_server_own_path(struct admin_server *server, bool is_own);

/* The listening socket; borrowed. -1 for NULL. */
int admin_server_descriptor(const struct admin_server *server);

/* Turns the loop, once at least, until nobody waits for an answer any more, 200 ms at most. NULL
 * has nobody. */
void admin_server_settle(const struct admin_server *server, struct loop *loop);

/* Answers those who wait for this run, or an earlier one. NULL is fine. */
void admin_server_tell_reloaded(struct admin_server *server, uint64_t run,
                                const struct reload_outcome *outcome);

/* Closes all conns and removes the path, if it is ours. NULL is fine. */
void admin_server_close(struct admin_server *server);
