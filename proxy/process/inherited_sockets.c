/* proxy/process/inherited_sockets.c · SPDX-License-Identifier: Apache-2.0 */
#include "proxy/process/inherited_sockets.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "config/address.h"
#include "proxy/base/slice.h"
#include "proxy/process/bind_address.h"

enum {
    FIRST_DESCRIPTOR = 3, /* SD_LISTEN_FDS_START */
    ANNOUNCED_MAX = 4096,
    GROWTH = 16,
    NAME_BYTES = 64,
};

struct inherited_socket {
    int descriptor;                /* -1: taken */
    struct config_address address; /* but for its path */
    char path[sizeof(((struct sockaddr_un *)0)->sun_path) + 1];
    char text[sizeof(((struct sockaddr_un *)0)->sun_path) + 8];
    char name[NAME_BYTES];
};

struct inherited_sockets {
    size_t count;
    struct inherited_socket *sockets; /* room for `count` rounded up to GROWTH */
};

struct inherited_sockets *inherited_sockets_new(void)
{
    return calloc(1, sizeof(struct inherited_sockets));
}

/* ---- what a descriptor is ---- */

static int option_of(int descriptor, int level, int name)
{
    int value = -1;
    socklen_t len = sizeof(value);
    return getsockopt(descriptor, level, name, &value, &len) == 0 ? value : -1;
}

/* NULL: conns of ours can be accepted from it. */
static const char *why_not(int descriptor)
{
    int family = option_of(descriptor, SOL_SOCKET, SO_DOMAIN);
    if (family < 0) {
        return errno == ENOTSOCK ? "it is not a socket" : strerror(errno);
    }
    if (family != AF_INET && family != AF_INET6 && family != AF_UNIX) {
        return "it is neither of IP nor a unix socket";
    }
    if (option_of(descriptor, SOL_SOCKET, SO_TYPE) != SOCK_STREAM) {
        return "it is not a stream socket (ListenStream=)";
    }
    if (family != AF_UNIX && option_of(descriptor, SOL_SOCKET, SO_PROTOCOL) != IPPROTO_TCP) {
        return "it does not speak TCP";
    }
    if (option_of(descriptor, SOL_SOCKET, SO_ACCEPTCONN) != 1) {
        return "it does not listen (Accept=no is needed)";
    }
    return NULL;
}

/* ---- where it listens ---- */

union any_address {
    struct sockaddr any;
    struct sockaddr_in ip4;
    struct sockaddr_in6 ip6;
    struct sockaddr_un path;
};

static const char *note_path(struct inherited_socket *socket, const struct sockaddr_un *path,
                             socklen_t len)
{
    size_t offset = offsetof(struct sockaddr_un, sun_path);
    if (len <= offset || path->sun_path[0] == '\0') {
        return "it has no path";
    }
    (void)snprintf(socket->path, sizeof(socket->path), "%.*s", (int)(len - offset), path->sun_path);
    (void)snprintf(socket->text, sizeof(socket->text), "unix:%s", socket->path);
    socket->address.kind = CONFIG_ADDRESS_UNIX;
    return NULL;
}

static void note_ip(struct inherited_socket *socket, const union any_address *at)
{
    struct config_address *address = &socket->address;
    if (at->any.sa_family == AF_INET) {
        address->kind = CONFIG_ADDRESS_IP4;
        address->port = ntohs(at->ip4.sin_port);
        memcpy(address->ip, &at->ip4.sin_addr, sizeof(at->ip4.sin_addr));
    } else {
        address->kind = CONFIG_ADDRESS_IP6;
        address->port = ntohs(at->ip6.sin6_port);
        memcpy(address->ip, &at->ip6.sin6_addr, sizeof(at->ip6.sin6_addr));
    }
    const struct bind_address bound = bind_address_of(address);
    bind_address_format(&bound, socket->text, sizeof(socket->text));
}

