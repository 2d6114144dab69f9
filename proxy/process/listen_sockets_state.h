/* proxy/process/listen_sockets_state.h
 *
 * The inside of the listening sockets, shared by listen_sockets.c (opening them) and
 * listen_sockets_inherited.c (those of the service manager, or of the program before us). Nobody
 * else includes it.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#pragma once

#include "proxy/process/listen_sockets.h"

enum { LISTEN_PATH_BYTES = 160 };

struct listen_address {
    char name[64];
    char text[LISTEN_PATH_BYTES];
    const char *unlink_path; /* in text; NULL: TCP, or the path is another's to remove */
    struct config_address asked;
    char asked_path[LISTEN_PATH_BYTES]; /* asked.path */
    size_t former;                      /* its index there; SIZE_MAX: opened anew */
    bool is_inherited;                  /* the service manager's: it cannot be opened again */
};

struct listen_sockets {
    size_t count;
    size_t workers;
    size_t rows; /* workers, or more */
    uint64_t dead_peer_ms;
    struct listen_address *addresses; /* count */
    int *descriptors;                 /* rows × count; -1: none */
};

static inline int *listen_sockets_slot(const struct listen_sockets *sockets, size_t row,
                                       size_t index)
{
    return &sockets->descriptors[row * sockets->count + index];
}

struct listen_sockets *listen_sockets_new(size_t count, size_t workers, size_t rows);

/* Rows that may have a socket of their own at this address. */
size_t listen_sockets_copies(const struct listen_sockets *sockets, size_t index);

/* The config does not live as long as its sockets do. */
void listen_sockets_keep_asked(struct listen_address *named, const struct config_address *address);

/* Where the address is a path: gives the one socket to all workers. */
void listen_sockets_share_path(struct listen_sockets *sockets, size_t index);

/* One more of the group of the first row's, or that one again. False with errno: neither. */
bool listen_sockets_open_another(struct listen_sockets *sockets, size_t row, size_t index);

/* Takes all of `inherited` at the address, of which there is one at least. SYS. */
MUST_CHECK enum status listen_sockets_take(struct listen_sockets *sockets, size_t index,
                                           const struct config_address *address,
                                           struct inherited_sockets *inherited);

/* False, with a sentence: `former` has an inherited socket for which the config has no listener. */
MUST_CHECK bool listen_sockets_keep_inherited(const struct listen_sockets *former,
                                              const struct config *config,
                                              struct process_error *error);
