/* proxy/process/listen_sockets.c · SPDX-License-Identifier: Apache-2.0 */
#include "proxy/process/listen_sockets.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "config/address.h"
#include "proxy/admin/local_socket.h"
#include "proxy/net/stream.h"
#include "proxy/process/handover.h"

/* Open to every local user, as a loopback address is: who connects is mostly another user than ours
 * (0660 would shut out a front proxy that is not in our group). The folder's mode limits it. */
enum { LISTENER_PATH_MODE = 0666 };

enum { PATH_BYTES = 160 };

struct listen_address {
    char name[64];
    char text[PATH_BYTES];
    const char *unlink_path; /* in text; NULL: TCP, or the path is another's to remove */
    struct config_address asked;
    char asked_path[PATH_BYTES]; /* asked.path */
    size_t former;               /* its index there; SIZE_MAX: opened anew */
};

struct listen_sockets {
    size_t count;
    size_t workers;
    size_t rows; /* workers, or more */
    uint64_t dead_peer_ms;
    struct listen_address *addresses; /* count */
    int *descriptors;                 /* rows × count; -1: none */
};

/* An address of either family as the socket calls want it. */
struct bind_address {
    union {
        struct sockaddr any;
        struct sockaddr_in ip4;
        struct sockaddr_in6 ip6;
    };
    socklen_t len;
};

static struct bind_address to_bind_address(const struct config_address *address)
{
    struct bind_address to = {0};
    if (address->kind == CONFIG_ADDRESS_IP4) {
        to.ip4.sin_family = AF_INET;
        to.ip4.sin_port = htons(address->port);
        memcpy(&to.ip4.sin_addr, address->ip, sizeof(to.ip4.sin_addr));
        to.len = sizeof(to.ip4);
        return to;
    }
    to.ip6.sin6_family = AF_INET6;
    to.ip6.sin6_port = htons(address->port);
    memcpy(&to.ip6.sin6_addr, address->ip, sizeof(to.ip6.sin6_addr));
    to.len = sizeof(to.ip6);
    return to;
}

static void set_port(struct bind_address *address, in_port_t port)
{
    if (address->any.sa_family == AF_INET) {
        address->ip4.sin_port = port;
    } else {
        address->ip6.sin6_port = port;
    }
}

/* [::] on a machine without IPv6 means every address that there is. */
static struct bind_address without_ip6(const struct bind_address *address)
{
    struct bind_address to = {.len = sizeof(to.ip4)};
    to.ip4.sin_family = AF_INET;
    to.ip4.sin_port = address->ip6.sin6_port;
    return to;
}

static int close_keeping_errno(int descriptor)
{
    int saved = errno;
    (void)close(descriptor);
    errno = saved;
    return -1;
}

static int open_bound(const struct bind_address *address, bool is_shared)
{
    static const int ON = 1;
    static const int OFF = 0;
    int descriptor =
        socket(address->any.sa_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, IPPROTO_TCP);
    if (descriptor < 0) {
        return -1;
    }
    bool is_set =
        setsockopt(descriptor, SOL_SOCKET, SO_REUSEADDR, &ON, sizeof(ON)) == 0 &&
        (!is_shared || setsockopt(descriptor, SOL_SOCKET, SO_REUSEPORT, &ON, sizeof(ON)) == 0) &&
        (address->any.sa_family != AF_INET6 ||
         setsockopt(descriptor, IPPROTO_IPV6, IPV6_V6ONLY, &OFF, sizeof(OFF)) == 0);
    if (!is_set || bind(descriptor, &address->any, address->len) != 0) {
        return close_keeping_errno(descriptor);
    }
    return descriptor;
}

/* SO_REUSEPORT lets a second instance of the same user share our port unseen and take half of the
 * conns. A socket without it finds out whether somebody listens there already; with port 0 it also
 * finds the port. */
