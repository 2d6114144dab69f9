/* proxy/process/former_rules.h
 *
 * The rules of a gossip cluster that a former program has installed, and that nobody has any more.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#pragma once

#include "proxy/base/log.h"
#include "proxy/process/handover.h"

/* Removes them; from then on the node speaks for itself. */
void former_rules_remove(const struct handover_rules *rules, struct log *log);
