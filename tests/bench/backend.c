/* tests/bench/backend.c
 *
 * The server that stands behind each proxy of the bench: plaintext HTTP/1.1 and WebSocket echo, one
 * thread, one epoll loop, so light that it is not what is being measured.
 *
 *   GET /small               128 bytes of the pattern
 *   GET /download?bytes=N    N bytes of the pattern
 *   POST /upload             takes a body with a length, checks it, says how much it was
 *   GET /ws                  echoes WebSocket messages
 *
 * Usage: bench_backend PORT. Prints "ready" when it listens; ends on SIGTERM.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "tests/bench/frame.h"
#include "tests/bench/head.h"
#include "tests/bench/pattern.h"

enum {
    IN_BYTES = 4096,
    SINK_BYTES = 256 * 1024,
    OUT_BYTES = 64 * 1024,
    EVENTS_MAX = 256,
    ANSWER_MAX = 256 + PATTERN_SMALL, /* the longest answer that is gathered */
};

enum conn_state { CONN_HEAD, CONN_UPLOAD, CONN_TUNNEL };

struct conn {
    int fd;
    enum conn_state state;
    bool wants_write; /* what epoll was told */
    bool is_wrong;    /* the upload's bytes were not those of the pattern */
    bool is_broken;   /* to be closed */
    size_t in_len;
    uint64_t upload_total;
    uint64_t upload_left;
    uint64_t pattern_sent; /* of the download under way */
    uint64_t pattern_left;
    char *unsent; /* what a full socket did not take; owned */
    size_t unsent_len;
    uint8_t in[IN_BYTES];
};

struct backend {
    int epoll;
    int listener;
    size_t out_len;
    uint8_t out[OUT_BYTES]; /* answers of one turn on one connection */
    uint8_t sink[SINK_BYTES];
};

static void conn_free(struct conn *conn)
{
    (void)close(conn->fd);
    free(conn->unsent);
    free(conn);
}

static void out_add(struct backend *backend, const void *bytes, size_t len)
{
    memcpy(backend->out + backend->out_len, bytes, len);
    backend->out_len += len;
}

/* Sends `bytes`; what does not fit in the socket is kept in the conn. */
static void conn_send(struct conn *conn, const uint8_t *bytes, size_t len)
{
    ssize_t sent = len == 0 ? 0 : send(conn->fd, bytes, len, MSG_NOSIGNAL);
    if (sent < 0 && errno != EAGAIN) {
        conn->is_broken = true;
        return;
    }
    size_t done = sent < 0 ? 0 : (size_t)sent;
    char *kept = done == len ? NULL : malloc(len - done);
    if (done < len && kept == NULL) {
        conn->is_broken = true;
        return;
    }
    if (kept != NULL) {
        memcpy(kept, bytes + done, len - done);
    }
    free(conn->unsent);
    conn->unsent = kept;
    conn->unsent_len = len - done;
}

static void conn_send_pattern(struct conn *conn)
{
    while (conn->pattern_left > 0) {
        size_t len = conn->pattern_left < PATTERN_RUN ? (size_t)conn->pattern_left : PATTERN_RUN;
        ssize_t sent = send(conn->fd, pattern_at(conn->pattern_sent), len, MSG_NOSIGNAL);
        if (sent < 0) {
            conn->is_broken = errno != EAGAIN;
            return;
        }
        conn->pattern_sent += (uint64_t)sent;
        conn->pattern_left -= (uint64_t)sent;
        if ((size_t)sent < len) {
            return;
        }
    }
}

/* Sends what the turn has gathered, then as much of a download as the socket takes. */
static void conn_flush(struct backend *backend, struct conn *conn)
{
    if (backend->out_len > 0) {
        conn_send(conn, backend->out, backend->out_len);
        backend->out_len = 0;
    }
    if (conn->unsent == NULL) {
        conn_send_pattern(conn);
    }
}

static void answer_small(struct backend *backend)
{
    static const char head[] = "HTTP/1.1 200 OK\r\nContent-Type: application/octet-stream\r\n"
                               "Content-Length: 128\r\n\r\n";
    out_add(backend, head, sizeof(head) - 1);
    out_add(backend, pattern_at(0), PATTERN_SMALL);
}

static void answer_error(struct backend *backend, struct conn *conn)
{
    static const char head[] = "HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n"
                               "Connection: close\r\n\r\n";
    out_add(backend, head, sizeof(head) - 1);
    conn_flush(backend, conn);
    conn->is_broken = true;
}

static void answer_upload(struct backend *backend, struct conn *conn)
{
    char body[64];
    int body_len = snprintf(body, sizeof(body), "%s %llu\n", conn->is_wrong ? "wrong" : "received",
                            (unsigned long long)conn->upload_total);
    char head[128];
    int head_len =
        snprintf(head, sizeof(head), "HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n", body_len);
    out_add(backend, head, (size_t)head_len);
    out_add(backend, body, (size_t)body_len);
    conn->state = CONN_HEAD;
}

