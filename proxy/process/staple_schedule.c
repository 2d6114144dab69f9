/* proxy/process/staple_schedule.c · SPDX-License-Identifier: Apache-2.0 */
#include "proxy/process/staple_schedule.h"

enum { DOUBLINGS_MAX = 10, CHANCE_PART = 4 };

/* Three quarters of it to all of it, at least a second. */
static int64_t vary(int64_t seconds, uint32_t chance)
{
    int64_t varied = seconds - (int64_t)chance % (seconds / CHANCE_PART + 1);
    return varied < 1 ? 1 : varied;
}

static int64_t least(int64_t left, int64_t right)
{
    return left < right ? left : right;
}

bool staple_schedule_is_due(const struct staple_schedule *schedule, time_t now)
{
    return schedule->ask_at <= now || schedule->ask_at - now > STAPLE_REFRESH_SECONDS_MAX;
}

void staple_schedule_note_answer(struct staple_schedule *schedule, time_t refresh_at, time_t ends,
                                 time_t now, uint32_t chance)
{
    int64_t wait = (int64_t)refresh_at - (int64_t)now;
    if (wait <= 0) { /* each time closer to the end, so that it is never left alone there */
        wait = least(STAPLE_AGAIN_SECONDS, ((int64_t)ends - (int64_t)now) / 2);
    }
    wait = least(wait < 1 ? 1 : wait, STAPLE_REFRESH_SECONDS_MAX);
    schedule->failures = 0;
    schedule->ask_at = now + (time_t)vary(wait, chance);
}

int64_t staple_schedule_note_failure(struct staple_schedule *schedule, time_t now, uint32_t chance)
{
    unsigned doublings = schedule->failures < DOUBLINGS_MAX ? schedule->failures : DOUBLINGS_MAX;
    int64_t wait =
        vary(least((int64_t)STAPLE_RETRY_SECONDS << doublings, STAPLE_RETRY_SECONDS_MAX), chance);
    schedule->failures++;
    schedule->ask_at = now + (time_t)wait;
    return wait;
}
