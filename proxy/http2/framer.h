/* proxy/http2/framer.h
 *
 * One conn that speaks HTTP/2, on either side: bytes of its stream go through the meter into the
 * library (nghttp2), and the frames that the library makes gather and leave in one write a turn.
 * What frames mean to exchanges is decided by the codec (server.c, client.c), through its role.
 *
 *   stream ─► meter ─► library ─► block, lanes (marked ready) ─► settle ─► role, bodies
 *   bodies ─► lanes ─► library ─► out ─► stream
 *
 * The library's own sense of HTTP is off: block.h and framing.h decide what a message is, the same
 * for all versions. The library does what RFC 9113 says of frames, windows and states.
 *
 * Owner: the codec that embeds it.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#pragma once

#include <nghttp2/nghttp2.h>

#include "proxy/http/codec.h"
#include "proxy/http2/block.h"
#include "proxy/http2/crumbs.h"
#include "proxy/http2/lane.h"
#include "proxy/http2/memory.h"
#include "proxy/http2/meter.h"

struct framer;

/* All from the loop, never from inside the library, but for open_lane and parse_head. */
struct framer_role {
    /* A block begins on a stream that nobody knows: a request. NULL: refuse it. */
    struct lane *(*open_lane)(struct framer *framer, int32_t id);
    /* The head's block is complete: make the message of it and note LANE_HEAD. */
    void (*parse_head)(struct lane *lane, struct block *block, bool is_last);
    void (*on_head)(struct lane *lane);
    /* lane->fault says what is wrong with the content. */
    void (*on_bad_content)(struct lane *lane);
    /* Either direction went on or ended: see lane. */
    void (*on_moved)(struct lane *lane);
    /* The stream is over; what is left of the exchange ends. Last call for the lane. */
    void (*on_closed)(struct lane *lane);
    /* The conn's other news. */
    void (*on_settings)(struct framer *framer);
    void (*on_goaway)(struct framer *framer);
    void (*on_pong)(struct framer *framer);
    /* Something was read, and all of it is settled: deadlines may need to be set. */
    void (*on_read)(struct framer *framer);
    /* The conn is over: close it. `fault`: FAULT_NONE when it came to its end in order. */
    void (*on_over)(struct framer *framer, enum fault_code fault);
};

/* Fields private to the room. */
struct framer {
    const struct framer_role *role;
    struct loop *loop;
    struct stream *stream; /* NULL: given up */
    nghttp2_session *library;
    struct memory memory; /* the library's */
    const struct message_limits *limits;
    struct meter meter;
    struct block block; /* the one that arrives */
    struct lane *block_lane;
    struct list lanes;
    struct list ready;
    size_t lane_count;
    struct buffer out;
    struct crumbs crumbs;
    struct body_budget budget; /* of what is to be sent; limit 0: none */
    int32_t *reset_ids;        /* a ring of the last streams that we reset; NULL: none yet */
    unsigned reset_next;
    int32_t last_id; /* of the peer's streams */
    int32_t stream_window;
    int32_t stream_window_max;
    bool is_server;
    bool credits_at_once; /* the conn's window: a stalled lane must not stop the others */
    bool is_settling;
    bool is_over;
    bool is_failed;        /* GOAWAY with an error was made; the end follows its sending */
    enum fault_code fault; /* why */
    uint64_t read_at_ms;   /* when bytes came last */
    uint32_t wish;         /* how much to read at once */
    struct loop_post post_flush;
    struct loop_post post_read;
};

struct framer_start {
    const struct framer_role *role;
    struct loop *loop;
    const struct message_limits *limits;
    const nghttp2_settings_entry *settings;
    size_t setting_count;
    int32_t stream_window; /* that a stream begins with */
    int32_t stream_window_max;
    int32_t conn_window;
    uint64_t send_budget; /* bytes of bodies that wait to be sent; 0: no limit */
    bool is_server;
    bool credits_at_once;
};

/* Takes over an open stream and sends SETTINGS. STATUS_NOMEM: the stream is still the caller's. */
MUST_CHECK enum status framer_init(struct framer *framer, struct stream *stream,
                                   const struct framer_start *start);

/* Other limits for what is received from now on. */
void framer_retune(struct framer *framer, const struct message_limits *limits);

/* Gives up the stream, which the caller ends; nothing is read or sent any more, and no call comes.
 */
struct stream *framer_take_stream(struct framer *framer);

/* Frees the library's memory. From the reaper only. */
void framer_fini(struct framer *framer);

/* Sends what there is to send, later in this turn. */
void framer_wake(struct framer *framer);

/* Reads on in the next turn, whether or not anything new came: for a conn that begins. */
void framer_read_later(struct framer *framer);

/* Is there room to gather one more frame of content? */
bool framer_has_room(const struct framer *framer);

/* For a conn without lanes: gives back memory that it can do without. */
void framer_rest(struct framer *framer);

/* Ends the conn with GOAWAY and this code (RFC 9113 §7); on_over follows with `fault`. */
void framer_fail(struct framer *framer, uint32_t code, enum fault_code fault);

/* Sends what can be sent at once; for whoever closes. */
void framer_flush_last(struct framer *framer);
