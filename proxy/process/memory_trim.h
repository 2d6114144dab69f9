/* proxy/process/memory_trim.h
 *
 * When a worker gives memory back to the system. What a peak of conns took is freed as they end,
 * but malloc keeps it for the next peak, which may be tomorrow.
 *
 * The rule: when less than a quarter of the conns of the peak are left, once, and at most every ten
 * seconds, since walking the heap stops the loop for some milliseconds. Small peaks leave nothing
 * worth that.
 *
 * Owner: the worker.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

/* Zero is a valid start. */
struct memory_trim {
    uint64_t peak;       /* most conns since the last time */
    uint64_t trimmed_ms; /* 0: never */
};

/* To be asked now and then; true: now, and the next peak begins. */
bool memory_trim_is_due(struct memory_trim *trim, uint64_t conns, uint64_t now_ms);
