/* proxy/net/stream_end.c
 *
 * How a stream ends: the sending side first (finish), then, when the owner has left, with patience
 * (linger), at once (close) or without a word (reset, and with some patience reset_after).
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include <sys/socket.h>
#include <unistd.h>

#include "proxy/base/assert.h"
#include "proxy/net/stream_state.h"

enum {
    LINGER_SEND_MS = 10000, /* while the rest is still leaving: in each such time some of it must */
    LINGER_MOST_MS = 60000,
    RESET_LOOK_MS = 100, /* no event tells that a peer has acknowledged */
};

void stream_finish(struct stream *stream)
{
    if (stream->is_finishing || stream->failure != STREAM_FINE || stream->is_unsendable) {
        return;
    }
    if (stream->ssl != NULL) {
        stream_tls_finish(stream);
    }
    stream->is_finishing = true;
    loop_post_flush(stream->loop, &stream->post_flush);
}

/* Whether to wait for one more look, when the peer's side had `acknowledged` at this one. Looks are
 * counted too: a loop that is freed fires all deadlines, and its clock stands still. */
static bool has_patience(struct stream *stream, uint64_t acknowledged, uint32_t look_ms)
{
    uint32_t now_ms = (uint32_t)loop_now_ms(stream->loop);
    if ((uint32_t)acknowledged != stream->linger_acknowledged) {
        stream->linger_acknowledged = (uint32_t)acknowledged;
        stream->linger_moved_ms = now_ms;
    }
    return now_ms - stream->linger_moved_ms < LINGER_SEND_MS &&
           stream->linger_looks++ < LINGER_MOST_MS / look_ms;
}

static void on_linger_deadline(void *self)
{
    struct stream *stream = self;
    uint64_t acknowledged = stream_acknowledged_bytes(stream);
    if (!buffer_is_empty(&stream->tx) && has_patience(stream, acknowledged, LINGER_SEND_MS)) {
        deadline_arm(&stream->later, stream->loop, LINGER_SEND_MS, on_linger_deadline, stream);
        return;
    }
    stream_close(stream);
}

static void on_reset_deadline(void *self)
{
    struct stream *stream = self;
    uint64_t acknowledged = stream_acknowledged_bytes(stream);
    if (acknowledged < stream->resets_after && has_patience(stream, acknowledged, RESET_LOOK_MS)) {
        deadline_arm(&stream->later, stream->loop, RESET_LOOK_MS, on_reset_deadline, stream);
        return;
    }
    stream_reset(stream);
}

/* A lingering stream has said all: what is left is to hear the peer's end. */
static void let_loop_go(struct stream *stream)
{
    if (stream->holds_loop) {
        stream->holds_loop = false;
        loop_unhold(stream->loop);
    }
}

void stream_send_end(struct stream *stream)
{
    if (!stream->is_finishing || stream->is_finished) {
        return;
    }
    stream->is_finished = true;
    (void)shutdown(stream->descriptor, SHUT_WR);
    let_loop_go(stream);
    if (stream->phase == PHASE_LINGERING) {
        deadline_arm(&stream->later, stream->loop, stream->linger_ms, on_linger_deadline, stream);
    }
}

/* Reads what nobody wants: bytes that are unread at close would turn it into a reset, which takes
 * from the peer what we sent last. */
void stream_discard(struct stream *stream)
{
    enum { ROUNDS_MAX = 16 }; /* then others have their turn */
    size_t room = 0;
    char *sink = loop_scratch(stream->loop, &room);
    for (int round = 0; round < ROUNDS_MAX; round++) {
        size_t moved = 0;
        enum status status = stream_receive(stream, sink, room, &moved);
        if (status == STATUS_AGAIN) {
            return;
        }
        if (status == STATUS_END) {
            /* It may still be reading: what is unsent goes on leaving. */
            stream->has_ended = true;
            stream->is_readable = false;
            if (stream->is_finished) {
                stream_close(stream);
            }
            return;
        }
        if (status != STATUS_OK) {
            stream_close(stream);
            return;
        }
    }
    loop_post_next_turn(stream->loop, &stream->post_step);
}

