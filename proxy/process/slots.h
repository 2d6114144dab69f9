/* proxy/process/slots.h
 *
 * The shared pages in which workers count: one slot a worker, each on pages of its own. The master
 * maps all of them; a worker maps its own only.
 *
 * Owner: the master. Slots outlive the workers, so totals go on when one is started again.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#pragma once

#include <stddef.h>

#include "proxy/base/status.h"
#include "proxy/relay/counters.h"

struct slots;

/* NULL with errno. */
struct slots *slots_new(size_t count);
void slots_free(struct slots *slots);

/* For handing to a worker; borrowed. */
int slots_descriptor(const struct slots *slots);
struct counters *slots_at(const struct slots *slots, size_t index);

/* A worker was lost: what it had open is open no more. Totals stay. */
void slots_clear_open(const struct slots *slots, size_t index);

/* In the worker: maps slot `index`, for the life of the process. NULL: not a slot file. */
struct counters *slots_attach(int descriptor, size_t index);