static enum status probe(struct bind_address *address)
{
    int descriptor = open_bound(address, false);
    if (descriptor < 0 && errno == EAFNOSUPPORT && address->any.sa_family == AF_INET6 &&
        IN6_IS_ADDR_UNSPECIFIED(&address->ip6.sin6_addr)) {
        *address = without_ip6(address);
        descriptor = open_bound(address, false);
    }
    if (descriptor < 0) {
        return STATUS_SYS;
    }
    struct bind_address bound = {.len = sizeof(bound.ip6)};
    int got = getsockname(descriptor, &bound.any, &bound.len);
    in_port_t port = bound.any.sa_family == AF_INET ? bound.ip4.sin_port : bound.ip6.sin6_port;
    set_port(address, port);
    (void)close_keeping_errno(descriptor);
    return got == 0 ? STATUS_OK : STATUS_SYS;
}

static void format_address(const struct bind_address *address, char *text, size_t size)
{
    char ip[INET6_ADDRSTRLEN];
    if (address->any.sa_family == AF_INET) {
        (void)inet_ntop(AF_INET, &address->ip4.sin_addr, ip, sizeof(ip));
        (void)snprintf(text, size, "%s:%u", ip, (unsigned)ntohs(address->ip4.sin_port));
        return;
    }
    (void)inet_ntop(AF_INET6, &address->ip6.sin6_addr, ip, sizeof(ip));
    (void)snprintf(text, size, "[%s]:%u", ip, (unsigned)ntohs(address->ip6.sin6_port));
}

static int *slot_of(const struct listen_sockets *sockets, size_t row, size_t index)
{
    return &sockets->descriptors[row * sockets->count + index];
}

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
    int descriptor = open_bound(to, true);
    if (descriptor < 0) {
        return false;
    }
    *slot_of(sockets, row, index) = descriptor;
    /* Conns inherit them when the kernel accepts, which it does before any worker runs. */
    stream_set_tcp_options(descriptor, sockets->dead_peer_ms);
    return listen(descriptor, SOMAXCONN) == 0;
}

/* Where we listen on the port already, at another address, the probe would find ourselves; and
 * nobody else can share the port with us there. */
static enum status open_tcp(struct listen_sockets *sockets, size_t index,
                            const struct config_address *address,
                            const struct listen_sockets *former)
{
    struct bind_address to = to_bind_address(address);
    if (!has_port(former, address->port) && probe(&to) != STATUS_OK) {
        return STATUS_SYS;
    }
    format_address(&to, sockets->addresses[index].text, sizeof(sockets->addresses[index].text));
    for (size_t worker = 0; worker < sockets->workers; worker++) {
        if (!open_one(sockets, worker, index, &to)) {
            return STATUS_SYS;
        }
    }
    return STATUS_OK;
}

