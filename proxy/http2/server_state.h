/* proxy/http2/server_state.h
 *
 * The inside of a client's conn, shared by server.c (the conn: its ends, its deadlines) and
 * server_lane.c (its exchanges). Nobody else includes it.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#pragma once

#include "proxy/http2/framer.h"
#include "proxy/http2/server.h"

enum drain_step {
    DRAIN_NONE,
    DRAIN_NOTICED, /* GOAWAY with the highest id was sent: new requests may still be on the way */
    DRAIN_LAST,    /* GOAWAY with the last id was sent */
};

/* What the conn waits for. */
enum wait {
    WAIT_NOTHING, /* of the conn: its streams have their own deadlines */
    WAIT_GREETING,
    WAIT_BLOCK, /* the rest of a header block */
    WAIT_REQUEST,
    WAIT_NOTICED, /* that the client has read the first GOAWAY */
    WAIT_END,
};

struct http2_server {
    struct server_codec codec;
    struct server_codec_start start;
    struct framer framer;
    enum drain_step drain;
    bool is_greeted; /* the client's SETTINGS have come */
    bool is_rested;  /* idle for a while */
    uint64_t requests;
    enum wait wait;       /* that the deadline is for */
    uint32_t wait_stream; /* whose block, then */
    struct deadline deadline;
    struct loop_post post_reap;
};

/* One exchange. */
struct server_lane {
    struct lane lane;
    struct responder responder;
    struct http2_server *server;
    bool is_responded; /* the final head is submitted */
    bool is_tunnel;
    bool is_continued; /* 100 (Continue) was sent, or nobody asked for it */
    bool is_refused;   /* what still comes of the request is of no use */
    bool is_over;      /* the library knows the stream no more, and content still waits for room */
    uint8_t slow_checks;
    uint64_t rate_received;
    uint64_t rate_sent;
    uint64_t rate_acknowledged;
    struct deadline deadline;
};

static inline struct http2_server *http2_server_of_framer(struct framer *framer)
{
    return LIST_OBJECT(framer, struct http2_server, framer);
}

/* ---- server.c ---- */

/* Sets the deadline that the conn's state asks for. */
void http2_server_arm(struct http2_server *server);

/* Begins to end it: no request is lost. Harmless when repeated. */
void http2_server_drain(struct http2_server *server);

/* ---- server_lane.c ---- */

/* Ends what is left of the exchange, and forgets the lane; for a conn that is over. */
void server_lane_end(struct lane *lane, enum fault_code fault);

/* What the framer tells of lanes (see struct framer_role). */
struct lane *server_lane_open(struct framer *framer, int32_t id);
void server_lane_parse_head(struct lane *lane, struct block *block, bool is_last);
void server_lane_on_head(struct lane *lane);
void server_lane_on_bad_content(struct lane *lane);
void server_lane_on_moved(struct lane *lane);
void server_lane_on_closed(struct lane *lane);
