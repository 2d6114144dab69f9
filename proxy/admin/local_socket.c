/* proxy/admin/local_socket.c · SPDX-License-Identifier: Apache-2.0 */
#include "proxy/admin/local_socket.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

static bool make_address(struct sockaddr_un *address, const char *path)
{
    *address = (struct sockaddr_un){.sun_family = AF_UNIX};
    if (strlen(path) >= sizeof(address->sun_path)) {
        errno = ENAMETOOLONG;
        return false;
    }
    memcpy(address->sun_path, path, strlen(path));
    return true;
}

static int close_keeping_errno(int descriptor)
{
    int saved = errno;
    (void)close(descriptor);
    errno = saved;
    return -1;
}

int local_socket_connect(const char *path)
{
    struct sockaddr_un address;
    if (!make_address(&address, path)) {
        return -1;
    }
    int descriptor = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (descriptor < 0) {
        return -1;
    }
    if (connect(descriptor, (const struct sockaddr *)&address, sizeof(address)) != 0) {
        return close_keeping_errno(descriptor);
    }
    return descriptor;
}

/* Each folder of the path, like mkdir -p. What fails shows when the socket is bound. */
static void make_folders(const char *path)
{
    char folder[PATH_MAX];
    mode_t mask = umask(022);
    for (const char *slash = strchr(path + 1, '/'); slash != NULL; slash = strchr(slash + 1, '/')) {
        (void)snprintf(folder, sizeof(folder), "%.*s", (int)(slash - path), path);
        (void)mkdir(folder, 0755);
    }
    (void)umask(mask);
}

/* True if nothing stands in the way any more. */
static bool clear_stale(const char *path)
{
    struct stat facts;
    if (lstat(path, &facts) != 0) {
        return errno == ENOENT || errno == ENOTDIR;
    }
    if (!S_ISSOCK(facts.st_mode)) {
        errno = EEXIST;
        return false;
    }
    int conn = local_socket_connect(path);
    if (conn >= 0) {
        (void)close(conn);
        errno = EADDRINUSE;
        return false;
    }
    if (errno != ECONNREFUSED) {
        return false;
    }
    return unlink(path) == 0;
}

int local_socket_listen(const char *path, mode_t mode)
{
    struct sockaddr_un address;
    if (!make_address(&address, path)) {
        return -1;
    }
    make_folders(path);
    if (!clear_stale(path)) {
        return -1;
    }
    int descriptor = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (descriptor < 0) {
        return -1;
    }
    mode_t mask = umask((mode_t)(~mode & 0777));
    int bound = bind(descriptor, (const struct sockaddr *)&address, sizeof(address));
    (void)umask(mask);
    if (bound != 0 || listen(descriptor, SOMAXCONN) != 0) {
        return close_keeping_errno(descriptor);
    }
    return descriptor;
}
