/* proxy/process/listen_sockets.c · SPDX-License-Identifier: Apache-2.0 */
#include "proxy/process/listen_sockets.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "config/address.h"
#include "proxy/admin/local_socket.h"
#include "proxy/net/stream.h"
#include "proxy/process/bind_address.h"
#include "proxy/process/inherited_sockets.h"
#include "proxy/process/listen_sockets_state.h"

/* Open to every local user, as a loopback address is: who connects is mostly another user than ours
 * (0660 would shut out a front proxy that is not in our group). The folder's mode limits it. */
enum { LISTENER_PATH_MODE = 0666 };

static bool has_port(const struct listen_sockets *sockets, uint16_t port)
{
    for (size_t i = 0; sockets != NULL && i < sockets->count; i++) {
        const struct config_address *asked = &sockets->addresses[i].asked;
        if (asked->kind != CONFIG_ADDRESS_UNIX && asked->port == port && port != 0) {
            return true;
        }
    }
    return false;
}

static bool open_one(struct listen_sockets *sockets, size_t row, size_t index,
                     const struct bind_address *to)
{
    int *slot = listen_sockets_slot(sockets, row, index);
    *slot = bind_address_listen(to, sockets->dead_peer_ms);
    return *slot >= 0;
}

/* Where we listen on the port already, at another address, the probe would find ourselves; and
 * nobody else can share the port with us there. */
static enum status open_tcp(struct listen_sockets *sockets, size_t index,
                            const struct config_address *address,
                            const struct listen_sockets *former)
{
    struct bind_address to = bind_address_of(address);
    if (!has_port(former, address->port) && bind_address_probe(&to) != STATUS_OK) {
        return STATUS_SYS;
    }
    bind_address_format(&to, sockets->addresses[index].text,
                        sizeof(sockets->addresses[index].text));
    for (size_t worker = 0; worker < sockets->workers; worker++) {
        if (!open_one(sockets, worker, index, &to)) {
            return STATUS_SYS;
        }
    }
    return STATUS_OK;
}

/* All workers share one socket: there is no SO_REUSEPORT for paths. */
void listen_sockets_share_path(struct listen_sockets *sockets, size_t index)
{
    bool is_path = sockets->addresses[index].asked.kind == CONFIG_ADDRESS_UNIX;
    for (size_t worker = 1; is_path && worker < sockets->workers; worker++) {
        *listen_sockets_slot(sockets, worker, index) = *listen_sockets_slot(sockets, 0, index);
    }
}

static enum status open_unix(struct listen_sockets *sockets, size_t index,
                             const struct config_address *address)
{
    struct listen_address *named = &sockets->addresses[index];
    int descriptor = local_socket_listen(address->path, LISTENER_PATH_MODE);
    if (descriptor < 0) {
        return STATUS_SYS;
    }
    (void)snprintf(named->text, sizeof(named->text), "unix:%s", address->path);
    named->unlink_path = named->text + strlen("unix:");
    *listen_sockets_slot(sockets, 0, index) = descriptor;
    listen_sockets_share_path(sockets, index);
    return STATUS_OK;
}

static const char *reason(int number)
{
    switch (number) {
    case EADDRINUSE:
        return "the address is in use by another process";
    case EACCES:
        return "this user may not listen there (ports below 1024 need root or "
               "CAP_NET_BIND_SERVICE)";
    case EADDRNOTAVAIL:
        return "this machine does not have that address";
    case EEXIST:
        return "a file that is not a socket stands there";
    default:
        return strerror(number);
    }
}

/* ---- what another one has already ---- */

/* The config does not live as long as its sockets do. */
void listen_sockets_keep_asked(struct listen_address *named, const struct config_address *address)
{
    named->asked = *address;
    named->asked.text = NULL;
    named->asked.place = (struct place){0};
    (void)snprintf(named->asked_path, sizeof(named->asked_path), "%s",
                   address->path == NULL ? "" : address->path);
    named->asked.path = named->asked_path;
    named->former = SIZE_MAX;
}

static size_t find_former(const struct listen_sockets *former, const struct config_address *address)
{
    for (size_t i = 0; former != NULL && i < former->count; i++) {
        if (address_is_same(&former->addresses[i].asked, address)) {
            return i;
        }
    }
    return SIZE_MAX;
}

