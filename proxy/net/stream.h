/* proxy/net/stream.h
 *
 * A byte stream over one socket, plain or TLS, as its owner sees it: bytes are pulled when there
 * is room for them and written when there are some. Nobody is pushed: a stream that is not read
 * fills the socket's buffer and slows its peer, which is all the back-pressure there is.
 *
 * Written bytes gather and leave at the end of the loop turn in one system call; an idle stream
 * holds no buffer.
 *
 *      CONNECTING ──► OPEN ──────────────► LINGERING ──► closed
 *           └──► (start_tls) HANDSHAKE ──► OPEN
 *
 * Owner: whoever opened it. After stream_close and stream_linger no callback comes, and the stream
 * frees itself.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>

#include "proxy/base/slice.h"
#include "proxy/base/status.h"
#include "proxy/net/loop.h"

struct stream;
struct tls_client;
struct tls_facts;
struct tls_server;

enum stream_failure {
    STREAM_FINE,
    STREAM_RESET,            /* the peer or the network ended the conn */
    STREAM_REFUSED,          /* connecting: nobody listens */
    STREAM_UNREACHABLE,      /* connecting: no path, or no answer */
    STREAM_NOT_TLS,          /* the first bytes are no TLS record; stream_write_plain may answer */
    STREAM_HANDSHAKE_FAILED, /* stream_failure_reason says why */
    STREAM_UNVERIFIED,       /* the peer's certificate was not accepted */
    STREAM_RECORD_REFUSED,   /* after the handshake: a bad record or an alert */
    STREAM_TRUNCATED,        /* the TLS conn ended without close_notify */
    STREAM_NO_MEMORY,
};

/* All from the loop, never from inside a call on the same stream. */
struct stream_events {
    void (*on_open)(void *self);     /* connected, or the TLS handshake is done */
    void (*on_readable)(void *self); /* bytes or an end may be there: read until STATUS_AGAIN */
    void (*on_writable)(void *self); /* all written bytes have left, after a write was cut short */
    void (*on_failed)(void *self, enum stream_failure failure); /* only close is left */
};

/* A stream over a connected non-blocking socket, which it owns from now on, also on failure. It is
 * open at once: on_open is not called. */
MUST_CHECK enum status stream_adopt(struct stream **out, struct loop *loop, int descriptor,
                                    const struct stream_events *events, void *self);

/* Options of a TCP socket: small writes leave at once, and a peer that vanished without a word is
 * noticed after about dead_peer_ms (2 s to a day). Connecting sets them; of an accepting socket the
 * accepted ones inherit them. Harmless for other sockets. */
void stream_set_tcp_options(int descriptor, uint64_t dead_peer_ms);

/* Begins to connect, with the options above. on_open or on_failed follows. STATUS_SYS: no socket
 * could be had. */
MUST_CHECK enum status stream_connect(struct stream **out, struct loop *loop,
                                      const struct sockaddr *address, socklen_t address_len,
                                      uint64_t dead_peer_ms, const struct stream_events *events,
                                      void *self);

/* The same over a non-blocking socket that its caller has prepared (bound, marked), and that
 * belongs to the stream from now on, also on failure. */
MUST_CHECK enum status stream_connect_socket(struct stream **out, struct loop *loop, int descriptor,
                                             const struct sockaddr *address, socklen_t address_len,
                                             const struct stream_events *events, void *self);

/* Hands the callbacks to another owner. */
void stream_set_owner(struct stream *stream, const struct stream_events *events, void *self);

/* Gives back bytes that were read too far, before any further read. */
MUST_CHECK enum status stream_unread(struct stream *stream, slice bytes);

/* From here on the stream speaks TLS. Call on an open stream that has nothing left to be read by
 * its owner; on_open or on_failed follows. STATUS_NOMEM: nothing changed. */
MUST_CHECK enum status stream_start_tls_server(struct stream *stream, struct tls_server *server);