void stream_set_linger(struct stream *stream, uint64_t linger_ms)
{
    stream->linger_ms = linger_ms > 0 ? (uint32_t)linger_ms : 1; /* a deadline of 0 never comes */
}

static void begin_lingering(struct stream *stream, bool has_rest)
{
    if (has_rest) {
        stream->holds_loop = true;
        loop_hold(stream->loop);
    }
    stream->phase = PHASE_LINGERING;
    stream->events = NULL;
    stream->linger_acknowledged = (uint32_t)stream_acknowledged_bytes(stream);
    stream->linger_moved_ms = (uint32_t)loop_now_ms(stream->loop);
    if (stream->is_readable) {
        loop_post(stream->loop, &stream->post_step);
    }
}

void stream_linger(struct stream *stream)
{
    if (stream->failure != STREAM_FINE || stream->phase != PHASE_OPEN) {
        stream_close(stream);
        return;
    }
    stream_finish(stream);
    begin_lingering(stream, stream->is_finishing && !stream->is_finished);
    uint64_t patience_ms = stream->is_finished ? stream->linger_ms : LINGER_SEND_MS;
    deadline_arm(&stream->later, stream->loop, patience_ms, on_linger_deadline, stream);
}

void stream_refuse_in_clear(struct stream *stream, slice bytes)
{
    assert_always(stream->failure == STREAM_NOT_TLS);
    stream->failure = STREAM_FINE;
    stream->phase = PHASE_OPEN;
    buffer_clear(&stream->rx, loop_buffer_pool(stream->loop));
    (void)stream_tls_free(stream);
    (void)stream_queue(stream, bytes);
    stream_linger(stream);
}

static void release(struct stream *stream)
{
    struct buffer_pool *pool = loop_buffer_pool(stream->loop);
    buffer_clear(&stream->rx, pool);
    buffer_clear(&stream->tx, pool);
    deadline_disarm(&stream->later);
    loop_unpost(&stream->post_flush);
    watch_close(&stream->watch);
    (void)close(stream->descriptor);
    stream->descriptor = -1;
    let_loop_go(stream);
    stream->phase = PHASE_CLOSED;
    stream->events = NULL;
    if (!stream->is_parked) {
        loop_unpost(&stream->post_step);
        loop_post_reap(stream->loop, &stream->post_step);
    }
}

/* The socket still works: a failed handshake's alert, which says why, leaves as well. */
static bool can_send_rest(const struct stream *stream)
{
    return stream->failure == STREAM_FINE || stream->failure == STREAM_HANDSHAKE_FAILED ||
           stream->failure == STREAM_UNVERIFIED || stream->failure == STREAM_RECORD_REFUSED;
}

void stream_close(struct stream *stream)
{
    if (stream->phase == PHASE_CLOSED) {
        return;
    }
    if (stream->failure == STREAM_FINE && stream->phase == PHASE_OPEN && stream->ssl != NULL) {
        stream_tls_finish(stream);
    }
    if (!buffer_is_empty(&stream->tx) && can_send_rest(stream)) {
        (void)!stream_send_rest(stream);
    }
    release(stream);
}

void stream_reset(struct stream *stream)
{
    if (stream->phase == PHASE_CLOSED) {
        return;
    }
    const struct linger at_once = {.l_onoff = 1, .l_linger = 0};
    (void)setsockopt(stream->descriptor, SOL_SOCKET, SO_LINGER, &at_once, sizeof(at_once));
    release(stream);
}

void stream_reset_after(struct stream *stream, uint64_t written)
{
    bool can_send = stream->failure == STREAM_FINE && stream->phase == PHASE_OPEN &&
                    !stream->is_unsendable && !stream->is_finishing;
    if (!can_send || stream_acknowledged_bytes(stream) >= written) {
        stream_reset(stream);
        return;
    }
    stream->resets_after = written;
    begin_lingering(stream, true);
    deadline_arm(&stream->later, stream->loop, RESET_LOOK_MS, on_reset_deadline, stream);
}
