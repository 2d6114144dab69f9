/* proxy/process/inherited_sockets.h
 *
 * The listening sockets that this process began with: a service manager has opened them (systemd's
 * socket activation, sd_listen_fds(3)), perhaps before anything of ours was there.
 *
 * Why it exists: listen_sockets_open takes from here what a listener asks for instead of binding
 * its address, which another process may be the only one to be allowed.
 *
 * Owner: whoever makes it. What was taken is the taker's.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#pragma once

#include <stddef.h>

#include "config/model.h"
#include "proxy/base/status.h"
#include "proxy/process/error.h"

struct inherited_sockets;

/* Empty; NULL: out of memory. */
struct inherited_sockets *inherited_sockets_new(void);

/* From the environment (LISTEN_PID, LISTEN_FDS, LISTEN_FDNAMES), which forgets them: they are for
 * this process alone. Empty when there are none. REFUSED: they make no sense, or a socket is not
 * one to accept conns from; `error` says which. */
MUST_CHECK enum status inherited_sockets_open(struct inherited_sockets **out,
                                              struct process_error *error);

/* Takes a descriptor over, of which several may have one address; it becomes non-blocking and
 * close-on-exec. `name` is for sentences alone, NULL: none. REFUSED: it is not a listening TCP or
 * unix stream socket; it stays the caller's then. */
MUST_CHECK enum status inherited_sockets_add(struct inherited_sockets *sockets, int descriptor,
                                             const char *name, struct process_error *error);

/* Whether a listener takes each of them, with so many workers. REFUSED: not one. */
MUST_CHECK enum status inherited_sockets_check(const struct inherited_sockets *sockets,
                                               const struct config *config, size_t workers,
                                               struct process_error *error);

/* Whether one is left at exactly this address. NULL has none. */
bool inherited_sockets_has(const struct inherited_sockets *sockets,
                           const struct config_address *address);

/* One of those at exactly this address, now the caller's; -1: none is left. */
int inherited_sockets_take(struct inherited_sockets *sockets, const struct config_address *address);

/* Closes what nobody took. NULL is fine. */
void inherited_sockets_close(struct inherited_sockets *sockets);
