/* crypto/parked_job.c · SPDX-License-Identifier: Apache-2.0 */
#include "crypto/parked_job.h"

#include <openssl/async.h>
#include <stddef.h>

enum {
    /* Resumed so often in one turn of the loop without an end: pausing does not work here, so the
     * caller blocks instead of spinning. */
    STRAY_RESUMES_MAX = 64,
};

bool parked_job_find(struct parked_job *job)
{
    ASYNC_JOB *current = ASYNC_get_current_job();
    *job = (struct parked_job){0};
    return current != NULL &&
           ASYNC_WAIT_CTX_get_callback(ASYNC_get_wait_ctx(current), &job->wake, &job->argument) ==
               1 &&
           job->wake != NULL;
}

bool parked_job_wait(const uint64_t *turns, bool (*is_over)(const void *self), const void *self)
{
    for (int strays = 0; !is_over(self) && strays < STRAY_RESUMES_MAX;) {
        uint64_t turn = *turns;
        if (ASYNC_pause_job() != 1) {
            break;
        }
        strays = turn == *turns ? strays + 1 : 0;
    }
    return is_over(self);
}

void parked_job_wake(struct parked_job *job)
{
    const struct parked_job woken = *job;
    *job = (struct parked_job){0};
    if (woken.wake != NULL) {
        (void)woken.wake(woken.argument);
    }
}

bool parked_job_is_set(const struct parked_job *job)
{
    return job->wake != NULL;
}