/* A listener at [::] serves both families, so a socket that does not is none for it. */
static const char *note_address(struct inherited_socket *socket)
{
    union any_address at = {.any = {0}};
    socklen_t len = sizeof(at);
    if (getsockname(socket->descriptor, &at.any, &len) != 0) {
        return strerror(errno);
    }
    if (at.any.sa_family == AF_UNIX) {
        return note_path(socket, &at.path, len);
    }
    note_ip(socket, &at);
    bool is_everything = at.any.sa_family == AF_INET6 && IN6_IS_ADDR_UNSPECIFIED(&at.ip6.sin6_addr);
    if (is_everything && option_of(socket->descriptor, IPPROTO_IPV6, IPV6_V6ONLY) != 0) {
        return "it is for IPv6 alone where [::] means IPv4 too (BindIPv6Only=both)";
    }
    return NULL;
}

static bool prepare(int descriptor)
{
    int flags = fcntl(descriptor, F_GETFL);
    return flags >= 0 && fcntl(descriptor, F_SETFL, flags | O_NONBLOCK) == 0 &&
           fcntl(descriptor, F_SETFD, FD_CLOEXEC) == 0;
}

static bool has_room(struct inherited_sockets *sockets)
{
    if (sockets->count % GROWTH != 0) {
        return true;
    }
    struct inherited_socket *grown =
        realloc(sockets->sockets, (sockets->count + GROWTH) * sizeof(*grown));
    if (grown == NULL) {
        return false;
    }
    sockets->sockets = grown;
    return true;
}

enum status inherited_sockets_add(struct inherited_sockets *sockets, int descriptor,
                                  const char *name, struct process_error *error)
{
    name = name == NULL ? "" : name;
    if (!has_room(sockets)) {
        process_error_set(error, "out of memory");
        return STATUS_NOMEM;
    }
    struct inherited_socket *socket = &sockets->sockets[sockets->count];
    *socket = (struct inherited_socket){.descriptor = descriptor};
    (void)snprintf(socket->name, sizeof(socket->name), "%s", name);
    const char *why = why_not(descriptor);
    if (why == NULL) {
        why = note_address(socket);
    }
    if (why == NULL && !prepare(descriptor)) {
        why = strerror(errno);
    }
    if (why != NULL) {
        process_error_set(error, "inherited descriptor %d%s%s cannot be listened on: %s",
                          descriptor, name[0] == '\0' ? "" : " of ", name, why);
        return STATUS_REFUSED;
    }
    sockets->count++;
    return STATUS_OK;
}

/* ---- the environment ---- */

/* How many the service manager says that there are; a word to another process is none to us. */
static enum status count_announced(size_t *count, struct process_error *error)
{
    const char *whose = getenv("LISTEN_PID");
    const char *number = getenv("LISTEN_FDS");
    uint64_t pid = 0;
    uint64_t announced = 0;
    *count = 0;
    if (whose == NULL || number == NULL) {
        return STATUS_OK;
    }
    if (!slice_to_number(slice_of(whose), &pid)) {
        process_error_set(error, "LISTEN_PID: a process id was expected");
        return STATUS_REFUSED;
    }
    if (pid != (uint64_t)getpid()) {
        return STATUS_OK;
    }
    if (!slice_to_number(slice_of(number), &announced) || announced > ANNOUNCED_MAX) {
        process_error_set(error, "LISTEN_FDS: a number of sockets up to %d was expected",
                          ANNOUNCED_MAX);
        return STATUS_REFUSED;
    }
    *count = (size_t)announced;
    return STATUS_OK;
}

/* The names in their order, joined by colons; fewer than descriptors: the rest have none. */
static void next_name(const char **names, char name[NAME_BYTES])
{
    size_t len = strcspn(*names, ":");
    (void)snprintf(name, NAME_BYTES, "%.*s", (int)(len < NAME_BYTES ? len : NAME_BYTES), *names);
    *names += len + ((*names)[len] == ':' ? 1 : 0);
}

static enum status add_announced(struct inherited_sockets *sockets, size_t count,
                                 struct process_error *error)
{
    const char *names = getenv("LISTEN_FDNAMES");
    names = names == NULL ? "" : names;
    for (size_t i = 0; i < count; i++) {
        char name[NAME_BYTES];
        next_name(&names, name);
        enum status status = inherited_sockets_add(sockets, FIRST_DESCRIPTOR + (int)i, name, error);
        if (status != STATUS_OK) {
            return status;
        }
    }
    return STATUS_OK;
}

