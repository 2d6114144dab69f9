/* proxy/net/listener.h
 *
 * Accepts conns on one listening socket. It never spins: when descriptors run out, or the owner
 * says so, it stops watching and goes on after a second or when told to; waiting conns stay in the
 * kernel's queue meanwhile.
 *
 * Owner: the relay. The socket is lent (the master keeps it for the worker's successor).
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#pragma once

#include "proxy/net/loop.h"
#include "proxy/net/timer.h"

struct listener_events {
    /* A new conn, non-blocking and close-on-exec; ownership moves. */
    void (*on_accept)(void *self, int descriptor);
    /* Descriptors have run out; accepting goes on by itself. May be NULL. */
    void (*on_exhausted)(void *self);
};

/* Fields private to listener.c. */
struct listener {
    struct loop *loop;
    int descriptor;
    struct watch watch;
    struct deadline retry;
    const struct listener_events *events;
    void *self;
    bool is_paused;
};

/* A listener that is paused: it accepts when it is resumed. */
void listener_init(struct listener *listener, struct loop *loop, int descriptor,
                   const struct listener_events *events, void *self);

/* The same, resumed. */
MUST_CHECK enum status listener_open(struct listener *listener, struct loop *loop, int descriptor,
                                     const struct listener_events *events, void *self);

/* Stops and starts accepting; both harmless when repeated. */
void listener_pause(struct listener *listener);
void listener_resume(struct listener *listener);

void listener_close(struct listener *listener);
