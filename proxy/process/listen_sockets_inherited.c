/* proxy/process/listen_sockets_inherited.c · SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>

#include "config/address.h"
#include "proxy/net/stream.h"
#include "proxy/process/bind_address.h"
#include "proxy/process/handover.h"
#include "proxy/process/inherited_sockets.h"
#include "proxy/process/listen_sockets_state.h"

/* ---- from the service manager ---- */

static void take_name(struct listen_address *named, const struct config_address *address)
{
    named->is_inherited = true;
    if (address->kind == CONFIG_ADDRESS_UNIX) {
        (void)snprintf(named->text, sizeof(named->text), "unix:%s", address->path);
        return;
    }
    const struct bind_address at = bind_address_of(address);
    bind_address_format(&at, named->text, sizeof(named->text));
}

/* Where theirs lets others share its port, the other workers get one of their own each. */
enum status listen_sockets_take(struct listen_sockets *sockets, size_t index,
                                const struct config_address *address,
                                struct inherited_sockets *inherited)
{
    bool is_tcp = address->kind != CONFIG_ADDRESS_UNIX;
    take_name(&sockets->addresses[index], address);
    for (size_t worker = 0; worker < listen_sockets_copies(sockets, index); worker++) {
        int descriptor = inherited_sockets_take(inherited, address);
        if (descriptor >= 0) {
            *listen_sockets_slot(sockets, worker, index) = descriptor;
        } else if (!listen_sockets_open_another(sockets, worker, index)) {
            return STATUS_SYS;
        }
        if (is_tcp) {
            stream_set_tcp_options(*listen_sockets_slot(sockets, worker, index),
                                   sockets->dead_peer_ms);
        }
    }
    listen_sockets_share_path(sockets, index);
    return STATUS_OK;
}

/* The service manager keeps its own copy open, so conns would go on arriving there. */
bool listen_sockets_keep_inherited(const struct listen_sockets *former, const struct config *config,
                                   struct process_error *error)
{
    for (size_t i = 0; former != NULL && i < former->count; i++) {
        const struct listen_address *named = &former->addresses[i];
        if (named->is_inherited && !config_listens_at(config, &named->asked)) {
            process_error_set(error,
                              "the service manager holds a socket at %s, where no listener is any "
                              "more: its conns would wait for ever; take it from the socket unit "
                              "too and restart both",
                              named->text);
            return false;
        }
    }
    return true;
}

/* ---- from one program to the next ---- */

/* How many addresses there are, and how many sockets one has at most. */
static void measure(const struct handover *handover, size_t *count, size_t *rows)
{
    for (size_t i = 0; i < handover->socket_count; i++) {
        const struct handover_socket *socket = &handover->sockets[i];
        *count += socket->row == 0 ? 1U : 0U;
        *rows = socket->row + 1U > *rows ? socket->row + 1U : *rows;
    }
}

static void name_inherited(struct listen_address *named, const struct handover_socket *socket)
{
    const struct config_address asked = handover_asked(socket);
    listen_sockets_keep_asked(named, &asked);
    (void)snprintf(named->text, sizeof(named->text), "%s", socket->bound);
    named->is_inherited = socket->is_lent;
    bool is_ours = asked.kind == CONFIG_ADDRESS_UNIX && !socket->is_lent;
    named->unlink_path = is_ours ? named->text + strlen("unix:") : NULL;
}

/* All sockets of an address stand together, row 0 first. */
static enum status take_inherited(struct listen_sockets *sockets, const struct handover *handover)
{
    size_t count = 0;
    for (size_t i = 0; i < handover->socket_count; i++) {
        const struct handover_socket *socket = &handover->sockets[i];
        const struct config_address asked = handover_asked(socket);
        if (socket->row == 0) {
            name_inherited(&sockets->addresses[count++], socket);
        }
        if (count == 0 || !address_is_same(&sockets->addresses[count - 1].asked, &asked) ||
            *listen_sockets_slot(sockets, socket->row, count - 1) >= 0) {
            errno = EINVAL;
            return STATUS_REFUSED;
        }
        int descriptor = fcntl(socket->descriptor, F_DUPFD_CLOEXEC, 0);
        if (descriptor < 0) {
            return STATUS_SYS;
        }
        *listen_sockets_slot(sockets, socket->row, count - 1) = descriptor;
    }
    return STATUS_OK;
}

enum status listen_sockets_inherit(struct listen_sockets **out, const struct handover *handover,
                                   struct process_error *error)
{
    size_t count = 0;
    size_t rows = 0;
    measure(handover, &count, &rows);
    struct listen_sockets *sockets = listen_sockets_new(count, 0, rows);
    enum status status = sockets == NULL ? STATUS_NOMEM : take_inherited(sockets, handover);
    if (status != STATUS_OK) {
        process_error_set(error, "the listening sockets cannot be taken over: %s",
                          strerror(status == STATUS_NOMEM ? ENOMEM : errno));
        listen_sockets_leave(sockets);
        return status;
    }
    *out = sockets;
    return STATUS_OK;
}

enum status listen_sockets_bequeath(const struct listen_sockets *sockets, struct handover *handover)
{
    for (size_t i = 0; i < sockets->count; i++) {
        const struct listen_address *named = &sockets->addresses[i];
        struct handover_socket socket = {.asked = named->asked, .is_lent = named->is_inherited};
        (void)snprintf(socket.bound, sizeof(socket.bound), "%s", named->text);
        for (size_t row = 0; row < listen_sockets_copies(sockets, i); row++) {
            socket.descriptor = *listen_sockets_slot(sockets, row, i);
            socket.row = (uint32_t)row;
            if (socket.descriptor >= 0 && handover_add_socket(handover, &socket) != STATUS_OK) {
                return STATUS_NOMEM;
            }
        }
    }
    return STATUS_OK;
}
