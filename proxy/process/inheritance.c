/* proxy/process/inheritance.c · SPDX-License-Identifier: Apache-2.0 */
#include "proxy/process/inheritance.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "crypto/spent_tickets.h"
#include "proxy/process/handover_text.h"
#include "proxy/process/memory_file.h"

enum { ENTRY_BYTES = 64, ABOVE_STANDARD = 3 };

/* What a service manager has handed to this process is ours already; the numbers that it has told
 * would lead the next program astray. */
static const char *const NOT_PASSED_ON[] = {INHERITANCE_VARIABLE "=",
                                            "LISTEN_PID=", "LISTEN_FDS=", "LISTEN_FDNAMES="};

/* ---- taking ---- */

static int socket_option(int descriptor, int name)
{
    int value = -1;
    socklen_t len = sizeof(value);
    return getsockopt(descriptor, SOL_SOCKET, name, &value, &len) == 0 ? value : -1;
}

static bool is_listening(int descriptor, int domain)
{
    return socket_option(descriptor, SO_ACCEPTCONN) == 1 &&
           socket_option(descriptor, SO_TYPE) == SOCK_STREAM &&
           socket_option(descriptor, SO_DOMAIN) == domain;
}

/* [::] is 0.0.0.0 on a machine without IPv6. */
static bool is_socket(const struct handover_socket *socket)
{
    switch (socket->asked.kind) {
    case CONFIG_ADDRESS_UNIX:
        return is_listening(socket->descriptor, AF_UNIX);
    case CONFIG_ADDRESS_IP4:
        return is_listening(socket->descriptor, AF_INET);
    case CONFIG_ADDRESS_IP6:
        return is_listening(socket->descriptor, AF_INET6) ||
               is_listening(socket->descriptor, AF_INET);
    case CONFIG_ADDRESS_NONE:
        break;
    }
    return false;
}

/* Ended or not, it is ours to wait for. */
static bool is_child(const struct handover_child *child)
{
    siginfo_t facts;
    return waitid(P_PID, (id_t)child->pid, &facts, WEXITED | WNOHANG | WNOWAIT) == 0 &&
           (child->channel < 0 || (socket_option(child->channel, SO_TYPE) == SOCK_SEQPACKET &&
                                   socket_option(child->channel, SO_DOMAIN) == AF_UNIX));
}

static bool is_sealed(int descriptor)
{
    struct memory_file file;
    if (memory_file_map(&file, descriptor, HANDOVER_BYTES_MAX) != STATUS_OK) {
        return false;
    }
    memory_file_unmap(&file);
    return true;
}

/* Close-on-exec from now on; one that is so already was named twice, or never handed over. */
static void secure(void *self, int descriptor)
{
    bool *is_fine = self;
    int flags = fcntl(descriptor, F_GETFD);
    *is_fine = *is_fine && descriptor >= ABOVE_STANDARD && flags >= 0 &&
               (flags & FD_CLOEXEC) == 0 && fcntl(descriptor, F_SETFD, FD_CLOEXEC) == 0;
}

static bool is_spent_list(int descriptor)
{
    struct spent_tickets *list = spent_tickets_attach(descriptor);
    bool is_list = list != NULL;
    spent_tickets_detach(list);
    return is_list;
}

static bool is_whole(const struct handover *handover)
{
    bool is_fine = handover->pid == getpid();
    handover_each_descriptor(handover, secure, &is_fine);
    is_fine = is_fine && (handover->admin < 0 || is_listening(handover->admin, AF_UNIX)) &&
              (handover->tickets < 0 || is_sealed(handover->tickets)) &&
              (handover->spent < 0 || is_spent_list(handover->spent));
    for (size_t i = 0; i < handover->socket_count && is_fine; i++) {
        is_fine = is_socket(&handover->sockets[i]);
    }
    for (size_t i = 0; i < handover->child_count && is_fine; i++) {
        is_fine = is_child(&handover->children[i]);
    }
    return is_fine;
}

static enum status read_file(struct handover *handover, int descriptor)
{
    struct memory_file file;
    if (memory_file_map(&file, descriptor, HANDOVER_BYTES_MAX) != STATUS_OK) {
        return STATUS_REFUSED;
    }
    enum status status = handover_parse(handover, (slice){(const char *)file.bytes, file.len});
    memory_file_unmap(&file);
    if (status == STATUS_OK && !is_whole(handover)) {
        handover_fini(handover);
        return STATUS_REFUSED;
    }
    return status;
}

