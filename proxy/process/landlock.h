/* proxy/process/landlock.h
 *
 * The kernel's Landlock: a process gives up the file system, but for paths that it names, and TCP
 * towards ports that it does not name. For good, and for whatever it starts.
 *
 * Kernels know more of it from version to version; what one does not know it does not restrict:
 *
 *     1 (Linux 5.13)   files            4 (6.7)    binding and connecting TCP, by port
 *     3 (6.2)          truncating       6 (6.12)   abstract unix sockets and signals of others
 *
 * It is called directly: Debian 12 has no library for it, and a header that stops at version 2.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "proxy/process/port_set.h"

/* All borrowed for the call. */
struct landlock_wish {
    /* What stays readable: files, and folders with all that is below. Each ends with NULL; NULL:
     * none. A path that is not there is left out. */
    const char *const *paths;
    const char *const *more_paths;
    const struct port_set *connect_ports; /* of TCP; NULL: none */
    bool connects_anywhere;               /* TCP to any port, whatever connect_ports says */
    bool binds_any_port;                  /* TCP to a port that the kernel chooses; never others */
};

/* The version that this kernel has; 0: none, or it is switched off. */
unsigned landlock_version(void);

/* Gives up all else. The process must have no_new_privs. Returns the version in force; 0: nothing
 * is restricted. */
unsigned landlock_enter(const struct landlock_wish *wish);
