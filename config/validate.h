/* config/validate.h
 *
 * The rules across keys: names that must be unique, addresses that must not clash, keys that need
 * or exclude each other, waivers for hops that exist. Fills in what depends on other keys (all
 * certificates, a key in its chain's file).
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#pragma once

#include "config/model.h"
#include "config/problem.h"

/* `is_complete`: everything was read without a problem. Otherwise what seems to be missing may only
 * have been unreadable, and is not complained about a second time. */
void validate_config(struct config *config, bool is_complete, struct problem_list *problems);

/* The part of it that is about gossip clusters; fills in the ports that stand-ins were left
 * without. */
void validate_gossip(struct config *config, bool is_complete, struct problem_list *problems);