static void forget_environment(void)
{
    static const char *const NAMES[] = {"LISTEN_PID", "LISTEN_PIDFDID", "LISTEN_FDS",
                                        "LISTEN_FDNAMES"};
    for (size_t i = 0; i < sizeof(NAMES) / sizeof(NAMES[0]); i++) {
        (void)unsetenv(NAMES[i]);
    }
}

enum status inherited_sockets_open(struct inherited_sockets **out, struct process_error *error)
{
    size_t count = 0;
    enum status status = count_announced(&count, error);
    struct inherited_sockets *sockets = inherited_sockets_new();
    if (status == STATUS_OK && sockets == NULL) {
        process_error_set(error, "out of memory");
        status = STATUS_NOMEM;
    }
    if (status == STATUS_OK) {
        status = add_announced(sockets, count, error);
    }
    forget_environment();
    if (status != STATUS_OK) {
        inherited_sockets_close(sockets);
        return status;
    }
    *out = sockets;
    return STATUS_OK;
}

/* ---- who takes them ---- */

static struct config_address address_of(const struct inherited_socket *socket)
{
    struct config_address address = socket->address;
    address.path = socket->path; /* which moves when the set grows */
    return address;
}

static bool is_at(const struct inherited_socket *socket, const struct config_address *address)
{
    const struct config_address own = address_of(socket);
    return address_is_same(&own, address);
}

static size_t find(const struct inherited_sockets *sockets, const struct config_address *address)
{
    for (size_t i = 0; sockets != NULL && i < sockets->count; i++) {
        if (sockets->sockets[i].descriptor >= 0 && is_at(&sockets->sockets[i], address)) {
            return i;
        }
    }
    return SIZE_MAX;
}

bool inherited_sockets_has(const struct inherited_sockets *sockets,
                           const struct config_address *address)
{
    return find(sockets, address) != SIZE_MAX;
}

int inherited_sockets_take(struct inherited_sockets *sockets, const struct config_address *address)
{
    size_t index = find(sockets, address);
    if (index == SIZE_MAX) {
        return -1;
    }
    int descriptor = sockets->sockets[index].descriptor;
    sockets->sockets[index].descriptor = -1;
    return descriptor;
}

static size_t count_before(const struct inherited_sockets *sockets, size_t index)
{
    size_t count = 0;
    const struct config_address address = address_of(&sockets->sockets[index]);
    for (size_t i = 0; i < index; i++) {
        count += is_at(&sockets->sockets[i], &address) ? 1 : 0;
    }
    return count;
}

/* Conns to a socket that nobody accepts from would wait for ever. */
enum status inherited_sockets_check(const struct inherited_sockets *sockets,
                                    const struct config *config, size_t workers,
                                    struct process_error *error)
{
    for (size_t i = 0; i < sockets->count; i++) {
        const struct inherited_socket *socket = &sockets->sockets[i];
        bool is_of = socket->name[0] != '\0';
        const struct config_address address = address_of(socket);
        if (!config_listens_at(config, &address)) {
            process_error_set(error,
                              "the inherited socket at %s%s%s has no listener: its conns would "
                              "wait for ever; a listener with exactly that address was expected",
                              socket->text, is_of ? " of " : "", socket->name);
            return STATUS_REFUSED;
        }
        if (count_before(sockets, i) >= workers) {
            process_error_set(error, "more inherited sockets at %s than workers (%zu)",
                              socket->text, workers);
            return STATUS_REFUSED;
        }
    }
    return STATUS_OK;
}

void inherited_sockets_close(struct inherited_sockets *sockets)
{
    for (size_t i = 0; sockets != NULL && i < sockets->count; i++) {
        if (sockets->sockets[i].descriptor >= 0) {
            (void)close(sockets->sockets[i].descriptor);
        }
    }
    if (sockets != NULL) {
        free(sockets->sockets);
    }
    free(sockets);
}
