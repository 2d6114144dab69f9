/* proxy/process/worker_generation.h
 *
 * One generation of the configuration as a worker was handed it: the bundle, and the listening
 * sockets in the order of its addresses.
 *
 * Owner: the worker's main. It stays until the relay needs its config no more and the master was
 * told so.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "proxy/base/list.h"
#include "proxy/process/channel.h"
#include "proxy/process/handed_config.h"

struct worker_generation {
    struct list_link link; /* among the former ones */
    uint32_t number;
    struct handed_config handed;
    int *listeners;
    size_t listener_count;
    bool is_gone; /* the relay has let go of it */
};

/* NULL: no memory. */
struct worker_generation *worker_generation_new(uint32_t number);
/* Closes the sockets too. NULL is fine. */
void worker_generation_free(struct worker_generation *generation);

/* Takes the message's descriptors, behind those before. False: no memory; they stay the caller's.
 */
bool worker_generation_take_listeners(struct worker_generation *generation,
                                      const struct channel_message *message)
    __attribute__((warn_unused_result));

/* Once the master has closed its copies too, new conns are refused by the kernel. */
void worker_generation_close_listeners(struct worker_generation *generation);
