/* proxy/admin/server.c · SPDX-License-Identifier: Apache-2.0 */
#include "proxy/admin/server.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "proxy/admin/local_socket.h"
#include "proxy/admin/status.h"
#include "proxy/base/slice.h"
#include "proxy/net/timer.h"

enum {
    ADMIN_MODE = 0600,
    CONNS_MAX = 16,
    REQUEST_BYTES_MAX = 64,
    REQUEST_MS = 5000,
    DISCARDS_MAX = 16,
    SETTLE_TURNS = 100,
    SETTLE_PAUSE_MS = 2
};

struct admin_conn {
    struct list_link link;
    struct admin_server *server;
    int descriptor;
    struct watch watch;
    struct deadline deadline;
    struct loop_post reap;
    char request[REQUEST_BYTES_MAX];
    size_t request_len;
    char *answer;
    size_t answer_len;
    size_t sent;
    uint64_t awaits; /* the run of a reload that will answer; 0: none */
    bool stays;      /* until the instance ends */
    bool is_closed;  /* waits for the reaper */
};

struct admin_server {
    struct loop *loop;
    struct admin_events events;
    int descriptor;
    struct watch watch;
    struct list conns;
    size_t conn_count;
    char path[128];
    bool owns_path;
};

static void conn_free(void *self)
{
    struct admin_conn *conn = self;
    free(conn->answer);
    free(conn);
}

/* A unix socket that is closed with bytes unread takes our answer from the other end. */
static void discard_input(const struct admin_conn *conn)
{
    char bytes[1024];
    for (int i = 0; i < DISCARDS_MAX; i++) {
        if (recv(conn->descriptor, bytes, sizeof(bytes), MSG_DONTWAIT) <= 0) {
            return;
        }
    }
}

static void conn_close(struct admin_conn *conn)
{
    if (conn->is_closed) {
        return;
    }
    conn->is_closed = true;
    discard_input(conn);
    list_remove(&conn->link);
    conn->server->conn_count--;
    deadline_disarm(&conn->deadline);
    watch_close(&conn->watch);
    (void)close(conn->descriptor);
    conn->reap = (struct loop_post){.run = conn_free, .self = conn};
    loop_post_reap(conn->server->loop, &conn->reap);
}

static void on_deadline(void *self)
{
    conn_close(self);
}

static void send_answer(struct admin_conn *conn)
{
    while (conn->sent < conn->answer_len) {
        ssize_t sent = send(conn->descriptor, conn->answer + conn->sent,
                            conn->answer_len - conn->sent, MSG_DONTWAIT | MSG_NOSIGNAL);
        if (sent < 0 && errno == EINTR) {
            continue;
        }
        if (sent < 0 && errno == EAGAIN) {
            return; /* on_ready tells when there is room */
        }
        if (sent <= 0) {
            conn_close(conn);
            return;
        }
        conn->sent += (size_t)sent;
    }
    if (conn->stays) {
        deadline_disarm(&conn->deadline);
        return;
    }
    conn_close(conn);
}

/* Takes `line`, adds its line feed. */
static void answer_with(struct admin_conn *conn, char *line)
{
    if (line == NULL) {
        conn_close(conn);
        return;
    }
    conn->answer = line;
    conn->answer_len = strlen(line);
    line[conn->answer_len++] = '\n'; /* in place of the NUL: a length goes with it */
    send_answer(conn);
}

static void answer_failed(struct admin_conn *conn, const char *why)
{
    char line[256];
    (void)snprintf(line, sizeof(line), "{\"ok\":false,\"error\":\"%s\"}", why);
    answer_with(conn, strdup(line));
}

static void ask_for_reload(struct admin_conn *conn)
{
    const struct admin_events *events = &conn->server->events;
    conn->awaits = events->on_reload(events->self);
    if (conn->awaits == 0) {
        answer_failed(conn, "the instance is starting or ending");
        return;
    }
    deadline_disarm(&conn->deadline); /* it will be answered, if only with a failure */
}

static void act(struct admin_conn *conn, slice verb)
{
    const struct admin_events *events = &conn->server->events;
    if (slice_equal(verb, SLICE("status"))) {
        answer_with(conn, events->on_status(events->self));
        return;
    }
    if (slice_equal(verb, SLICE("posture"))) {
        answer_with(conn, events->on_posture(events->self));
        return;
    }
    if (slice_equal(verb, SLICE("keyrings"))) {
        answer_with(conn, events->on_keyrings(events->self));
        return;
    }
    if (slice_equal(verb, SLICE("metrics"))) {
        answer_with(conn, events->on_metrics(events->self));
        return;
    }
    bool is_drain = slice_equal(verb, SLICE("drain"));
    if (is_drain || slice_equal(verb, SLICE("stop"))) {
        conn->stays = true;
        answer_with(conn, strdup("{\"ok\":true}"));
        (is_drain ? events->on_drain : events->on_stop)(events->self);
        return;
    }
    if (slice_equal(verb, SLICE("reload"))) {
        ask_for_reload(conn);
        return;
    }
    answer_failed(conn, "unknown request");
}

