/* proxy/admin/client.h
 *
 * The command line's end of the admin socket. Blocking: commands have nothing else to do.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#pragma once

#include <stdbool.h>

#include "proxy/base/status.h"

enum { ADMIN_ANSWER_BYTES_MAX = 32 * 1024 * 1024 };

/* Asks one thing. *answer is the line without its end, malloc'ed. SYS: errno; nobody is there when
 * it is ENOENT or ECONNREFUSED. BROKEN: no whole answer within the time. `stays`: takes the conn
 * instead of closing it; may be NULL. */
MUST_CHECK enum status admin_ask(const char *path, const char *verb, int timeout_ms, char **answer,
                                 int *stays);

/* Waits until the instance has closed the conn, that is, has ended; closes it. False: still there
 * after timeout_ms (-1: for ever). */
bool admin_wait_for_end(int conn, int timeout_ms);