static void begin_download(struct backend *backend, struct conn *conn, const char *number)
{
    unsigned long long bytes = strtoull(number, NULL, 10);
    char head[128];
    int head_len =
        snprintf(head, sizeof(head), "HTTP/1.1 200 OK\r\nContent-Length: %llu\r\n\r\n", bytes);
    out_add(backend, head, (size_t)head_len);
    conn->pattern_sent = 0;
    conn->pattern_left = bytes;
}

static void begin_upload(struct backend *backend, struct conn *conn, const char *head, size_t len)
{
    if (!head_content_length(head, len, &conn->upload_total)) {
        answer_error(backend, conn);
        return;
    }
    conn->upload_left = conn->upload_total;
    conn->is_wrong = false;
    conn->state = CONN_UPLOAD;
}

static void begin_tunnel(struct backend *backend, struct conn *conn, const char *head, size_t len)
{
    size_t key_len = 0;
    const char *key = head_field(head, len, "sec-websocket-key:", &key_len);
    char accept_value[FRAME_ACCEPT_LEN + 1];
    if (key == NULL || !frame_accept(key, key_len, accept_value)) {
        answer_error(backend, conn);
        return;
    }
    char answer[256];
    int answer_len =
        snprintf(answer, sizeof(answer),
                 "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                 "Sec-WebSocket-Accept: %s\r\n\r\n",
                 accept_value);
    out_add(backend, answer, (size_t)answer_len);
    conn->state = CONN_TUNNEL;
}

static void answer(struct backend *backend, struct conn *conn, const char *head, size_t len)
{
    static const char small[] = "GET /small ";
    static const char download[] = "GET /download?bytes=";
    static const char upload[] = "POST /upload ";
    static const char tunnel[] = "GET /ws ";
    if (len > sizeof(small) && memcmp(head, small, sizeof(small) - 1) == 0) {
        answer_small(backend);
    } else if (len > sizeof(download) && memcmp(head, download, sizeof(download) - 1) == 0) {
        begin_download(backend, conn, head + sizeof(download) - 1);
    } else if (len > sizeof(upload) && memcmp(head, upload, sizeof(upload) - 1) == 0) {
        begin_upload(backend, conn, head, len);
    } else if (len > sizeof(tunnel) && memcmp(head, tunnel, sizeof(tunnel) - 1) == 0) {
        begin_tunnel(backend, conn, head, len);
    } else {
        answer_error(backend, conn);
    }
}

static void take_upload(struct backend *backend, struct conn *conn, const uint8_t *bytes,
                        size_t len)
{
    uint64_t offset = conn->upload_total - conn->upload_left;
    conn->is_wrong = conn->is_wrong || !pattern_matches(offset, bytes, len);
    conn->upload_left -= len;
    if (conn->upload_left == 0) {
        answer_upload(backend, conn);
    }
}

/* Each step takes something from the front of the input and says how much; 0: wants more. */
static size_t step_head(struct backend *backend, struct conn *conn, uint8_t *bytes, size_t len)
{
    size_t head_len = head_length((const char *)bytes, len);
    if (head_len > 0) {
        answer(backend, conn, (const char *)bytes, head_len);
        if (conn->state == CONN_UPLOAD && conn->upload_left == 0) {
            answer_upload(backend, conn);
        }
    }
    return head_len;
}

static size_t step_upload(struct backend *backend, struct conn *conn, uint8_t *bytes, size_t len)
{
    size_t taken = len < conn->upload_left ? len : (size_t)conn->upload_left;
    if (taken > 0) {
        take_upload(backend, conn, bytes, taken);
    }
    return taken;
}

static size_t step_tunnel(struct backend *backend, struct conn *conn, uint8_t *bytes, size_t len)
{
    struct frame frame;
    enum frame_result result = frame_read(bytes, len, true, &frame);
    if (result != FRAME_WHOLE) {
        conn->is_broken = result == FRAME_WRONG;
        return 0;
    }
    int opcode = frame.opcode == FRAME_PING ? FRAME_PONG : frame.opcode;
    uint8_t *out = backend->out + backend->out_len;
    backend->out_len += frame_write(out, opcode, NULL, frame.payload, frame.payload_len);
    if (frame.opcode == FRAME_CLOSE) {
        conn_flush(backend, conn);
        conn->is_broken = true;
    }
    return frame.frame_len;
}

static size_t conn_step(struct backend *backend, struct conn *conn, uint8_t *bytes, size_t len)
{
    switch (conn->state) {
    case CONN_HEAD:
        return step_head(backend, conn, bytes, len);
    case CONN_UPLOAD:
        return step_upload(backend, conn, bytes, len);
    case CONN_TUNNEL:
        return step_tunnel(backend, conn, bytes, len);
    }
    return 0;
}

