/* proxy/net/stream_state.h
 *
 * The inside of a stream, shared by stream.c (socket, flushing), stream_tls.c (records) and
 * stream_end.c (finishing, lingering, closing). Nobody else includes it.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#pragma once

#include <openssl/ssl.h>

#include "proxy/net/buffer.h"
#include "proxy/net/stream.h"
#include "proxy/net/timer.h"

enum { STREAM_LINGER_MS = 2000 }; /* unless the owner says how long */

enum stream_phase {
    PHASE_CONNECTING,
    PHASE_HANDSHAKE,
    PHASE_OPEN,
    PHASE_LINGERING, /* the owner has left: sending the rest, discarding what comes */
    PHASE_CLOSED,    /* waits for the reaper, or for a parked handshake to end */
};

struct stream {
    struct loop *loop;
    const struct stream_events *events;
    void *self;
    SSL *ssl;              /* NULL: plain */
    struct buffer rx;      /* received from the socket, not yet read (ciphertext, or given back) */
    struct buffer tx;      /* to be sent */
    struct tls_view *view; /* during one TLS read or handshake step; else NULL */
    uint64_t sent_bytes;
    uint64_t resets_after; /* lingering: a reset ends it when the peer has that many; 0: a FIN */
    const char *reason;
    int descriptor;
    uint32_t bulk_bytes; /* written since the last pause */
    uint32_t bulk_at_ms; /* when the last write was: record sizes start small after a pause */
    uint32_t linger_ms;  /* for the peer to read the last bytes */
    uint32_t linger_acknowledged; /* what the peer had at the last look, the low bits */
    uint32_t linger_moved_ms;     /* when a look found that it had taken more */
    enum stream_phase phase;
    enum stream_failure failure;
    uint16_t linger_looks; /* how often its deadline was put off */
    bool has_ended;        /* lingering: the peer sends no more */
    bool holds_loop;       /* lingering with unsent bytes (loop_hold) */
    bool is_readable;      /* the socket may have bytes: edge-triggered events tell only once */
    bool is_writable;      /* the socket took everything last time */
    bool has_hangup;       /* a FIN or an error waits behind the bytes */
    bool wants_writable;   /* a write was cut short */
    bool is_finishing;     /* end the sending side when tx is empty */
    bool is_finished;      /* FIN was sent */
    bool is_unsendable;    /* the peer takes no more; what it sent before can still be read */
    bool was_reset;        /* a send was told of it: no end that is read later is an orderly one */
    bool keeps_buffers;    /* OpenSSL does, until the last record of this call */
    bool is_parked;        /* a handshake waits for the keyholder's answer */
    struct watch watch;
    struct loop_post post_flush;
    struct loop_post post_step; /* goes on with a parked handshake; at the end: frees */
    /* HANDSHAKE, OPEN: asks the socket again after the last bytes. HANDSHAKE: tries again for a
     * job. LINGERING: the end. */
    struct deadline later;
};

/* ---- stream.c ---- */

/* Receives from the socket. As stream_read. */
enum status stream_receive(struct stream *stream, char *at, size_t room, size_t *moved);

/* Queues raw bytes for the socket. False: the buffer is full or memory is out. */
bool stream_queue(struct stream *stream, slice bytes);

/* Sends what is queued, as far as the socket takes it: STATUS_OK, STATUS_AGAIN or STATUS_BROKEN. */
MUST_CHECK enum status stream_send_rest(struct stream *stream);

/* Sets the first failure; later ones are kept out. */
enum status stream_break(struct stream *stream, enum stream_failure failure, const char *reason);

/* ---- stream_end.c ---- */

/* Ends the sending side, once, if that was asked for. Everything queued has left. */
void stream_send_end(struct stream *stream);

/* Reads what a peer sends to a lingering stream; closes it when that ends. */
void stream_discard(struct stream *stream);

/* ---- stream_tls.c ---- */

/* Goes on with the handshake; calls on_open or on_failed. */
void stream_tls_step(struct stream *stream);

/* As stream_has_input, of what OpenSSL holds. */
bool stream_tls_has_input(const struct stream *stream);
enum status stream_tls_read(struct stream *stream, char *at, size_t room, size_t *moved);
enum status stream_tls_write(struct stream *stream, slice bytes, size_t *taken);

/* Queues close_notify, once, if the state of the conn allows it. */
void stream_tls_finish(struct stream *stream);

/* Frees the SSL object. False: its handshake is parked and must be resumed first; the async
 * callback posts post_step then. */
bool stream_tls_free(struct stream *stream);
