/* proxy/process/error.h
 *
 * Why the start or a child failed: one sentence for the operator, never a secret.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#pragma once

/* Room for any two paths, the place of a third, and words: no sentence ends in the middle. */
enum { PROCESS_ERROR_BYTES = 3 * 4096 + 1024 };

struct process_error {
    char text[PROCESS_ERROR_BYTES];
};

/* `error` may be NULL. */
void process_error_set(struct process_error *error, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
