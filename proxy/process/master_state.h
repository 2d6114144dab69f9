/* proxy/process/master_state.h
 *
 * The inside of the master, shared by master.c (its life), master_children.c (what its children
 * say), master_admin.c (what it answers the operator), master_upgrade.c (the program before it, and
 * the one after it) and reload.c (how its configuration is replaced). Nobody else includes it.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#pragma once

#include "proxy/admin/server.h"
#include "proxy/process/expiry_watch.h"
#include "proxy/process/file_watches.h"
#include "proxy/process/former_crew.h"
#include "proxy/process/foundation.h"
#include "proxy/process/master.h"
#include "proxy/process/roster.h"
#include "proxy/process/service_manager.h"
#include "proxy/process/sidecars.h"
#include "proxy/process/staples.h"
#include "proxy/process/upgrade.h"

enum master_state { MASTER_STARTING, MASTER_RUNNING, MASTER_DRAINING, MASTER_STOPPING };

enum reload_step { RELOAD_IDLE, RELOAD_KEYS, RELOAD_WORKERS };

/* What is being prepared, and what was asked for. Private to reload.c. */
struct reload {
    bool wants_all; /* asked for, not yet begun */
    bool wants_files;
    uint64_t done;
    uint64_t failed;
    uint64_t run; /* the last that has begun; counts from 1 */
    enum reload_step step;
    bool is_for_files;
    uint64_t begun_us;
    int64_t begun_s; /* wall clock */
    const struct plan *plan;
    uint32_t number; /* that a generation was given last; none is given again */
    struct live_generation *next;
    struct listen_sockets *sockets;
    struct staples *staples;
    struct sidecars_change *sidecars;
    FILE *complaints;
    char *text; /* of the complaints */
    size_t text_len;
    struct deadline deadline; /* of the children's answers; or, when idle, of another attempt */
    struct loop_post post;
    int64_t done_s; /* when the present generation began; wall clock */
    struct file_watches watches;
};

struct master {
    const struct master_start *start;
    const struct plan *plan; /* the present one */
    struct process_error *error;
    enum master_exit exit;
    enum master_state state;
    struct foundation foundation;
    struct service_manager manager;
    struct admin_server *admin;
    struct roster roster;
    struct sidecars *sidecars; /* NULL: the configuration has no gossip */
    struct staples *staples;   /* NULL: no certificate wants one */
    struct expiry_watch *expiry;
    struct reload reload;
    struct deadline deadline; /* of draining or stopping */
    bool is_over;
    struct upgrade upgrade;
    bool is_leaving;                  /* the next program is to take our place */
    struct listen_sockets *inherited; /* of a former program, until the start is done; or NULL */
    struct former_crew *crew;         /* NULL: no program was before this one */
    bool has_succeeded;               /* the start is done: nothing goes back to the former one */
    bool has_sidecars;                /* they were started */
    bool hangs_up_later;              /* SIGHUP came during the start */
    bool is_unlocked_told;            /* that a keyholder's memory is not locked */
    const char *sandbox_told; /* what of the sandbox the log says is missing; NULL: nothing */
};

/* ---- master.c ---- */

bool master_is_ending(const struct master *master);

/* All new children are ready, maybe. */
void master_note_ready(struct master *master);

/* During the start: the first sentence is the reason. */
void master_fail_start(struct master *master, const char *sentence);

/* The orderly end, and the end at once; both harmless when repeated. */
void master_begin_drain(struct master *master);
void master_begin_stop(struct master *master);

/* Ends the run when nobody has to be waited for any more. */
void master_end_if_over(struct master *master);
