/* proxy/process/live_generation.h
 *
 * A configuration as the master keeps it while any worker has it: its snapshot, for children that
 * are started again (of a former one the keys alone), and who has it. When a former one is nobody's
 * any more, its keys can go from the keyholder.
 *
 * Owner: the roster.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "config/model.h"
#include "proxy/base/list.h"
#include "proxy/process/snapshot.h"

struct live_generation {
    struct list_link link; /* in the roster: the oldest first */
    uint32_t number;
    struct snapshot snapshot;
    size_t certificate_count;
    bool is_former;
    size_t user_count;
    size_t worker_count;
    bool is_used[]; /* by this worker */
};

/* Takes what the snapshot holds. NULL: no memory, and it is still the caller's. */
struct live_generation *live_generation_new(uint32_t number, struct snapshot *snapshot,
                                            const struct config *config, size_t worker_count);
/* NULL is fine. */
void live_generation_free(struct live_generation *generation);

/* Both harmless when repeated. */
void live_generation_use(struct live_generation *generation, size_t worker);
void live_generation_leave(struct live_generation *generation, size_t worker);
