/* tests/bench/head.h
 *
 * Reads what the bench needs from the head of an HTTP/1.1 message: where it ends, a field, a
 * number. Not a strict parser: the bench meets only its own backend and proxies under test.
 *
 * Owner: nobody; all functions look at borrowed bytes.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Length of the head with its empty line, 0 when the head is not complete. */
size_t head_length(const char *bytes, size_t len);

/* Value of a field without surrounding spaces, NULL when there is none. `name` is in lower case
 * and followed by its colon. */
const char *head_field(const char *head, size_t head_len, const char *name, size_t *value_len);

/* Content-Length; false when there is none or it is not a number. */
bool head_content_length(const char *head, size_t head_len, uint64_t *length);

/* Whether the message asks for the connection to be closed after it. */
bool head_says_close(const char *head, size_t head_len);

/* Status code of a response, -1 when the status line is not one of HTTP/1.1. */
int head_status(const char *head, size_t head_len);
