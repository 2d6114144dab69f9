/* proxy/net/stream.c
 *
 * The socket side of a stream: connecting, receiving, gathering and flushing. The TLS side is in
 * stream_tls.c, how a stream ends in stream_end.c.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "proxy/net/stream.h"

#include <errno.h>
#include <linux/sockios.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/uio.h>
#include <unistd.h>

#include "proxy/base/assert.h"
#include "proxy/net/stream_state.h"

enum {
    PROBE_MS = 1000,
    DIRECT_SEND_BYTES = 16 * 1024, /* from here on a copy into tx costs more than a call */
};

static void on_ready(void *self, unsigned events);
static void flush(void *self);
static void step(void *self);

static struct stream *stream_new(struct loop *loop, int descriptor, enum stream_phase phase,
                                 const struct stream_events *events, void *self)
{
    struct stream *stream = calloc(1, sizeof(*stream));
    if (stream == NULL) {
        return NULL;
    }
    stream->loop = loop;
    stream->descriptor = descriptor;
    stream->phase = phase;
    stream->events = events;
    stream->self = self;
    stream->reason = "";
    stream->post_flush = (struct loop_post){.run = flush, .self = stream};
    stream->post_step = (struct loop_post){.run = step, .self = stream};
    stream->is_writable = phase == PHASE_OPEN;
    stream->linger_ms = STREAM_LINGER_MS;
    if (watch_open(&stream->watch, loop, descriptor, WATCH_READ | WATCH_WRITE | WATCH_CLOSED,
                   on_ready, stream) != STATUS_OK) {
        free(stream);
        return NULL;
    }
    return stream;
}

enum status stream_adopt(struct stream **out, struct loop *loop, int descriptor,
                         const struct stream_events *events, void *self)
{
    *out = stream_new(loop, descriptor, PHASE_OPEN, events, self);
    if (*out == NULL) {
        (void)close(descriptor);
        return STATUS_NOMEM;
    }
    return STATUS_OK;
}

/* A silent network must not keep a dead peer's conn for hours. Of a silent conn, half the time is
 * waiting and half is probing; for unacknowledged bytes it is the user timeout (RFC 5482). */
void stream_set_tcp_options(int descriptor, uint64_t dead_peer_ms)
{
    enum { PROBES = 3 };
    int wait_s = (int)(dead_peer_ms / 2 / 1000);
    int interval_s = wait_s / PROBES > 0 ? wait_s / PROBES : 1;
    const struct {
        int level;
        int name;
        int value;
    } options[] = {
        {IPPROTO_TCP, TCP_NODELAY, 1},       {SOL_SOCKET, SO_KEEPALIVE, 1},
        {IPPROTO_TCP, TCP_KEEPIDLE, wait_s}, {IPPROTO_TCP, TCP_KEEPINTVL, interval_s},
        {IPPROTO_TCP, TCP_KEEPCNT, PROBES},  {IPPROTO_TCP, TCP_USER_TIMEOUT, (int)dead_peer_ms},
    };
    for (size_t i = 0; i < sizeof(options) / sizeof(options[0]); i++) {
        (void)setsockopt(descriptor, options[i].level, options[i].name, &options[i].value,
                         sizeof(options[i].value));
    }
}

