/* proxy/process/staple_schedule.h
 *
 * When to ask an OCSP responder: half way through the life of what it has answered, at least once a
 * day, and after failures later each time, up to an hour. Chance moves every moment by up to a
 * quarter, earlier, so that many instances that were started together do not ask together.
 *
 * Why it exists: a responder that is down must not be hammered, and one that answers from a cache,
 * with what is past its middle already, must not be asked without end.
 *
 * Pure: no clock, no randomness of its own. Owner: whoever embeds it; zero is "ask now".
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <time.h>

enum {
    STAPLE_RETRY_SECONDS = 60, /* after the first failure; twice as long after each further one */
    STAPLE_RETRY_SECONDS_MAX = 3600,
    STAPLE_AGAIN_SECONDS = 600, /* after an answer that is past its middle */
    STAPLE_REFRESH_SECONDS_MAX = 24 * 3600,
};

/* Fields are for reading, except for staple_schedule.c. */
struct staple_schedule {
    unsigned failures; /* in a row */
    time_t ask_at;
};

/* Also when the next time is further away than any can be: the clock was set back. */
bool staple_schedule_is_due(const struct staple_schedule *schedule, time_t now);

/* There is an answer that is in its middle at `refresh_at` and ends at `ends`. `chance` is any
 * number. */
void staple_schedule_note_answer(struct staple_schedule *schedule, time_t refresh_at, time_t ends,
                                 time_t now, uint32_t chance);

/* There is none. Returns in how many seconds to ask again. */
int64_t staple_schedule_note_failure(struct staple_schedule *schedule, time_t now, uint32_t chance);
