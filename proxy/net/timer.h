/* proxy/net/timer.h
 *
 * Deadlines. All deadlines of one duration stand in one list, which is in order by itself: arming
 * is moving to the tail, and one tick of the loop looks at the heads only. So ten thousand idle
 * conns cost one timer. Coarse: a deadline fires up to a tick (100 ms) late, never early.
 *
 * Owner: the object that embeds the deadline, which disarms it before it dies.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "proxy/base/list.h"
#include "proxy/net/loop.h"

enum { TIMER_TICK_MS = 100 };

struct deadline {
    struct list_link link;
    uint64_t at_ms;
    void (*on_deadline)(void *self);
    void *self;
};

/* Fires once, `after_ms` from now, unless armed again or disarmed before. after_ms 0: never. */
void deadline_arm(struct deadline *deadline, struct loop *loop, uint64_t after_ms,
                  void (*on_deadline)(void *self), void *self);
void deadline_disarm(struct deadline *deadline);

static inline bool deadline_is_armed(const struct deadline *deadline)
{
    return list_has(&deadline->link);
}
