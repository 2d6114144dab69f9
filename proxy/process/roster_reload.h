/* proxy/process/roster_reload.h
 *
 * A reload as keyholders and workers are told it: what each is handed, who was asked, who has
 * answered, and what they let go of later.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#pragma once

#include "proxy/process/roster.h"

struct staples;

/* Hands the keyholders the keys of the next generation. False: one cannot be told now. */
bool roster_prepare_keys(struct roster *roster, const struct live_generation *next);

/* Hands the workers that run bundle, sockets and OCSP responses of the next generation. Those that
 * are down get it when they are started, after the commit. */
void roster_prepare_workers(struct roster *roster, struct live_generation *next,
                            const struct config *config, const struct listen_sockets *sockets,
                            struct staples *staples);

/* A child has said PREPARED. */
void roster_note_prepared(struct roster *roster, struct child *child, uint32_t number);

/* Has every child that was asked answered? */
bool roster_is_prepared(const struct roster *roster);

/* The next generation, which the roster takes, is the present one. Config and sockets replace those
 * of the supplies. */
void roster_commit(struct roster *roster, struct live_generation *next, const struct config *config,
                   const struct listen_sockets *sockets);

/* The children forget the next generation, which stays the caller's to free. */
void roster_rollback(struct roster *roster, const struct live_generation *next);

/* A worker has let go of a generation; or of all, because it has ended. */
void roster_note_released(struct roster *roster, const struct child *worker, uint32_t number);
void roster_note_lost(struct roster *roster, const struct child *worker);
