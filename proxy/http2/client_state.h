/* proxy/http2/client_state.h
 *
 * The inside of a conn to a server, shared by client.c (the conn: its room, its end) and
 * client_lane.c (its exchanges). Nobody else includes it.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#pragma once

#include "proxy/http2/client.h"
#include "proxy/http2/framer.h"

struct http2_client {
    struct client_codec codec;
    struct client_codec_start start;
    struct framer framer;
    size_t lanes;        /* exchanges that run, waiting ones and promised ones included */
    size_t grpc_lanes;   /* those of them that are calls of gRPC */
    struct list waiting; /* of struct client_lane: for the server's SETTINGS */
    bool has_begun;      /* one exchange did not wait for them */
    bool has_settings;
    bool is_leaving;     /* takes no more exchanges */
    bool is_asked;       /* a PING waits for its answer */
    uint64_t pong_at_ms; /* when the last answer came */
    bool has_served;
    struct deadline ping;
    struct loop_post post_reap;
};

/* One exchange. */
struct client_lane {
    struct lane lane;
    struct requester requester;
    struct http2_client *client;
    struct pool *pool; /* where it comes from; the conn may be gone before it */
    struct list_link waiting;
    bool is_open;      /* the library has a stream for it */
    bool is_responded; /* the driver was told of the response */
    bool is_tunnel;
    uint64_t submitted_ms;
    uint64_t rate_sent;
    uint64_t rate_received;
    struct deadline deadline;
    bool is_over; /* the library knows the stream no more, and content still waits for room */
};

static inline struct http2_client *http2_client_of_framer(struct framer *framer)
{
    return LIST_OBJECT(framer, struct http2_client, framer);
}

/* ---- client.c ---- */

/* Asks now and then whether the server lives, as long as exchanges run. Harmless when repeated. */
void http2_client_watch(struct http2_client *client);

/* ---- client_lane.c ---- */

/* A place for one exchange. NULL: no memory. */
struct requester *client_lane_new(struct http2_client *client);

/* Sends the request, now that it may be sent. */
void client_lane_begin(struct client_lane *asked);

/* The exchange cannot go on. Before a response that is a failure; later the body is cut, so that
 * the client can tell. */
void client_lane_fail(struct client_lane *asked, enum fault_code fault, enum request_fate fate);

/* What may have become of its request, if the conn ended now. */
enum request_fate client_lane_fate(const struct client_lane *asked);

/* Harmless when repeated. */
void client_lane_forget(struct client_lane *asked);

/* What the framer tells of lanes (see struct framer_role). */
void client_lane_parse_head(struct lane *lane, struct block *block, bool is_last);
void client_lane_on_head(struct lane *lane);
void client_lane_on_bad_content(struct lane *lane);
void client_lane_on_moved(struct lane *lane);
void client_lane_on_closed(struct lane *lane);
