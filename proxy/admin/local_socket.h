/* proxy/admin/local_socket.h
 *
 * Unix sockets with a path: a listening one that is ours alone, and conns to one.
 *
 * A path where somebody still answers is never taken over; one that a dead process left is.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#pragma once

#include <stddef.h>
#include <sys/types.h>

/* A listening stream socket at `path` with this mode from its first moment; folders that are
 * missing are made (0755). Returns the descriptor, non-blocking and close-on-exec, or -1 with
 * errno: EADDRINUSE: somebody answers there; EEXIST: there is something that is not a socket;
 * ENAMETOOLONG. */
int local_socket_listen(const char *path, mode_t mode);

/* A blocking conn, close-on-exec, or -1 with errno. */
int local_socket_connect(const char *path);
