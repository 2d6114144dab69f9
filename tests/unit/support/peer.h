/* tests/unit/support/peer.h
 *
 * The other end of a conn in a test: what it sent to us is kept, and whether it has ended.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#pragma once

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "support/turns.h"

enum { PEER_ROOM = 256 * 1024 };

struct peer {
    int descriptor; /* -1: closed */
    char *got;      /* NUL-terminated */
    size_t len;
    uint64_t heard; /* bytes in all: when `got` is full, what comes is only counted */
    bool has_ended; /* FIN or reset */
    bool was_reset;
    bool is_deaf; /* peer_hear reads nothing */
};

static inline void peer_init(struct peer *peer, int descriptor)
{
    *peer = (struct peer){.descriptor = descriptor, .got = calloc(1, PEER_ROOM + 1)};
    assert_non_null(peer->got);
    assert_int_equal(fcntl(descriptor, F_SETFL, O_NONBLOCK), 0);
}

static inline void peer_close(struct peer *peer)
{
    if (peer->descriptor >= 0) {
        assert_int_equal(close(peer->descriptor), 0);
    }
    peer->descriptor = -1;
}

/* Ends with RST instead of FIN. */
static inline void peer_reset(struct peer *peer)
{
    const struct linger at_once = {.l_onoff = 1, .l_linger = 0};
    (void)setsockopt(peer->descriptor, SOL_SOCKET, SO_LINGER, &at_once, sizeof(at_once));
    peer_close(peer);
}

static inline void peer_fini(struct peer *peer)
{
    peer_close(peer);
    free(peer->got);
    peer->got = NULL;
}

/* Reads what is there. */
static inline void peer_hear(struct peer *peer)
{
    while (peer->descriptor >= 0 && !peer->has_ended && !peer->is_deaf) {
        char spill[64 * 1024];
        bool is_full = peer->len == PEER_ROOM;
        ssize_t got = recv(peer->descriptor, is_full ? spill : peer->got + peer->len,
                           is_full ? sizeof(spill) : PEER_ROOM - peer->len, 0);
        if (got < 0 && (errno == EAGAIN || errno == EINTR)) {
            return;
        }
        if (got <= 0) {
            peer->has_ended = true;
            peer->was_reset = got < 0;
            return;
        }
        peer->len += is_full ? 0 : (size_t)got;
        peer->heard += (uint64_t)got;
        peer->got[peer->len] = '\0';
    }
}

/* Sends what fits; returns how much. */
static inline size_t peer_push(struct peer *peer, const char *bytes, size_t len)
{
    size_t sent = 0;
    while (sent < len) {
        ssize_t more = send(peer->descriptor, bytes + sent, len - sent, MSG_NOSIGNAL);
        if (more <= 0) {
            break;
        }
        sent += (size_t)more;
    }
    return sent;
}

static inline void peer_say(struct peer *peer, const char *text)
{
    assert_int_equal(peer_push(peer, text, strlen(text)), strlen(text));
}

static inline void peer_forget(struct peer *peer)
{
    peer->len = 0;
    peer->got[0] = '\0';
}

static inline bool peer_heard(const struct peer *peer, const char *text)
{
    return strstr(peer->got, text) != NULL;
}

/* For turns_until and turns_settle. */
static inline bool peer_has_ended(void *self)
{
    struct peer *peer = self;
    peer_hear(peer);
    return peer->has_ended;
}

static inline bool peer_listens(void *self)
{
    peer_hear(self);
    return false;
}

/* A listening socket on 127.0.0.1 with a port of the kernel's choice. */
static inline int peer_listen(uint16_t *port)
{
    int descriptor = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    assert_true(descriptor >= 0);
    const int on = 1; /* accepted sockets inherit it */
    (void)setsockopt(descriptor, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof(address);
    assert_int_equal(bind(descriptor, (struct sockaddr *)&address, len), 0);
    assert_int_equal(listen(descriptor, 64), 0);
    assert_int_equal(getsockname(descriptor, (struct sockaddr *)&address, &len), 0);
    *port = ntohs(address.sin_port);
    return descriptor;
}

static inline int peer_connect_to(uint16_t port)
{
    int descriptor = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_true(descriptor >= 0);
    const struct sockaddr_in address = {
        .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK), .sin_port = htons(port)};
    const int on = 1;
    (void)setsockopt(descriptor, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
    assert_int_equal(connect(descriptor, (const struct sockaddr *)&address, sizeof(address)), 0);
    return descriptor;
}

/* A connected pair of TCP sockets: `peer` has one end, the other is returned, non-blocking. */
static inline int peer_pair(struct peer *peer)
{
    uint16_t port = 0;
    int listening = peer_listen(&port);
    peer_init(peer, peer_connect_to(port));
    int other = accept4(listening, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
    assert_true(other >= 0);
    (void)close(listening);
    return other;
}
