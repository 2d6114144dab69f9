/* proxy/process/file_watches.h
 *
 * Tells when one of the files that a configuration names may have changed: certificates, keys,
 * passwords, authorities, revocation lists, OCSP responses. Watched are all folders on the way to
 * them, links included (link_trail.h); size, time and number of each file say whether it is worth a
 * look.
 *
 * Owner: embedded in whoever wants to know.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#pragma once

#include "config/model.h"
#include "proxy/process/file_watch.h"

/* Fields private to file_watches.c. Zero was not opened. */
struct file_watches {
    const struct config *config;
    struct loop *loop;
    struct file_watch watch; /* of all their folders */
    uint64_t signature;
    struct deadline again;
    void (*on_change)(void *self);
    void *self;
};

/* Watches the files of `config` (borrowed), which were read after the second `since` of the wall
 * clock: what has changed since then is told. SYS: some cannot be watched, errno; the others are.
 */
MUST_CHECK enum status file_watches_open(struct file_watches *watches, struct loop *loop,
                                         const struct config *config, int64_t since,
                                         void (*on_change)(void *self), void *self);
/* Harmless when nothing is watched. */
void file_watches_close(struct file_watches *watches);