enum status inheritance_take(struct handover *handover, struct process_error *error)
{
    const char *text = getenv(INHERITANCE_VARIABLE);
    uint64_t number = 0;
    handover_init(handover);
    if (text == NULL) {
        return STATUS_END;
    }
    bool is_number = slice_to_number(slice_of(text), &number) && number >= ABOVE_STANDARD &&
                     number < INT16_MAX * (uint64_t)INT16_MAX;
    (void)unsetenv(INHERITANCE_VARIABLE);
    if (is_number && read_file(handover, (int)number) == STATUS_OK) {
        (void)close((int)number);
        return STATUS_OK;
    }
    process_error_set(error,
                      "%s is set, but no running instance has handed anything over to this "
                      "process; expected the variable not to be set",
                      INHERITANCE_VARIABLE);
    return STATUS_REFUSED;
}

/* ---- leaving ---- */

static void let_through(void *self, int descriptor)
{
    bool *is_fine = self;
    *is_fine = fcntl(descriptor, F_SETFD, 0) == 0 && *is_fine;
}

static void keep_back(void *self, int descriptor)
{
    (void)self;
    (void)fcntl(descriptor, F_SETFD, FD_CLOEXEC);
}

static bool is_passed_on(const char *entry)
{
    for (size_t i = 0; i < sizeof(NOT_PASSED_ON) / sizeof(NOT_PASSED_ON[0]); i++) {
        if (strncmp(entry, NOT_PASSED_ON[i], strlen(NOT_PASSED_ON[i])) == 0) {
            return false;
        }
    }
    return true;
}

/* Ours with one entry more; its strings are borrowed. NULL: no memory. */
static char **make_environment(char *entry)
{
    size_t count = 0;
    while (environ[count] != NULL) {
        count++;
    }
    char **made = calloc(count + 2, sizeof(*made));
    size_t kept = 0;
    for (size_t i = 0; made != NULL && i < count; i++) {
        if (is_passed_on(environ[i])) {
            made[kept++] = environ[i];
        }
    }
    if (made != NULL) {
        made[kept] = entry;
    }
    return made;
}

/* -1: errno. */
static int make_file(const struct handover *handover)
{
    char *text = NULL;
    size_t len = 0;
    FILE *out = open_memstream(&text, &len);
    if (out == NULL) {
        return -1;
    }
    handover_write(handover, out);
    int file = -1;
    struct handover read_back;
    bool is_written = fclose(out) == 0;
    if (is_written && handover_parse(&read_back, (slice){text, len}) != STATUS_OK) {
        is_written = false; /* a name in it that no text can have: said now, not afterwards */
        errno = EINVAL;
    } else if (is_written) {
        handover_fini(&read_back);
    }
    file = is_written ? memory_file_new("sallyport-handover", text, len) : -1;
    free(text);
    return file;
}

static void execute(const struct handover *handover, const struct invocation *invocation, int file)
{
    char entry[ENTRY_BYTES];
    (void)snprintf(entry, sizeof(entry), INHERITANCE_VARIABLE "=%d", file);
    char **environment = make_environment(entry);
    if (environment == NULL) {
        errno = ENOMEM;
        return;
    }
    bool is_open = true;
    let_through(&is_open, file);
    handover_each_descriptor(handover, let_through, &is_open);
    if (is_open) {
        (void)execve(invocation->path, invocation->words, environment);
    }
    int saved = errno;
    handover_each_descriptor(handover, keep_back, NULL);
    free(environment);
    errno = saved;
}

enum status inheritance_leave(const struct handover *handover, const struct invocation *invocation,
                              struct process_error *error)
{
    int file = make_file(handover);
    if (file >= 0) {
        execute(handover, invocation, file);
    }
    process_error_set(error, "%s cannot take over: %s", invocation->path, strerror(errno));
    if (file >= 0) {
        (void)close(file);
    }
    return STATUS_SYS;
}

static void close_one(void *self, int descriptor)
{
    (void)self;
    (void)close(descriptor);
}

void inheritance_close_sockets(struct handover *handover)
{
    for (size_t i = 0; i < handover->socket_count; i++) {
        (void)close(handover->sockets[i].descriptor);
    }
    handover->socket_count = 0;
}

void inheritance_close(struct handover *handover)
{
    handover_each_descriptor(handover, close_one, NULL);
    handover_fini(handover);
}
