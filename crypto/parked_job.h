/* crypto/parked_job.h
 *
 * A TLS handshake that waits inside OpenSSL for something that is made elsewhere: OpenSSL runs it
 * as a job with a stack of its own (SSL_MODE_ASYNC), the job pauses, and SSL_do_handshake returns
 * SSL_ERROR_WANT_ASYNC to the stream.
 *
 *   SSL_do_handshake ─► job ─► parked_job_find, parked_job_wait ══ paused ══► goes on
 *                                                     ▲
 *             parked_job_wake ─► the stream's wake ─► SSL_do_handshake
 *
 * Why it exists: code deep below libssl (a signature, a key exchange) waits without stopping the
 * loop. What a stream has to do for that is in key_client.h.
 *
 * On the job's stack there are 32 KiB and no guard page: what needs more is kept elsewhere.
 *
 * Owner: whoever keeps the list of what is waited for. A parked_job holds no memory.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

/* Whom to wake. `= {0}`: nobody. Fields private to parked_job.c. */
struct parked_job {
    int (*wake)(void *argument);
    void *argument;
};

/* Fills in the wake of the job that runs now. False, and nobody: no job runs, or none that somebody
 * would resume; the caller has to do without waiting, or to block. */
bool parked_job_find(struct parked_job *job);

/* For the job itself, after parked_job_find: pauses until `is_over`, however often it is resumed
 * before. `turns` goes up with each turn of the loop. False: pausing does not work here (somebody
 * holds ASYNC_block_pause), and it is not over. */
bool parked_job_wait(const uint64_t *turns, bool (*is_over)(const void *self), const void *self)
    __attribute__((warn_unused_result));

/* Wakes whom there is to wake, once; never from inside the job. The wake may resume the job at
 * once, so `job` may be gone afterwards. */
void parked_job_wake(struct parked_job *job);

bool parked_job_is_set(const struct parked_job *job);
