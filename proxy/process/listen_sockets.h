/* proxy/process/listen_sockets.h
 *
 * All listening sockets of a configuration, one a worker for each TCP address (SO_REUSEPORT: the
 * kernel spreads conns over them) and one shared by all workers for each unix path. Those that a
 * service manager has opened for us are taken as they are.
 *
 * Why it exists: the master opens them while it may (ports below 1024) and keeps them open, so
 * conns that wait in the queue of a dead worker are taken by its successor, also when that is
 * another program's (proxy/process/handover.h).
 *
 * A socket of such a group cannot be closed without the conns that wait in it, or are just being
 * made. So when there are fewer workers after an upgrade, those that are more stay open, and each
 * worker has several: its own (round 0), then every so manieth one.
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
struct handover;
struct inherited_sockets;

/* What need not be opened anew. */
struct listen_sources {
    const struct listen_sockets *former; /* their sockets are shared with them; NULL: none */
    struct inherited_sockets *inherited; /* from here they are taken; NULL: none */
};

/* SYS: nothing new stays open and `error` names the listener, its place and the reason. REFUSED:
 * `former` has a socket of the service manager's that no listener takes. The config is borrowed for
 * the call. */
MUST_CHECK enum status listen_sockets_open(struct listen_sockets **out, const struct config *config,
                                           size_t workers, const struct listen_sources *sources,
                                           struct process_error *error);

/* These take the place of `former`, which is closed: what both have stays open, and unix paths that
 * both have stay. */
void listen_sockets_succeed(struct listen_sockets *sockets, struct listen_sockets *former);

/* Closes what is open and removes the unix paths that are not another's. NULL is fine. */
void listen_sockets_close(struct listen_sockets *sockets);

/* It was opened by listen_sockets_open, not shared, and has not succeeded anybody yet. */
bool listen_sockets_is_new(const struct listen_sockets *sockets, size_t index);

size_t listen_sockets_count(const struct listen_sockets *sockets);

/* How often a worker gets one of each address, and which that is in one such round; borrowed. Where
 * an address has no more, it is the worker's own again. */
size_t listen_sockets_rounds(const struct listen_sockets *sockets, size_t worker);
int listen_sockets_of_worker(const struct listen_sockets *sockets, size_t worker, size_t round,
                             size_t index);

/* Those that were handed over, which stay the handover's: for listen_sockets_open to share. Closing
 * these removes unix paths, and closes copies alone. SYS or NOMEM, with a sentence. */
MUST_CHECK enum status listen_sockets_inherit(struct listen_sockets **out,
                                              const struct handover *handover,
                                              struct process_error *error);

/* What is open becomes part of the handover; it stays ours. NOMEM. */
MUST_CHECK enum status listen_sockets_bequeath(const struct listen_sockets *sockets,
                                               struct handover *handover);

/* Closes what is open, and nothing else: it is another's now. */
void listen_sockets_leave(struct listen_sockets *sockets);

/* The name of the listener and the address really bound ("[::]:8443", "unix:/run/web.sock"). */
const char *listen_sockets_name(const struct listen_sockets *sockets, size_t index);
const char *listen_sockets_address(const struct listen_sockets *sockets, size_t index);