static void read_request(struct admin_conn *conn)
{
    while (conn->answer == NULL && conn->awaits == 0 && !conn->is_closed) {
        ssize_t len = recv(conn->descriptor, conn->request + conn->request_len,
                           sizeof(conn->request) - conn->request_len, MSG_DONTWAIT);
        if (len < 0 && errno == EINTR) {
            continue;
        }
        if (len < 0 && errno == EAGAIN) {
            return;
        }
        if (len <= 0) {
            conn_close(conn);
            return;
        }
        conn->request_len += (size_t)len;
        slice request = {conn->request, conn->request_len};
        size_t end = slice_find(request, '\n');
        if (end < request.len) {
            act(conn, slice_first(request, end));
        } else if (request.len == sizeof(conn->request)) {
            answer_failed(conn, "the request is too long");
        }
    }
}

static void on_conn_ready(void *self, unsigned events)
{
    struct admin_conn *conn = self;
    if (conn->is_closed) {
        return;
    }
    if (conn->answer == NULL && conn->awaits == 0) {
        read_request(conn);
        return;
    }
    if ((events & WATCH_WRITE) != 0 && conn->sent < conn->answer_len) {
        send_answer(conn);
        return;
    }
    char byte;
    if (recv(conn->descriptor, &byte, 1, MSG_DONTWAIT | MSG_PEEK) == 0) {
        conn_close(conn);
    }
}

/* Takes the descriptor. */
static void conn_open(struct admin_server *server, int descriptor)
{
    struct admin_conn *conn = calloc(1, sizeof(*conn));
    if (conn == NULL) {
        (void)close(descriptor);
        return;
    }
    conn->server = server;
    conn->descriptor = descriptor;
    if (watch_open(&conn->watch, server->loop, descriptor, WATCH_READ | WATCH_WRITE, on_conn_ready,
                   conn) != STATUS_OK) {
        (void)close(descriptor);
        free(conn);
        return;
    }
    list_append(&server->conns, &conn->link);
    server->conn_count++;
    deadline_arm(&conn->deadline, server->loop, REQUEST_MS, on_deadline, conn);
}

static void on_accept(void *self, unsigned events)
{
    (void)events;
    struct admin_server *server = self;
    int descriptor = accept4(server->descriptor, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (descriptor < 0) {
        return;
    }
    if (server->conn_count >= CONNS_MAX) {
        (void)close(descriptor);
        return;
    }
    conn_open(server, descriptor);
}

/* Takes the descriptor, if it is one. */
static enum status open_on(struct admin_server **out, struct loop *loop, int descriptor,
                           const char *path, const struct admin_events *events)
{
    struct admin_server *server = descriptor < 0 ? NULL : calloc(1, sizeof(*server));
    if (server == NULL) {
        if (descriptor >= 0) {
            (void)close(descriptor);
        }
        return descriptor < 0 ? STATUS_SYS : STATUS_NOMEM;
    }
    server->loop = loop;
    server->events = *events;
    list_init(&server->conns);
    (void)snprintf(server->path, sizeof(server->path), "%s", path);
    server->descriptor = descriptor;
    enum status status =
        watch_open_level(&server->watch, loop, server->descriptor, WATCH_READ, on_accept, server);
    if (status != STATUS_OK) {
        (void)close(server->descriptor);
        free(server);
        return status;
    }
    *out = server;
    return STATUS_OK;
}

enum status admin_server_open(struct admin_server **out, struct loop *loop, const char *path,
                              const struct admin_events *events)
{
    int descriptor = local_socket_listen(path, ADMIN_MODE);
    enum status status = open_on(out, loop, descriptor, path, events);
    if (status == STATUS_OK) {
        (*out)->owns_path = true;
    } else if (descriptor >= 0) {
        (void)unlink(path);
    }
    return status;
}

enum status admin_server_inherit(struct admin_server **out, struct loop *loop, int descriptor,
                                 const char *path, const struct admin_events *events)
{
    return open_on(out, loop, fcntl(descriptor, F_DUPFD_CLOEXEC, 0), path, events);
}

void admin_server_own_path(struct admin_server *server, bool is_own)
{
    if (server != NULL) {
        server->owns_path = is_own;
    }
}

int admin_server_descriptor(const struct admin_server *server)
{
    return server == NULL ? -1 : server->descriptor;
}

void admin_server_settle(const struct admin_server *server, struct loop *loop)
{
    loop_turn(loop);
    for (int i = 1; i < SETTLE_TURNS && server != NULL && server->conn_count > 0; i++) {
        (void)usleep(SETTLE_PAUSE_MS * 1000);
        loop_turn(loop);
    }
}

void admin_server_tell_reloaded(struct admin_server *server, uint64_t run,
                                const struct reload_outcome *outcome)
{
    struct list_link *link = server == NULL ? NULL : list_first(&server->conns);
    while (link != NULL) {
        struct admin_conn *conn = LIST_OBJECT(link, struct admin_conn, link);
        link = list_next(&server->conns, link); /* answering may close it */
        if (conn->awaits > 0 && conn->awaits <= run) {
            conn->awaits = 0;
            deadline_arm(&conn->deadline, server->loop, REQUEST_MS, on_deadline, conn);
            answer_with(conn, instance_reload_to_json(outcome));
        }
    }
}

void admin_server_close(struct admin_server *server)
{
    if (server == NULL) {
        return;
    }
    for (struct list_link *link = list_first(&server->conns); link != NULL;
         link = list_first(&server->conns)) {
        conn_close(LIST_OBJECT(link, struct admin_conn, link));
    }
    watch_close(&server->watch);
    (void)close(server->descriptor);
    if (server->owns_path) {
        (void)unlink(server->path);
    }
    free(server);
}
