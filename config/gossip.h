/* config/gossip.h
 *
 * Comparing the settings of gossip clusters: a process whose settings have not changed need not be
 * started anew.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#pragma once

#include <stdbool.h>

#include "config/model.h"

/* Whether both say the same; where they stand does not matter. */
bool gossip_is_same(const struct config_gossip *left, const struct config_gossip *right);
