/* proxy/admin/client.c · SPDX-License-Identifier: Apache-2.0 */
#include "proxy/admin/client.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "proxy/admin/local_socket.h"
#include "proxy/base/clock.h"

enum { FIRST_ROOM = 4096 };

static bool send_verb(int conn, const char *verb)
{
    char line[64];
    int len = snprintf(line, sizeof(line), "%s\n", verb);
    return send(conn, line, (size_t)len, MSG_NOSIGNAL) == len;
}

static int left_ms(uint64_t until_us)
{
    uint64_t now = clock_monotonic_us();
    return now >= until_us ? 0 : (int)((until_us - now) / 1000U) + 1;
}

static ssize_t read_within(int conn, char *room, size_t size, uint64_t until_us)
{
    struct pollfd entry = {.fd = conn, .events = POLLIN};
    if (poll(&entry, 1, left_ms(until_us)) != 1) {
        return -1;
    }
    return recv(conn, room, size, 0);
}

static enum status read_line(int conn, int timeout_ms, char **answer)
{
    uint64_t until_us = clock_monotonic_us() + (uint64_t)timeout_ms * 1000U;
    size_t room = FIRST_ROOM;
    size_t len = 0;
    char *line = malloc(room);
    while (line != NULL) {
        ssize_t more = read_within(conn, line + len, room - len, until_us);
        if (more <= 0) {
            free(line);
            return STATUS_BROKEN;
        }
        len += (size_t)more;
        if (line[len - 1] == '\n') {
            line[len - 1] = '\0';
            *answer = line;
            return STATUS_OK;
        }
        if (len < room) {
            continue;
        }
        room *= 2;
        char *larger = room > ADMIN_ANSWER_BYTES_MAX ? NULL : realloc(line, room);
        if (larger == NULL) {
            free(line);
            return STATUS_NOMEM;
        }
        line = larger;
    }
    return STATUS_NOMEM;
}

enum status admin_ask(const char *path, const char *verb, int timeout_ms, char **answer, int *stays)
{
    int conn = local_socket_connect(path);
    if (conn < 0) {
        return STATUS_SYS;
    }
    enum status status =
        send_verb(conn, verb) ? read_line(conn, timeout_ms, answer) : STATUS_BROKEN;
    if (status == STATUS_OK && stays != NULL) {
        *stays = conn;
        return status;
    }
    (void)close(conn);
    return status;
}

bool admin_wait_for_end(int conn, int timeout_ms)
{
    struct pollfd entry = {.fd = conn, .events = POLLIN};
    int ready;
    do {
        ready = poll(&entry, 1, timeout_ms);
    } while (ready < 0 && errno == EINTR);
    (void)close(conn);
    return ready == 1;
}
