/* proxy/process/worker_generation.c · SPDX-License-Identifier: Apache-2.0 */
#include "proxy/process/worker_generation.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct worker_generation *worker_generation_new(uint32_t number)
{
    struct worker_generation *generation = calloc(1, sizeof(*generation));
    if (generation != NULL) {
        generation->number = number;
    }
    return generation;
}

void worker_generation_free(struct worker_generation *generation)
{
    if (generation == NULL) {
        return;
    }
    worker_generation_close_listeners(generation);
    free(generation->listeners);
    handed_config_fini(&generation->handed);
    list_remove(&generation->link);
    free(generation);
}

bool worker_generation_take_listeners(struct worker_generation *generation,
                                      const struct channel_message *message)
{
    size_t count = generation->listener_count + message->descriptor_count;
    int *listeners = reallocarray(generation->listeners, count + 1, sizeof(*listeners));
    if (listeners == NULL) {
        return false;
    }
    memcpy(listeners + generation->listener_count, message->descriptors,
           message->descriptor_count * sizeof(*listeners));
    generation->listeners = listeners;
    generation->listener_count = count;
    return true;
}

void worker_generation_close_listeners(struct worker_generation *generation)
{
    for (size_t i = 0; i < generation->listener_count; i++) {
        (void)close(generation->listeners[i]);
    }
    generation->listener_count = 0;
}
