/* proxy/process/master_admin.h
 *
 * What the master answers on its admin socket.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#pragma once

#include "proxy/process/master_state.h"

/* Listens where the configuration says, if it says so. SYS with a sentence in master->error. */
MUST_CHECK enum status master_open_admin(struct master *master);
