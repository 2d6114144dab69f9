/* proxy/process/reload.h
 *
 * A reload: the configuration is planned anew, keyholder and workers prepare it, and when all have
 * done so it is put to work everywhere; whatever goes wrong before that leaves everything as it
 * was.
 *
 *      IDLE ──plan──► KEYS ──► WORKERS ──commit──► IDLE
 *                       └─────────┴──── failed, late, a child lost ──► IDLE, nothing changed
 *
 * Certificates, keys, authorities and lists are watched: when one of their files changes, what the
 * configuration names is read anew, while the YAML stays as it was loaded.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#pragma once

#include "proxy/process/master_state.h"

enum reload_cause {
    RELOAD_ALL,   /* somebody asked: the YAML too */
    RELOAD_FILES, /* a file that it names has changed */
};

/* The instance is ready: from now on files are watched. */
void reload_open(struct master *master);
/* Gives up what is being prepared. */
void reload_close(struct master *master);

/* Asks for a reload, which begins soon: after the one that is under way. The number of the run that
 * will answer; 0: the instance is starting or ending. */
uint64_t reload_request(struct master *master, enum reload_cause cause);

/* What children say and do meanwhile. */
void reload_on_prepared(struct master *master, struct child *child, uint32_t number);
void reload_on_failed(struct master *master, uint32_t failure, const char *sentence);
void reload_on_lost(struct master *master, const struct child *child);

/* The config that a child's failure is about (its number: generation_failure()). */
const struct config *reload_config_of(const struct master *master, uint32_t failure);