/* The same as the client; `name` is whom the certificate must be for. */
MUST_CHECK enum status stream_start_tls_client(struct stream *stream, struct tls_client *client,
                                               const char *name);

/* Moves up to `room` bytes to `at`. STATUS_OK: some were moved. STATUS_AGAIN: on_readable follows.
 * STATUS_END: the peer will send no more. STATUS_BROKEN: see stream_failure. */
MUST_CHECK enum status stream_read(struct stream *stream, char *at, size_t room, size_t *moved);

/* False: a read would say STATUS_AGAIN, and that without asking the socket. */
bool stream_has_input(const struct stream *stream);

/* Calls on_readable in the next turn, whether or not anything new has come: for a new owner, or
 * one that stopped although there was more. */
void stream_read_later(struct stream *stream);

/* Takes what fits. STATUS_OK: all. STATUS_AGAIN: *taken of them, on_writable follows.
 * STATUS_BROKEN: see stream_failure. One call is at least one TLS record: gather small parts
 * before. */
MUST_CHECK enum status stream_write(struct stream *stream, slice bytes, size_t *taken);

/* After STREAM_NOT_TLS: sends the bytes in clear, and then lingers. */
void stream_refuse_in_clear(struct stream *stream, slice bytes);

/* Ends the sending side once everything written has left (close_notify, FIN). Reading goes on. */
void stream_finish(struct stream *stream);

/* How long stream_linger waits for the peer once everything was sent; up to a day. 2 s unless set.
 */
void stream_set_linger(struct stream *stream, uint64_t linger_ms);

/* Sends what is left for as long as the peer goes on taking it (a minute at most), ends the sending
 * side, and frees the stream when the peer has closed or linger_ms later: so that a last response
 * is not lost to a reset. */
void stream_linger(struct stream *stream);

/* Closes now; what is still unsent gets one attempt. */
void stream_close(struct stream *stream);

/* Closes with a reset: the peer must not take what it has for complete. What is unsent is lost. */
void stream_reset(struct stream *stream);

/* The same, but not before the peer has the first `written` bytes (of stream_written_bytes): what
 * was complete before the part that was cut is not lost with it. Waits for as long as the peer goes
 * on taking, a minute at most. */
void stream_reset_after(struct stream *stream, uint64_t written);

/* True while written bytes have not left. */
bool stream_has_unsent(const struct stream *stream);

/* True while the socket takes no more: its peer is behind. Bytes that only gather until the end of
 * the turn do not count. */
bool stream_is_stalled(const struct stream *stream);

/* Bytes for the socket since the stream began, those that have not left included. */
uint64_t stream_written_bytes(const struct stream *stream);

/* Bytes that the socket took since the stream began. */
uint64_t stream_sent_bytes(const struct stream *stream);

/* Those of them that the peer's side has: for the minimum rate of a slow reader. The socket holds
 * megabytes and asks for more only when a third of them has left, so what it takes comes in steps
 * that say little of its peer's pace. A system call. */
uint64_t stream_acknowledged_bytes(const struct stream *stream);

enum stream_failure stream_failure(const struct stream *stream);

/* A stable word such as "unknown_ca"; "" when there is none. Valid for ever. */
const char *stream_failure_reason(const struct stream *stream);

bool stream_is_tls(const struct stream *stream);

/* What the handshake agreed on. Only for an open TLS stream. */
void stream_tls_facts(const struct stream *stream, struct tls_facts *facts);

/* The verified peer certificate as a Client-Cert value (RFC 9440 §2.2), malloc'ed; NULL: there is
 * none, or no memory. */
char *stream_peer_certificate(const struct stream *stream);

/* The peer's and our own address. False: the socket is gone. */
bool stream_peer_address(const struct stream *stream, struct sockaddr_storage *out);
bool stream_own_address(const struct stream *stream, struct sockaddr_storage *out);