/* All workers share one socket: there is no SO_REUSEPORT for paths. */
static void share_path(struct listen_sockets *sockets, size_t index)
{
    bool is_path = sockets->addresses[index].asked.kind == CONFIG_ADDRESS_UNIX;
    for (size_t worker = 1; is_path && worker < sockets->workers; worker++) {
        *slot_of(sockets, worker, index) = *slot_of(sockets, 0, index);
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
    *slot_of(sockets, 0, index) = descriptor;
    share_path(sockets, index);
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
static void keep_asked(struct listen_address *named, const struct config_address *address)
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

static size_t copies_of(const struct listen_sockets *sockets, size_t index)
{
    return sockets->addresses[index].asked.kind == CONFIG_ADDRESS_UNIX ? 1 : sockets->rows;
}

/* A worker that the former ones did not have: one more for the group; or, where the former one has
 * no group (it came from elsewhere), one that two share. */
static bool open_another(struct listen_sockets *sockets, size_t row, size_t index)
{
    struct bind_address to = {.len = sizeof(to.ip6)};
    int first = *slot_of(sockets, 0, index);
    if (getsockname(first, &to.any, &to.len) != 0) {
        return false;
    }
    if (open_one(sockets, row, index, &to)) {
        return true;
    }
    int *slot = slot_of(sockets, row, index);
    if (*slot < 0) {
        *slot = fcntl(first, F_DUPFD_CLOEXEC, 0);
    }
    return *slot >= 0;
}

static enum status share(struct listen_sockets *sockets, size_t index,
                         const struct listen_sockets *former, size_t other)
{
    struct listen_address *named = &sockets->addresses[index];
    memcpy(named->text, former->addresses[other].text, sizeof(named->text));
    named->former = other;
    for (size_t row = 0; row < copies_of(sockets, index); row++) {
        int one = row < former->rows ? *slot_of(former, row, other) : -1;
        int *slot = slot_of(sockets, row, index);
        if (one >= 0) {
            *slot = fcntl(one, F_DUPFD_CLOEXEC, 0);
            if (*slot < 0) {
                return STATUS_SYS;
            }
        } else if (row < sockets->workers && !open_another(sockets, row, index)) {
            return STATUS_SYS;
        }
    }
    share_path(sockets, index);
    return STATUS_OK;
}

static enum status open_or_share(struct listen_sockets *sockets, size_t index,
                                 const struct config_address *address,
                                 const struct listen_sockets *former)
{
    size_t other = find_former(former, address);
    if (other != SIZE_MAX) {
        return share(sockets, index, former, other);
    }
    return address->kind == CONFIG_ADDRESS_UNIX ? open_unix(sockets, index, address)
                                                : open_tcp(sockets, index, address, former);
}

static enum status open_address(struct listen_sockets *sockets, size_t index,
                                const struct config_listener *listener,
                                const struct config_address *address,
                                const struct listen_sockets *former, struct process_error *error)
{
    struct listen_address *named = &sockets->addresses[index];
    (void)snprintf(named->name, sizeof(named->name), "%s", listener->name);
    keep_asked(named, address);
    enum status status = open_or_share(sockets, index, address, former);
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
                            const struct listen_sockets *former, struct process_error *error)
{
    size_t index = 0;
    for (size_t i = 0; i < config->listener_count; i++) {
        const struct config_listener *listener = &config->listeners[i];
        for (size_t j = 0; j < listener->address_count; j++) {
            enum status status =
                open_address(sockets, index++, listener, &listener->addresses[j], former, error);
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

static struct listen_sockets *listen_sockets_new(size_t count, size_t workers, size_t rows)
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
                                size_t workers, const struct listen_sockets *former,
                                struct process_error *error)
{
    struct listen_sockets *sockets =
        listen_sockets_new(count_addresses(config), workers, former == NULL ? 0 : former->rows);
    if (sockets == NULL) {
        process_error_set(error, "out of memory");
        return STATUS_NOMEM;
    }
    sockets->dead_peer_ms = config->timeouts.dead_peer_ms;
    enum status status = open_all(sockets, config, former, error);
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
        for (size_t row = 0; row < copies_of(sockets, i); row++) {
            int descriptor = *slot_of(sockets, row, i);
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
            if (*slot_of(sockets, row, i) >= 0) {
                stream_set_tcp_options(*slot_of(sockets, row, i), sockets->dead_peer_ms);
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
    bool has_more = row < copies_of(sockets, index) && *slot_of(sockets, row, index) >= 0;
    return *slot_of(sockets, has_more ? row : worker, index);
}

const char *listen_sockets_name(const struct listen_sockets *sockets, size_t index)
{
    return sockets->addresses[index].name;
}

const char *listen_sockets_address(const struct listen_sockets *sockets, size_t index)
{
    return sockets->addresses[index].text;
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
    keep_asked(named, &asked);
    (void)snprintf(named->text, sizeof(named->text), "%s", socket->bound);
    named->unlink_path = asked.kind == CONFIG_ADDRESS_UNIX ? named->text + strlen("unix:") : NULL;
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
            *slot_of(sockets, socket->row, count - 1) >= 0) {
            errno = EINVAL;
            return STATUS_REFUSED;
        }
        int descriptor = fcntl(socket->descriptor, F_DUPFD_CLOEXEC, 0);
        if (descriptor < 0) {
            return STATUS_SYS;
        }
        *slot_of(sockets, socket->row, count - 1) = descriptor;
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
        struct handover_socket socket = {.asked = named->asked};
        (void)snprintf(socket.bound, sizeof(socket.bound), "%s", named->text);
        for (size_t row = 0; row < copies_of(sockets, i); row++) {
            socket.descriptor = *slot_of(sockets, row, i);
            socket.row = (uint32_t)row;
            if (socket.descriptor >= 0 && handover_add_socket(handover, &socket) != STATUS_OK) {
                return STATUS_NOMEM;
            }
        }
    }
    return STATUS_OK;
}
