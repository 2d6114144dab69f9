/* proxy/tunnel/tunnel.c · SPDX-License-Identifier: Apache-2.0 */
#include "proxy/tunnel/tunnel.h"

enum {
    MOVES_MAX = 16, /* reads of one side a turn: then others have theirs */
    WISH_LITTLE = BUFFER_SMALL_BYTES,
};

static const struct stream_events side_events;

/* ---- the end ---- */

static void release(struct tunnel *tunnel, struct tunnel_side *side)
{
    buffer_clear(&side->held, loop_buffer_pool(tunnel->loop));
    side->stream = NULL;
}

static void end(struct tunnel *tunnel, void (*let_go)(struct stream *stream), enum fault_code fault)
{
    struct stream *client = tunnel->client.stream;
    struct stream *server = tunnel->server.stream;
    if (client == NULL) {
        return;
    }
    deadline_disarm(&tunnel->idle);
    release(tunnel, &tunnel->client);
    release(tunnel, &tunnel->server);
    let_go(client);
    let_go(server);
    tunnel->on_closed(tunnel->self, fault);
}

void tunnel_close(struct tunnel *tunnel, enum fault_code fault)
{
    end(tunnel, stream_close, fault);
}

static bool say_going_away(struct tunnel *tunnel)
{
    static const char FRAME[] = {(char)0x88, 2, 0x03, (char)0xe9};
    if (tunnel->client.stream == NULL || tunnel->server.is_finished ||
        !frame_walk_is_between(&tunnel->to_client)) {
        return false;
    }
    size_t taken = 0;
    enum status status = stream_write(tunnel->client.stream, (slice){FRAME, sizeof(FRAME)}, &taken);
    return status == STATUS_OK && taken == sizeof(FRAME);
}

void tunnel_go_away(struct tunnel *tunnel, enum fault_code fault)
{
    bool is_said = say_going_away(tunnel);
    end(tunnel, is_said ? stream_linger : stream_reset, fault);
}

static void on_idle(void *self)
{
    struct tunnel *tunnel = self;
    uint64_t moved = tunnel->client.received + tunnel->server.received;
    if (moved == tunnel->moved) {
        tunnel_close(tunnel, FAULT_TIMEOUT_TUNNEL);
        return;
    }
    tunnel->moved = moved;
    deadline_arm(&tunnel->idle, tunnel->loop, tunnel->idle_ms, on_idle, tunnel);
}

/* ---- moving ---- */

static struct tunnel_side *other_of(struct tunnel_side *side)
{
    struct tunnel *tunnel = side->tunnel;
    return side == &tunnel->client ? &tunnel->server : &tunnel->client;
}

static void fail(struct tunnel_side *side)
{
    struct tunnel *tunnel = side->tunnel;
    enum fault_code fault = FAULT_BACKEND_RESET;
    if (side == &tunnel->client) {
        bool is_gone = stream_failure(side->stream) == STREAM_TRUNCATED;
        fault = is_gone ? FAULT_CLIENT_GONE : FAULT_CLIENT_RESET;
    }
    end(tunnel, stream_reset, fault);
}

/* Tells the other side of an end, once all that came before it has been handed over. False: that
 * was the second end, and the tunnel is over. */
static bool pass_end_on(struct tunnel_side *side)
{
    struct tunnel_side *other = other_of(side);
    if (side->has_ended && !side->is_finished && buffer_is_empty(&side->held)) {
        side->is_finished = true;
        stream_finish(other->stream);
    }
    if (side->is_finished && other->is_finished) {
        end(side->tunnel, stream_linger, FAULT_NONE);
        return false;
    }
    return true;
}

enum moved { MOVED, WAITS, OVER };

/* Hands what is held to the other side. */
static enum moved hand_over(struct tunnel_side *side)
{
    if (buffer_is_empty(&side->held)) {
        return MOVED;
    }
    struct tunnel_side *other = other_of(side);
    size_t taken = 0;
    enum status status = stream_write(other->stream, buffer_bytes(&side->held), &taken);
    if (side == &side->tunnel->server) {
        frame_walk_pass(&side->tunnel->to_client, slice_first(buffer_bytes(&side->held), taken));
    }
    buffer_consume(&side->held, loop_buffer_pool(side->tunnel->loop), taken);
    if (status == STATUS_OK) {
        return MOVED;
    }
    if (status == STATUS_AGAIN) {
        return WAITS;
    }
    fail(other);
    return OVER;
}

static void adapt_wish(struct tunnel_side *side, size_t moved)
{
    if (moved == side->wish && side->wish < BUFFER_LARGE_BYTES) {
        side->wish = side->wish < BUFFER_RECORD_BYTES ? BUFFER_RECORD_BYTES
                     : side->wish < BUFFER_BULK_BYTES ? BUFFER_BULK_BYTES
                                                      : BUFFER_LARGE_BYTES;
    } else if (moved < WISH_LITTLE / 2) {
        side->wish = WISH_LITTLE;
    }
}

static enum moved receive(struct tunnel_side *side)
{
    struct buffer_pool *pool = loop_buffer_pool(side->tunnel->loop);
    if (!buffer_reserve(&side->held, pool, side->wish)) {
        tunnel_close(side->tunnel, FAULT_LIMIT_MEMORY);
        return OVER;
    }
    size_t moved = 0;
    enum status status = stream_read(side->stream, buffer_room_at(&side->held), side->wish, &moved);
    buffer_commit(&side->held, moved);
    side->received += moved;
    if (moved == 0) {
        buffer_clear(&side->held, pool);
    }
    adapt_wish(side, moved);
    if (status == STATUS_OK) {
        return MOVED;
    }
    if (status == STATUS_AGAIN) {
        return WAITS;
    }
    if (status == STATUS_END) {
        side->has_ended = true;
        return MOVED;
    }
    fail(side);
    return OVER;
}

/* From one side to the other, until one of them has to be waited for. */
static void pump(struct tunnel_side *side)
{
    for (int i = 0; i < MOVES_MAX; i++) {
        if (hand_over(side) != MOVED || !pass_end_on(side) || side->has_ended ||
            receive(side) != MOVED) {
            return;
        }
    }
    if (hand_over(side) == MOVED) {
        stream_read_later(side->stream);
    }
}

static void on_readable(void *self)
{
    pump(self);
}

/* This side takes bytes again: go on with what comes from the other one. */
static void on_writable(void *self)
{
    pump(other_of(self));
}

static void on_failed(void *self, enum stream_failure failure)
{
    (void)failure;
    fail(self);
}

static const struct stream_events side_events = {
    .on_readable = on_readable,
    .on_writable = on_writable,
    .on_failed = on_failed,
};

static void init_side(struct tunnel *tunnel, struct tunnel_side *side, struct stream *stream,
                      struct buffer held)
{
    *side = (struct tunnel_side){.tunnel = tunnel,
                                 .stream = stream,
                                 .held = held,
                                 .received = buffer_len(&held),
                                 .wish = WISH_LITTLE};
    stream_set_owner(stream, &side_events, side);
    stream_read_later(stream);
}

void tunnel_open(struct tunnel *tunnel, const struct tunnel_start *start)
{
    *tunnel = (struct tunnel){
        .loop = start->loop,
        .idle_ms = start->idle_ms,
        .on_closed = start->on_closed,
        .self = start->self,
    };
    init_side(tunnel, &tunnel->client, start->client, start->from_client);
    init_side(tunnel, &tunnel->server, start->server, start->from_server);
    deadline_arm(&tunnel->idle, tunnel->loop, tunnel->idle_ms, on_idle, tunnel);
}