size_t listen_sockets_copies(const struct listen_sockets *sockets, size_t index)
{
    return sockets->addresses[index].asked.kind == CONFIG_ADDRESS_UNIX ? 1 : sockets->rows;
}

/* A worker that the former ones did not have: one more for the group; or, where the former one has
 * no group (it came from elsewhere), one that two share. */
bool listen_sockets_open_another(struct listen_sockets *sockets, size_t row, size_t index)
{
    struct bind_address to = {.len = sizeof(to.ip6)};
    int first = *listen_sockets_slot(sockets, 0, index);
    if (getsockname(first, &to.any, &to.len) != 0) {
        return false;
    }
    if (open_one(sockets, row, index, &to)) {
        return true;
    }
    int *slot = listen_sockets_slot(sockets, row, index);
    *slot = fcntl(first, F_DUPFD_CLOEXEC, 0);
    return *slot >= 0;
}

static enum status share(struct listen_sockets *sockets, size_t index,
                         const struct listen_sockets *former, size_t other)
{
    struct listen_address *named = &sockets->addresses[index];
    memcpy(named->text, former->addresses[other].text, sizeof(named->text));
    named->former = other;
    named->is_inherited = former->addresses[other].is_inherited;
    for (size_t row = 0; row < listen_sockets_copies(sockets, index); row++) {
        int one = row < former->rows ? *listen_sockets_slot(former, row, other) : -1;
        int *slot = listen_sockets_slot(sockets, row, index);
        if (one >= 0) {
            *slot = fcntl(one, F_DUPFD_CLOEXEC, 0);
            if (*slot < 0) {
                return STATUS_SYS;
            }
        } else if (row < sockets->workers && !listen_sockets_open_another(sockets, row, index)) {
            return STATUS_SYS;
        }
    }
    listen_sockets_share_path(sockets, index);
    return STATUS_OK;
}

static enum status open_or_share(struct listen_sockets *sockets, size_t index,
                                 const struct config_address *address,
                                 const struct listen_sources *sources)
{
    const struct listen_sockets *former = sources->former;
    size_t other = find_former(former, address);
    if (other != SIZE_MAX) {
        return share(sockets, index, former, other);
    }
    if (inherited_sockets_has(sources->inherited, address)) {
        return listen_sockets_take(sockets, index, address, sources->inherited);
    }
    return address->kind == CONFIG_ADDRESS_UNIX ? open_unix(sockets, index, address)
                                                : open_tcp(sockets, index, address, former);
}

static enum status open_address(struct listen_sockets *sockets, size_t index,
                                const struct config_listener *listener,
                                const struct config_address *address,
                                const struct listen_sources *sources, struct process_error *error)
{
    struct listen_address *named = &sockets->addresses[index];
    (void)snprintf(named->name, sizeof(named->name), "%s", listener->name);
    listen_sockets_keep_asked(named, address);
    enum status status = open_or_share(sockets, index, address, sources);
    if (status == STATUS_OK) {
        return STATUS_OK;
    }
    const char *why = reason(errno);
    const struct place *place = &address->place;
    if (place->file != NULL && place->line > 0) {
        process_error_set(error, "%s:%u:%u: listener %s cannot listen on %s: %s", place->file,
                          place->line, place->column, listener->name, address->text, why);
    } else {
        process_error_set(error, "listener %s cannot listen on %s: %s", listener->name,
                          address->text, why);
    }
    return status;
}

static enum status open_all(struct listen_sockets *sockets, const struct config *config,
                            const struct listen_sources *sources, struct process_error *error)
{
    size_t index = 0;
    for (size_t i = 0; i < config->listener_count; i++) {
        const struct config_listener *listener = &config->listeners[i];
        for (size_t j = 0; j < listener->address_count; j++) {
            enum status status =
                open_address(sockets, index++, listener, &listener->addresses[j], sources, error);
            if (status != STATUS_OK) {
                return status;
            }
        }
    }
    return STATUS_OK;
}

static size_t count_addresses(const struct config *config)
{
    size_t count = 0;
    for (size_t i = 0; i < config->listener_count; i++) {
        count += config->listeners[i].address_count;
    }
    return count;
}