/* Works through the input until it wants more or an answer does not fit the socket. */
static void conn_take_input(struct backend *backend, struct conn *conn)
{
    size_t used = 0;
    conn_flush(backend, conn); /* a download under way goes first */
    while (used < conn->in_len && !conn->is_broken && conn->unsent == NULL &&
           conn->pattern_left == 0) {
        size_t taken = conn_step(backend, conn, conn->in + used, conn->in_len - used);
        if (taken == 0) {
            break;
        }
        used += taken;
        if (conn->pattern_left > 0 || backend->out_len + IN_BYTES + ANSWER_MAX > OUT_BYTES) {
            conn_flush(backend, conn);
        }
    }
    conn->in_len -= used;
    memmove(conn->in, conn->in + used, conn->in_len);
    conn_flush(backend, conn);
}

/* An upload's body goes past the connection's own small buffer. */
static void conn_read_upload(struct backend *backend, struct conn *conn)
{
    size_t room = conn->upload_left < SINK_BYTES ? (size_t)conn->upload_left : SINK_BYTES;
    ssize_t got = recv(conn->fd, backend->sink, room, 0);
    if (got <= 0) {
        conn->is_broken = got == 0 || errno != EAGAIN;
        return;
    }
    take_upload(backend, conn, backend->sink, (size_t)got);
    conn_flush(backend, conn);
}

static void conn_read(struct backend *backend, struct conn *conn)
{
    if (conn->state == CONN_UPLOAD && conn->in_len == 0) {
        conn_read_upload(backend, conn);
        return;
    }
    if (conn->in_len == IN_BYTES) {
        conn->is_broken = true; /* a head or frame longer than the bench ever sends */
        return;
    }
    ssize_t got = recv(conn->fd, conn->in + conn->in_len, IN_BYTES - conn->in_len, 0);
    if (got <= 0) {
        conn->is_broken = got == 0 || errno != EAGAIN;
        return;
    }
    conn->in_len += (size_t)got;
    conn_take_input(backend, conn);
}

static void conn_on_event(struct backend *backend, struct conn *conn)
{
    if (conn->unsent != NULL || conn->pattern_left > 0) {
        if (conn->unsent != NULL) {
            char *unsent = conn->unsent;
            conn->unsent = NULL;
            conn_send(conn, (const uint8_t *)unsent, conn->unsent_len);
            free(unsent);
        }
        conn_take_input(backend, conn);
    } else {
        conn_read(backend, conn);
    }
    bool wants_write = conn->unsent != NULL || conn->pattern_left > 0;
    if (wants_write != conn->wants_write && !conn->is_broken) {
        struct epoll_event event = {.events = wants_write ? EPOLLOUT : EPOLLIN, .data.ptr = conn};
        conn->is_broken = epoll_ctl(backend->epoll, EPOLL_CTL_MOD, conn->fd, &event) != 0;
        conn->wants_write = wants_write;
    }
    if (conn->is_broken) {
        conn_free(conn);
    }
}

static void backend_accept(struct backend *backend)
{
    int fd = accept4(backend->listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (fd < 0) {
        return;
    }
    struct conn *conn = calloc(1, sizeof(*conn));
    if (conn == NULL) {
        (void)close(fd);
        return;
    }
    int on = 1;
    (void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
    conn->fd = fd;
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = conn};
    if (epoll_ctl(backend->epoll, EPOLL_CTL_ADD, fd, &event) != 0) {
        conn_free(conn);
    }
}

static int backend_listen(struct backend *backend, uint16_t port)
{
    struct sockaddr_in address = {
        .sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int on = 1;
    backend->epoll = epoll_create1(EPOLL_CLOEXEC);
    backend->listener = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = NULL};
    if (backend->epoll < 0 || backend->listener < 0 ||
        setsockopt(backend->listener, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)) != 0 ||
        bind(backend->listener, (struct sockaddr *)&address, sizeof(address)) != 0 ||
        listen(backend->listener, 4096) != 0) {
        return -1;
    }
    return epoll_ctl(backend->epoll, EPOLL_CTL_ADD, backend->listener, &event);
}

static int backend_run(struct backend *backend)
{
    struct epoll_event events[EVENTS_MAX];
    for (;;) {
        int count = epoll_wait(backend->epoll, events, EVENTS_MAX, -1);
        if (count < 0 && errno != EINTR) {
            return 1;
        }
        for (int i = 0; i < count; i++) {
            if (events[i].data.ptr == NULL) {
                backend_accept(backend);
            } else {
                conn_on_event(backend, events[i].data.ptr);
            }
        }
    }
}

int main(int argc, char **argv)
{
    static struct backend backend;
    unsigned long port = argc == 2 ? strtoul(argv[1], NULL, 10) : 0;
    if (port == 0 || port > 65535) {
        fprintf(stderr, "usage: bench_backend PORT\n");
        return 2;
    }
    pattern_fill();
    if (backend_listen(&backend, (uint16_t)port) != 0) {
        perror("bench_backend");
        return 1;
    }
    printf("ready\n");
    (void)fflush(stdout);
    return backend_run(&backend);
}
