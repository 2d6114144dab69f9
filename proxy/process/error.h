/* proxy/process/error.h
 *
 * Why the start or a child failed: one sentence for the operator, never a secret.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#pragma once

struct process_error {
    char text[512];
};

/* `error` may be NULL. */
void process_error_set(struct process_error *error, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