struct listen_sockets *listen_sockets_new(size_t count, size_t workers, size_t rows)
{
    struct listen_sockets *sockets = calloc(1, sizeof(*sockets));
    if (sockets == NULL) {
        return NULL;
    }
    sockets->count = count;
    sockets->workers = workers;
    sockets->rows = rows > workers ? rows : workers;
    sockets->addresses = calloc(count + 1, sizeof(*sockets->addresses));
    sockets->descriptors = calloc(count * sockets->rows + 1, sizeof(*sockets->descriptors));
    if (sockets->addresses == NULL || sockets->descriptors == NULL) {
        free(sockets->addresses);
        free(sockets->descriptors);
        free(sockets);
        return NULL;
    }
    for (size_t i = 0; i < count * sockets->rows; i++) {
        sockets->descriptors[i] = -1;
    }
    return sockets;
}

enum status listen_sockets_open(struct listen_sockets **out, const struct config *config,
                                size_t workers, const struct listen_sources *sources,
                                struct process_error *error)
{
    const struct listen_sockets *former = sources->former;
    if (!listen_sockets_keep_inherited(former, config, error)) {
        return STATUS_REFUSED;
    }
    struct listen_sockets *sockets =
        listen_sockets_new(count_addresses(config), workers, former == NULL ? 0 : former->rows);
    if (sockets == NULL) {
        process_error_set(error, "out of memory");
        return STATUS_NOMEM;
    }
    sockets->dead_peer_ms = config->timeouts.dead_peer_ms;
    enum status status = open_all(sockets, config, sources, error);
    if (status != STATUS_OK) {
        listen_sockets_close(sockets);
        return status;
    }
    *out = sockets;
    return STATUS_OK;
}

void listen_sockets_close(struct listen_sockets *sockets)
{
    for (size_t i = 0; sockets != NULL && i < sockets->count; i++) {
        if (sockets->addresses[i].unlink_path != NULL) {
            (void)unlink(sockets->addresses[i].unlink_path);
        }
    }
    listen_sockets_leave(sockets);
}

void listen_sockets_leave(struct listen_sockets *sockets)
{
    if (sockets == NULL) {
        return;
    }
    for (size_t i = 0; i < sockets->count; i++) {
        for (size_t row = 0; row < listen_sockets_copies(sockets, i); row++) {
            int descriptor = *listen_sockets_slot(sockets, row, i);
            if (descriptor >= 0) {
                (void)close(descriptor);
            }
        }
    }
    free(sockets->addresses);
    free(sockets->descriptors);
    free(sockets);
}

void listen_sockets_succeed(struct listen_sockets *sockets, struct listen_sockets *former)
{
    for (size_t i = 0; i < sockets->count; i++) {
        struct listen_address *named = &sockets->addresses[i];
        if (named->former == SIZE_MAX) {
            continue;
        }
        struct listen_address *other = &former->addresses[named->former];
        if (other->unlink_path != NULL) {
            other->unlink_path = NULL;
            named->unlink_path = named->text + strlen("unix:");
        }
        named->former = SIZE_MAX;
        bool is_tcp = named->asked.kind != CONFIG_ADDRESS_UNIX;
        for (size_t row = 0; is_tcp && row < sockets->rows; row++) {
            if (*listen_sockets_slot(sockets, row, i) >= 0) {
                stream_set_tcp_options(*listen_sockets_slot(sockets, row, i),
                                       sockets->dead_peer_ms);
            }
        }
    }
    listen_sockets_close(former);
}

bool listen_sockets_is_new(const struct listen_sockets *sockets, size_t index)
{
    return sockets->addresses[index].former == SIZE_MAX;
}

size_t listen_sockets_count(const struct listen_sockets *sockets)
{
    return sockets->count;
}

size_t listen_sockets_rounds(const struct listen_sockets *sockets, size_t worker)
{
    return (sockets->rows - worker + sockets->workers - 1) / sockets->workers;
}

int listen_sockets_of_worker(const struct listen_sockets *sockets, size_t worker, size_t round,
                             size_t index)
{
    size_t row = worker + round * sockets->workers;
    bool has_more = row < listen_sockets_copies(sockets, index) &&
                    *listen_sockets_slot(sockets, row, index) >= 0;
    return *listen_sockets_slot(sockets, has_more ? row : worker, index);
}

const char *listen_sockets_name(const struct listen_sockets *sockets, size_t index)
{
    return sockets->addresses[index].name;
}

const char *listen_sockets_address(const struct listen_sockets *sockets, size_t index)
{
    return sockets->addresses[index].text;
}
