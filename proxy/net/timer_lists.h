/* proxy/net/timer_lists.h
 *
 * The lists behind proxy/net/timer.h: one a duration. A duration whose list is empty gives its
 * place to the next one that is asked for, so settings may change as often as they like.
 *
 * Owner: the loop.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#pragma once

#include "proxy/net/timer.h"

enum { TIMER_DURATIONS_MAX = 48 };

struct timer_list {
    uint64_t after_ms;
    struct list deadlines; /* earliest first */
};

struct timer_lists {
    struct timer_list at[TIMER_DURATIONS_MAX];
    struct list mixed; /* sorted by hand, for durations that found no place */
};

void timer_lists_init(struct timer_lists *lists);
bool timer_lists_are_empty(const struct timer_lists *lists);
void timer_lists_add(struct timer_lists *lists, struct deadline *deadline, uint64_t after_ms);

/* Disarms and calls everything whose time has come. */
void timer_lists_fire(struct timer_lists *lists, uint64_t now_ms);
