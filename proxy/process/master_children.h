/* proxy/process/master_children.h
 *
 * What the master's children say, and what their end means for the instance.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#pragma once

#include "proxy/process/master_state.h"

/* What the master hears of each child. */
struct child_events master_child_events(struct master *master);

/* Waits for every process that has ended. */
void master_reap(struct master *master);
