/* proxy/process/listen_sockets.h
 *
 * All listening sockets of a configuration, one a worker for each TCP address (SO_REUSEPORT: the
 * kernel spreads conns over them) and one shared by all workers for each unix path.
 *
 * Why it exists: the master opens them while it may (ports below 1024) and keeps them open, so
 * conns that wait in the queue of a dead worker are taken by its successor.
 *
 * Addresses are counted in the order of the configuration: all of the first listener, then all of
 * the next. That is the order in which a worker gets its descriptors.
 *
 * Owner: the master.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#pragma once

#include <stddef.h>

#include "config/model.h"
#include "proxy/base/status.h"
#include "proxy/process/error.h"

struct listen_sockets;

/* Addresses that `former` listens on already (NULL: none) are not opened anew but shared with it.
 * SYS: nothing stays open and `error` names the listener, its place and the reason. The config is
 * borrowed for the call. */
MUST_CHECK enum status listen_sockets_open(struct listen_sockets **out, const struct config *config,
                                           size_t workers, const struct listen_sockets *former,
                                           struct process_error *error);

/* These take the place of `former`, which is closed: what both have stays open, and unix paths that
 * both have stay. */
void listen_sockets_succeed(struct listen_sockets *sockets, struct listen_sockets *former);

/* Closes what is open and removes the unix paths that are not another's. NULL is fine. */
void listen_sockets_close(struct listen_sockets *sockets);

/* It was opened by listen_sockets_open, not shared, and has not succeeded anybody yet. */
bool listen_sockets_is_new(const struct listen_sockets *sockets, size_t index);

size_t listen_sockets_count(const struct listen_sockets *sockets);

/* The descriptors of one worker, listen_sockets_count of them; borrowed. */
const int *listen_sockets_of_worker(const struct listen_sockets *sockets, size_t worker);

/* The name of the listener and the address really bound ("[::]:8443", "unix:/run/web.sock"). */
const char *listen_sockets_name(const struct listen_sockets *sockets, size_t index);
const char *listen_sockets_address(const struct listen_sockets *sockets, size_t index);
