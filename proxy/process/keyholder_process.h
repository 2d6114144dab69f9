/* proxy/process/keyholder_process.h
 *
 * The main of the keyholder process: takes keys and the workers' channels from the master, and
 * turns crypto/keyholder.h until the master is gone.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#pragma once

#include <stddef.h>

/* The exit status. `index` is not used: all keyholders do the same. */
int keyholder_process_run(size_t index);
