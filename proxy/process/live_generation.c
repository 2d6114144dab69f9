/* proxy/process/live_generation.c · SPDX-License-Identifier: Apache-2.0 */
#include "proxy/process/live_generation.h"

#include <stdlib.h>

struct live_generation *live_generation_new(uint32_t number, struct snapshot *snapshot,
                                            const struct config *config, size_t worker_count)
{
    struct live_generation *generation =
        calloc(1, sizeof(*generation) + worker_count * sizeof(generation->is_used[0]));
    if (generation == NULL) {
        return NULL;
    }
    generation->number = number;
    generation->snapshot = *snapshot;
    *snapshot = (struct snapshot){-1, -1};
    generation->certificate_count = config->certificate_count;
    generation->worker_count = worker_count;
    return generation;
}

void live_generation_free(struct live_generation *generation)
{
    if (generation != NULL) {
        snapshot_close(&generation->snapshot);
        list_remove(&generation->link);
        free(generation);
    }
}

void live_generation_use(struct live_generation *generation, size_t worker)
{
    if (worker < generation->worker_count && !generation->is_used[worker]) {
        generation->is_used[worker] = true;
        generation->user_count++;
    }
}

void live_generation_leave(struct live_generation *generation, size_t worker)
{
    if (worker < generation->worker_count && generation->is_used[worker]) {
        generation->is_used[worker] = false;
        generation->user_count--;
    }
}
