/* proxy/net/listener.c · SPDX-License-Identifier: Apache-2.0 */
#include "proxy/net/listener.h"

#include <errno.h>
#include <sys/socket.h>

enum {
    ACCEPTS_MAX = 64, /* a turn: then the conns that are open have theirs */
    RETRY_MS = 1000,
};

static void on_ready(void *self, unsigned events);

static void on_retry(void *self)
{
    listener_resume(self);
}

static void on_ready(void *self, unsigned events)
{
    (void)events;
    struct listener *listener = self;
    for (int count = 0; count < ACCEPTS_MAX && !listener->is_paused; count++) {
        int descriptor = accept4(listener->descriptor, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
        if (descriptor >= 0) {
            listener->events->on_accept(listener->self, descriptor);
            continue;
        }
        if (errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM) {
            listener_pause(listener);
            deadline_arm(&listener->retry, listener->loop, RETRY_MS, on_retry, listener);
            if (listener->events->on_exhausted != NULL) {
                listener->events->on_exhausted(listener->self);
            }
            return;
        }
        if (errno != EINTR && errno != ECONNABORTED) {
            return; /* EAGAIN: the queue is empty */
        }
    }
}

void listener_init(struct listener *listener, struct loop *loop, int descriptor,
                   const struct listener_events *events, void *self)
{
    *listener = (struct listener){
        .loop = loop,
        .descriptor = descriptor,
        .events = events,
        .self = self,
        .is_paused = true,
    };
}

enum status listener_open(struct listener *listener, struct loop *loop, int descriptor,
                          const struct listener_events *events, void *self)
{
    listener_init(listener, loop, descriptor, events, self);
    listener_resume(listener);
    return listener->is_paused ? STATUS_NOMEM : STATUS_OK;
}

void listener_pause(struct listener *listener)
{
    deadline_disarm(&listener->retry); /* only whoever paused decides when to go on */
    if (!listener->is_paused) {
        listener->is_paused = true;
        watch_close(&listener->watch);
    }
}

void listener_resume(struct listener *listener)
{
    if (!listener->is_paused) {
        return;
    }
    deadline_disarm(&listener->retry);
    if (watch_open_level(&listener->watch, listener->loop, listener->descriptor, WATCH_READ,
                         on_ready, listener) == STATUS_OK) {
        listener->is_paused = false;
        return;
    }
    deadline_arm(&listener->retry, listener->loop, RETRY_MS, on_retry, listener);
}

void listener_close(struct listener *listener)
{
    listener_pause(listener);
    deadline_disarm(&listener->retry);
}
