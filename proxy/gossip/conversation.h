/* proxy/gossip/conversation.h
 *
 * One TCP connection of gossip through us: a request and at most one answer, each opened or sealed
 * on its way. `near` is whoever has connected (our node for direction out, a peer for direction
 * in), `far` is where it was going.
 *
 *      GATHERING ──► FORWARDING ──► WAITING ──► RETURNING ──► over
 *      request       to far         answer      to near
 *
 * Towards a peer far is dialled at once, so that a node learns early when nobody is there; towards
 * our node only after the request was opened with one of the keys. What cannot be finished ends
 * with a reset: nobody may take a part for the whole.
 *
 * Owner: conversations, which opened it; frees itself when it is over.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#pragma once

#include "proxy/base/list.h"
#include "proxy/gossip/cluster.h"
#include "proxy/gossip/parcel.h"
#include "proxy/net/stream.h"
#include "proxy/net/timer.h"

enum conversation_state {
    CONVERSATION_GATHERING,
    CONVERSATION_FORWARDING,
    CONVERSATION_WAITING,
    CONVERSATION_RETURNING,
    CONVERSATION_OVER,
};

struct conversation_calls {
    void *self;
    void (*on_over)(void *self, struct list_link *link); /* it is about to be freed: forget it */
};

/* Fields are for reading, except for conversation.c. */
struct conversation {
    struct list_link link; /* the owner's */
    struct cluster *cluster;
    struct conversation_calls calls;
    enum conversation_state state;
    enum cluster_direction direction;
    struct endpoint destination; /* of far */
    struct endpoint bind_to; /* far is dialled from there; port 0 and no address: from anywhere */
    struct endpoint peer;    /* near or far, whichever is not our node */
    struct stream *near;
    struct stream *far;
    bool is_far_open;
    bool has_near_ended;
    bool is_proven; /* the request came from our node, or was opened */
    uint8_t label[GOSSIP_LABEL_BYTES_MAX];
    size_t label_len;
    struct parcel request;
    struct parcel answer;
    struct deadline deadline;
    struct loop_post reap;
};

/* What one begins with. */
struct conversation_start {
    int descriptor; /* accepted; it belongs to the conversation from now on, also on failure */
    enum cluster_direction direction;
    struct endpoint source;
    struct endpoint destination;
    struct endpoint bind_to;
    struct endpoint peer; /* under which it is accounted for */
    size_t *held;         /* bytes that all parcels hold */
    struct conversation_calls calls;
};

/* NULL: no memory, or far could not be dialled; near has been reset. */
struct conversation *conversation_open(struct cluster *cluster,
                                       const struct conversation_start *start);

/* Ends it with resets, and frees it. */
void conversation_abort(struct conversation *conversation);
