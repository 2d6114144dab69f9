/* deploy/demo/live.h
 *
 * The WebSocket side of the demo app. On /echo each message comes back as it came; on any other
 * path the app greets with what it received, pushes ticks (time, connections, messages) and
 * answers each text message with {"type": "echo"}. Exists to show, and to let tests check, that
 * the proxy carries WebSocket traffic both ways unasked.
 *
 * One `live` for the program, owned by main; one `live_conn` for each WebSocket, in the memory that
 * libwebsockets keeps for it. Queued bytes are bounded: at the bound the reading side pauses.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#pragma once

#include <libwebsockets.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct live_message;

struct live {
    struct lws_context *lws;
    lws_sorted_usec_list_t tick;
    uint32_t tick_ms; /* 0: no ticks */
    struct live_conn *conns;
    uint64_t conn_count;    /* open now */
    uint64_t message_count; /* received since the start */
    lws_usec_t started;
    bool stopping;
};

struct live_conn {
    struct lws *wsi;
    struct live_conn *next;
    struct live_conn *before;
    struct live_message *queue_head; /* to be sent, oldest first */
    struct live_message *queue_tail;
    struct live_message *sending; /* handed to libwebsockets, freed at the next writable event */
    size_t queued;                /* bytes in the queue */
    char *arriving;               /* the message being received */
    size_t arriving_len;
    bool echo_only; /* path /echo */
    bool tick_due;
    bool too_long; /* the message being received is; to be closed */
    bool paused;   /* not reading until the queue is short again */
};

/* Starts the ticks. `live` must be zeroed but for tick_ms. */
void live_start(struct live *live, struct lws_context *lws);

/* Asks every WebSocket to close with 1001 (going away); live->conn_count falls to 0. */
void live_stop(struct live *live);

/* The events of one WebSocket. Each returns what the callback must return. */
int live_conn_open(struct live *live, struct live_conn *conn, struct lws *wsi);
int live_conn_receive(struct live *live, struct live_conn *conn, const void *bytes, size_t len);
int live_conn_send(struct live *live, struct live_conn *conn);
void live_conn_close(struct live *live, struct live_conn *conn);
