/* proxy/process/worker_process.h
 *
 * The main of one worker: takes the configuration, the listening sockets and a channel to the
 * keyholder from the master, and turns one loop with one relay on it.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#pragma once

#include <stddef.h>

/* The exit status. `index` counts from 1. */
int worker_process_run(size_t index);
