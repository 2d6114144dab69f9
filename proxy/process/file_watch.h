/* proxy/process/file_watch.h
 *
 * Tells when a file may have changed: written in place, replaced by a rename, or reached through a
 * link that was. What is watched is its folder, since whoever writes files well replaces them.
 *
 * Owner: embedded in whoever wants to know.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#pragma once

#include "proxy/net/loop.h"
#include "proxy/net/timer.h"

enum {
    FILE_WATCH_SETTLE_MS = 100,
    FILE_WATCH_PATIENCE_MS = 1000, /* with a folder in which something is always written */
};

/* Fields private to file_watch.c. `= {.descriptor = -1}` watches nothing. */
struct file_watch {
    int descriptor;
    struct loop *loop;
    struct watch watch;
    struct deadline settled;
    uint64_t first_ms; /* when the first event came for which it is armed */
    void (*on_change)(void *self);
    void *self;
};

/* Calls on_change FILE_WATCH_SETTLE_MS after the last event in the folder of `path`, but about
 * FILE_WATCH_PATIENCE_MS after the first one at the latest; the caller finds out whether anything
 * is different. SYS: errno. */
MUST_CHECK enum status file_watch_open(struct file_watch *watch, struct loop *loop,
                                       const char *path, void (*on_change)(void *self), void *self);
/* The same in two steps, for any folders: watches none yet, and then one more. A folder may be
 * added again; one that is gone is watched no more. */
MUST_CHECK enum status file_watch_begin(struct file_watch *watch, struct loop *loop,
                                        void (*on_change)(void *self), void *self);
MUST_CHECK enum status file_watch_add(struct file_watch *watch, const char *folder);

/* Harmless when nothing is watched. */
void file_watch_close(struct file_watch *watch);