enum status stream_connect(struct stream **out, struct loop *loop, const struct sockaddr *address,
                           socklen_t address_len, uint64_t dead_peer_ms,
                           const struct stream_events *events, void *self)
{
    *out = NULL;
    int descriptor = socket(address->sa_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (descriptor < 0) {
        return STATUS_SYS;
    }
    if (address->sa_family != AF_UNIX) {
        stream_set_tcp_options(descriptor, dead_peer_ms);
    }
    return stream_connect_socket(out, loop, descriptor, address, address_len, events, self);
}

enum status stream_connect_socket(struct stream **out, struct loop *loop, int descriptor,
                                  const struct sockaddr *address, socklen_t address_len,
                                  const struct stream_events *events, void *self)
{
    *out = NULL;
    int connected = connect(descriptor, address, address_len);
    enum stream_failure failure = STREAM_FINE;
    if (connected != 0 && errno != EINPROGRESS) {
        failure = errno == ECONNREFUSED || errno == ENOENT ? STREAM_REFUSED : STREAM_UNREACHABLE;
    }
    *out = stream_new(loop, descriptor, PHASE_CONNECTING, events, self);
    if (*out == NULL) {
        (void)close(descriptor);
        return STATUS_NOMEM;
    }
    if (connected == 0 || failure != STREAM_FINE) {
        /* A unix socket connects at once: the outcome still comes from the loop. */
        (*out)->failure = failure;
        loop_post(loop, &(*out)->post_step);
    }
    return STATUS_OK;
}

void stream_set_owner(struct stream *stream, const struct stream_events *events, void *self)
{
    stream->events = events;
    stream->self = self;
}

enum status stream_break(struct stream *stream, enum stream_failure failure, const char *reason)
{
    if (stream->failure == STREAM_FINE) {
        stream->failure = failure;
        stream->reason = reason;
    }
    return STATUS_BROKEN;
}

/* ---- receiving ---- */

/* libevent tells of an error (a reset) as of any bytes: one that came in the same event as the last
 * bytes would never be told again. So a while after them the socket is asked once more. */
static void on_probe(void *self)
{
    on_ready(self, WATCH_READ);
}

static enum status received(struct stream *stream, ssize_t got, size_t room, size_t *moved)
{
    if (got > 0) {
        *moved = (size_t)got;
        /* A short read has emptied the socket: the next event tells of more, so no call is spent
         * on hearing EAGAIN. Unless an end waits, which was told together with these bytes. */
        stream->is_readable = *moved == room || stream->has_hangup;
        if (!stream->is_readable &&
            (stream->phase == PHASE_OPEN || stream->phase == PHASE_HANDSHAKE)) {
            deadline_arm(&stream->later, stream->loop, PROBE_MS, on_probe, stream);
        }
        return STATUS_OK;
    }
    if (got == 0) {
        return stream->was_reset ? stream_break(stream, STREAM_RESET, "") : STATUS_END;
    }
    if (errno == EAGAIN || errno == EINTR) {
        stream->is_readable = errno == EINTR;
        return STATUS_AGAIN;
    }
    return stream_break(stream, STREAM_RESET, "");
}

enum status stream_receive(struct stream *stream, char *at, size_t room, size_t *moved)
{
    *moved = 0;
    return stream->is_readable
               ? received(stream, recv(stream->descriptor, at, room, 0), room, moved)
               : STATUS_AGAIN;
}

enum status stream_unread(struct stream *stream, slice bytes)
{
    assert_always(buffer_is_empty(&stream->rx));
    return buffer_append(&stream->rx, loop_buffer_pool(stream->loop), bytes) ? STATUS_OK
                                                                             : STATUS_NOMEM;
}

bool stream_has_input(const struct stream *stream)
{
    return stream->is_readable || !buffer_is_empty(&stream->rx) || stream->failure != STREAM_FINE ||
           (stream->ssl != NULL && stream_tls_has_input(stream));
}

enum status stream_read(struct stream *stream, char *at, size_t room, size_t *moved)
{
    *moved = 0;
    if (stream->failure != STREAM_FINE) {
        return STATUS_BROKEN;
    }
    if (stream->phase != PHASE_OPEN || room == 0 || !stream_has_input(stream)) {
        return STATUS_AGAIN;
    }
    if (stream->ssl != NULL) {
        return stream_tls_read(stream, at, room, moved);
    }
    if (!buffer_is_empty(&stream->rx)) {
        slice held = buffer_bytes(&stream->rx);
        *moved = held.len < room ? held.len : room;
        memcpy(at, held.at, *moved);
        buffer_consume(&stream->rx, loop_buffer_pool(stream->loop), *moved);
        return STATUS_OK;
    }
    return stream_receive(stream, at, room, moved);
}

/* ---- sending ---- */

/* Sends tx and then `more` in one call. Tells how much of `more` left. */
static enum status send_both(struct stream *stream, slice more, size_t *taken)
{
    slice held = buffer_bytes(&stream->tx);
    struct iovec parts[2] = {{(void *)(uintptr_t)held.at, held.len},
                             {(void *)(uintptr_t)more.at, more.len}};
    bool has_both = held.len > 0 && more.len > 0;
    const struct iovec *only = held.len > 0 ? &parts[0] : &parts[1];
    /* writev for want of sendmsg, which a worker must not have: it passes descriptors. Children
     * ignore SIGPIPE. */
    ssize_t sent = has_both ? writev(stream->descriptor, parts, 2)
                            : send(stream->descriptor, only->iov_base, only->iov_len, MSG_NOSIGNAL);
    *taken = 0;
    if (sent < 0 && (errno == EAGAIN || errno == EINTR)) {
        stream->is_writable = errno == EINTR;
        return STATUS_AGAIN;
    }
    if (sent < 0) {
        /* The peer may have answered before it closed: reading goes on until it says so. A socket
         * tells of a reset once; whoever reads afterwards finds an end that looks orderly. EPIPE is
         * of a conn that had ended before, or was told already. */
        stream->is_unsendable = true;
        stream->is_readable = true;
        stream->was_reset = stream->was_reset || errno != EPIPE;
        return STATUS_BROKEN;
    }
    size_t left = (size_t)sent;
    stream->sent_bytes += left;
    size_t of_held = left < held.len ? left : held.len;
    if (of_held > 0) {
        buffer_consume(&stream->tx, loop_buffer_pool(stream->loop), of_held);
    }
    *taken = left - of_held;
    stream->is_writable = left == held.len + more.len;
    return stream->is_writable ? STATUS_OK : STATUS_AGAIN;
}

enum status stream_send_rest(struct stream *stream)
{
    size_t taken = 0;
    return send_both(stream, (slice){"", 0}, &taken);
}

bool stream_queue(struct stream *stream, slice bytes)
{
    if (stream->phase == PHASE_CLOSED || stream->is_unsendable ||
        !buffer_append(&stream->tx, loop_buffer_pool(stream->loop), bytes)) {
        return false;
    }
    loop_post_flush(stream->loop, &stream->post_flush);
    return true;
}

static enum status write_plain(struct stream *stream, slice bytes, size_t *taken)
{
    size_t held = buffer_len(&stream->tx);
    if (bytes.len >= DIRECT_SEND_BYTES) {
        enum status sent = stream->is_writable ? send_both(stream, bytes, taken) : STATUS_AGAIN;
        stream->wants_writable = sent == STATUS_AGAIN;
        return sent;
    }
    if (held + bytes.len > BUFFER_BULK_BYTES) {
        stream->wants_writable = true;
        return STATUS_AGAIN;
    }
    if (!stream_queue(stream, bytes)) {
        return stream_break(stream, STREAM_NO_MEMORY, "");
    }
    *taken = bytes.len;
    return STATUS_OK;
}

enum status stream_write(struct stream *stream, slice bytes, size_t *taken)
{
    *taken = 0;
    if (stream->failure != STREAM_FINE || stream->is_finishing || stream->is_unsendable) {
        return STATUS_BROKEN;
    }
    assert_debug(stream->phase == PHASE_OPEN);
    if (bytes.len == 0) {
        return STATUS_OK;
    }
    return stream->ssl != NULL ? stream_tls_write(stream, bytes, taken)
                               : write_plain(stream, bytes, taken);
}

/* Nothing can be sent any more: the owner hears of it where it waits. */
static void tell_unsendable(struct stream *stream)
{
    buffer_clear(&stream->tx, loop_buffer_pool(stream->loop));
    if (stream->phase == PHASE_LINGERING) {
        stream_close(stream);
        return;
    }
    if (stream->phase == PHASE_HANDSHAKE) {
        (void)stream_break(stream, STREAM_RESET, "");
        stream->events->on_failed(stream->self, stream->failure);
        return;
    }
    if (stream->phase == PHASE_OPEN && stream->wants_writable) {
        stream->wants_writable = false;
        stream->events->on_writable(stream->self);
    }
    if (stream->phase == PHASE_OPEN) {
        stream->events->on_readable(stream->self);
    }
}

/* Runs in the loop's flush phase, outside any call on this stream. */
static void flush(void *self)
{
    struct stream *stream = self;
    if (stream->phase == PHASE_CLOSED || stream->failure != STREAM_FINE) {
        return;
    }
    if (!buffer_is_empty(&stream->tx) && stream->is_writable &&
        stream_send_rest(stream) == STATUS_BROKEN) {
        tell_unsendable(stream);
        return;
    }
    if (!buffer_is_empty(&stream->tx)) {
        return;
    }
    stream_send_end(stream);
    if (stream->phase == PHASE_LINGERING && stream->has_ended && stream->resets_after == 0) {
        stream_close(stream);
        return;
    }
    if (stream->wants_writable && stream->phase == PHASE_OPEN && stream->is_writable) {
        stream->wants_writable = false;
        stream->events->on_writable(stream->self);
    }
}

/* ---- events ---- */

/* A server that accepted and reset before we looked was there. */
static enum stream_failure failure_of(int error)
{
    switch (error) {
    case ECONNREFUSED:
        return STREAM_REFUSED;
    case ECONNRESET:
    case EPIPE:
        return STREAM_RESET;
    default:
        return STREAM_UNREACHABLE;
    }
}

static void connected(struct stream *stream)
{
    int error = 0;
    socklen_t len = sizeof(error);
    if (stream->failure == STREAM_FINE &&
        (getsockopt(stream->descriptor, SOL_SOCKET, SO_ERROR, &error, &len) != 0 || error != 0)) {
        stream->failure = failure_of(error);
    }
    if (stream->failure != STREAM_FINE) {
        stream->events->on_failed(stream->self, stream->failure);
        return;
    }
    stream->phase = PHASE_OPEN;
    stream->is_writable = true;
    stream->events->on_open(stream->self);
}

static void on_ready(void *self, unsigned events)
{
    struct stream *stream = self;
    stream->has_hangup = stream->has_hangup || (events & WATCH_CLOSED) != 0;
    stream->is_readable = stream->is_readable || (events & (WATCH_READ | WATCH_CLOSED)) != 0;
    stream->is_writable =
        stream->is_writable || ((events & WATCH_WRITE) != 0 && stream->phase != PHASE_CONNECTING);
    if ((events & WATCH_WRITE) != 0 && (!buffer_is_empty(&stream->tx) || stream->wants_writable)) {
        loop_post_flush(stream->loop, &stream->post_flush);
    }
    switch (stream->phase) {
    case PHASE_CONNECTING:
        if ((events & WATCH_WRITE) != 0) {
            loop_unpost(&stream->post_step);
            connected(stream);
        }
        break;
    case PHASE_HANDSHAKE:
        if (stream->is_readable && !stream->is_parked) {
            stream_tls_step(stream);
        }
        break;
    case PHASE_OPEN:
        if (stream->is_readable) {
            stream->events->on_readable(stream->self);
        }
        break;
    case PHASE_LINGERING:
        stream_discard(stream);
        break;
    case PHASE_CLOSED:
        break;
    }
}

/* The posted step: a connect that ended at once, a parked handshake whose answer came, a read that
 * was put off, input to be discarded, or, when closed, the end of the object itself. */
static void step(void *self)
{
    struct stream *stream = self;
    if (stream->phase == PHASE_CONNECTING) {
        connected(stream);
        return;
    }
    stream->is_parked = false;
    if (stream->phase == PHASE_HANDSHAKE) {
        stream_tls_step(stream);
        return;
    }
    if (stream->phase == PHASE_OPEN) {
        stream->events->on_readable(stream->self);
        return;
    }
    if (stream->phase == PHASE_LINGERING) {
        stream_discard(stream);
        return;
    }
    if (stream->phase == PHASE_CLOSED && stream_tls_free(stream)) {
        free(stream);
    }
}

void stream_read_later(struct stream *stream)
{
    loop_post_next_turn(stream->loop, &stream->post_step);
}

/* ---- facts ---- */

bool stream_has_unsent(const struct stream *stream)
{
    return !buffer_is_empty(&stream->tx);
}

bool stream_is_stalled(const struct stream *stream)
{
    return !stream->is_writable;
}

uint64_t stream_written_bytes(const struct stream *stream)
{
    return stream->sent_bytes + buffer_len(&stream->tx);
}

uint64_t stream_sent_bytes(const struct stream *stream)
{
    return stream->sent_bytes;
}

uint64_t stream_acknowledged_bytes(const struct stream *stream)
{
    int queued = 0;
    if (ioctl(stream->descriptor, SIOCOUTQ, &queued) != 0 || queued < 0) {
        return stream->sent_bytes;
    }
    return stream->sent_bytes - ((uint64_t)queued < stream->sent_bytes ? (uint64_t)queued : 0);
}

enum stream_failure stream_failure(const struct stream *stream)
{
    return stream->failure;
}

const char *stream_failure_reason(const struct stream *stream)
{
    return stream->reason;
}

bool stream_is_tls(const struct stream *stream)
{
    return stream->ssl != NULL;
}

bool stream_peer_address(const struct stream *stream, struct sockaddr_storage *out)
{
    socklen_t len = sizeof(*out);
    return getpeername(stream->descriptor, (struct sockaddr *)out, &len) == 0;
}

bool stream_own_address(const struct stream *stream, struct sockaddr_storage *out)
{
    socklen_t len = sizeof(*out);
    return getsockname(stream->descriptor, (struct sockaddr *)out, &len) == 0;
}
