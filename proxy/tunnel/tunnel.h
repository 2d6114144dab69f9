/* proxy/tunnel/tunnel.h
 *
 * Two streams joined: what one side sends, the other gets, byte for byte, until both have ended.
 * A side that ends is half-closed on the other; a side that breaks resets the other, so that
 * nobody takes what it has for complete.
 *
 * Why it exists: a WebSocket may be idle for hours, and there are many of them. A tunnel needs
 * neither codec nor exchange, and holds a buffer only while bytes are in hand.
 *
 * Owner: whoever embeds it. Both streams belong to the tunnel until on_closed.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#pragma once

#include "proxy/base/fault.h"
#include "proxy/net/buffer.h"
#include "proxy/net/stream.h"
#include "proxy/net/timer.h"
#include "proxy/tunnel/frame_walk.h"

struct tunnel;

/* One side: its stream, and what came from it and is not yet sent to the other. Fields private to
 * tunnel.c, but for `received`. */
struct tunnel_side {
    struct tunnel *tunnel;
    struct stream *stream;
    struct buffer held;
    uint64_t received; /* bytes from this side */
    uint32_t wish;     /* how much to read at once: grows while reads are full */
    bool has_ended;    /* it sends no more */
    bool is_finished;  /* and the other side was told */
};

struct tunnel {
    struct loop *loop;
    struct tunnel_side client;
    struct tunnel_side server;
    uint64_t idle_ms;
    uint64_t moved; /* bytes at the last look */
    struct frame_walk to_client;
    struct deadline idle;
    void (*on_closed)(void *self, enum fault_code fault);
    void *self;
};

struct tunnel_start {
    struct loop *loop;
    struct stream *client; /* ownership moves */
    struct stream *server;
    struct buffer from_client; /* read too far by whoever had the streams before; moves */
    struct buffer from_server;
    uint64_t idle_ms;
    /* Both streams are gone; called once, from the loop. FAULT_NONE: both sides ended orderly. */
    void (*on_closed)(void *self, enum fault_code fault);
    void *self;
};

/* Begins from the loop: on_closed is not called before this returns. */
void tunnel_open(struct tunnel *tunnel, const struct tunnel_start *start);

/* Tells the client with a close frame that we go away (RFC 6455 §7.4.1, code 1001), where that can
 * be put between two frames, else resets it; ends both sides; on_closed is called with `fault`
 * before this returns. */
void tunnel_go_away(struct tunnel *tunnel, enum fault_code fault);

/* Ends both sides now; on_closed is called with `fault` before this returns. */
void tunnel_close(struct tunnel *tunnel, enum fault_code fault);
