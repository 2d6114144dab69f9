/* deploy/demo/live.c
 *
 *   receive ── fragment ──► arriving ── last fragment ──► queue ── writable ──► send
 *                                                           ▲
 *   tick ── tick_due ── writable ── (composed when sent) ───┘
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "deploy/demo/live.h"

#include "deploy/demo/received.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

enum {
    MESSAGE_BYTES_MAX = 1 << 20, /* a longer one closes with 1009 */
    QUEUE_BYTES_MAX = 2 << 20,
    QUEUE_BYTES_LOW = 64 << 10, /* reading resumes below this */
};

struct live_message {
    struct live_message *next;
    size_t len;
    bool binary;
    unsigned char room[]; /* LWS_PRE bytes for the frame head, then the payload */
};

static bool queue_add(struct live_conn *conn, const void *bytes, size_t len, bool binary)
{
    struct live_message *message = malloc(sizeof(*message) + LWS_PRE + len);
    if (message == NULL) {
        return false;
    }
    message->next = NULL;
    message->len = len;
    message->binary = binary;
    memcpy(message->room + LWS_PRE, bytes, len);
    if (conn->queue_tail == NULL) {
        conn->queue_head = message;
    } else {
        conn->queue_tail->next = message;
    }
    conn->queue_tail = message;
    conn->queued += len;
    if (conn->queued > QUEUE_BYTES_MAX && !conn->paused) {
        conn->paused = true;
        (void)lws_rx_flow_control(conn->wsi, 0);
    }
    (void)lws_callback_on_writable(conn->wsi);
    return true;
}

static struct live_message *queue_take(struct live_conn *conn)
{
    struct live_message *message = conn->queue_head;
    if (message == NULL) {
        return NULL;
    }
    conn->queue_head = message->next;
    if (conn->queue_head == NULL) {
        conn->queue_tail = NULL;
    }
    conn->queued -= message->len;
    if (conn->paused && conn->queued < QUEUE_BYTES_LOW) {
        conn->paused = false;
        (void)lws_rx_flow_control(conn->wsi, 1);
    }
    return message;
}

/* Queues the object as one text message and frees it. */
static bool queue_add_json(struct live_conn *conn, json_t *object)
{
    char *text = object == NULL ? NULL : json_dumps(object, JSON_COMPACT);
    json_decref(object);
    bool added = text != NULL && queue_add(conn, text, strlen(text), false);
    free(text);
    return added;
}

static json_t *tick_json(const struct live *live)
{
    struct timespec now;
    struct tm utc;
    char day[32];
    char stamp[64];
    (void)clock_gettime(CLOCK_REALTIME, &now);
    (void)gmtime_r(&now.tv_sec, &utc);
    (void)strftime(day, sizeof(day), "%Y-%m-%dT%H:%M:%S", &utc);
    (void)lws_snprintf(stamp, sizeof(stamp), "%s.%03dZ", day, (int)(now.tv_nsec / 1000000));
    return json_pack("{s:s, s:s, s:I, s:I, s:I}", "type", "tick", "time", stamp, "connections",
                     (json_int_t)live->conn_count, "messages", (json_int_t)live->message_count,
                     "uptime", (json_int_t)((lws_now_usecs() - live->started) / LWS_US_PER_SEC));
}

static void tick_all(lws_sorted_usec_list_t *tick)
{
    struct live *live = lws_container_of(tick, struct live, tick);
    for (struct live_conn *conn = live->conns; conn != NULL; conn = conn->next) {
        conn->tick_due = !conn->echo_only;
        if (conn->tick_due) {
            (void)lws_callback_on_writable(conn->wsi);
        }
    }
    lws_sul_schedule(live->lws, 0, tick, tick_all, (lws_usec_t)live->tick_ms * LWS_US_PER_MS);
}

void live_start(struct live *live, struct lws_context *lws)
{
    live->lws = lws;
    live->started = lws_now_usecs();
    if (live->tick_ms > 0) {
        lws_sul_schedule(lws, 0, &live->tick, tick_all, (lws_usec_t)live->tick_ms * LWS_US_PER_MS);
    }
}

void live_stop(struct live *live)
{
    lws_sul_schedule(live->lws, 0, &live->tick, NULL, LWS_SET_TIMER_USEC_CANCEL);
    live->stopping = true;
    for (struct live_conn *conn = live->conns; conn != NULL; conn = conn->next) {
        (void)lws_callback_on_writable(conn->wsi);
    }
}

int live_conn_open(struct live *live, struct live_conn *conn, struct lws *wsi)
{
    char path[64] = "";
    (void)lws_hdr_copy(wsi, path, sizeof(path), WSI_TOKEN_GET_URI);
    *conn = (struct live_conn){.wsi = wsi, .next = live->conns};
    conn->echo_only = strcmp(path, "/echo") == 0;
    if (live->conns != NULL) {
        live->conns->before = conn;
    }
    live->conns = conn;
    live->conn_count++;
    if (conn->echo_only) {
        return 0;
    }
    json_t *hello = json_pack("{s:s, s:o}", "type", "hello", "received", received_json(wsi));
    if (!queue_add_json(conn, hello)) {
        return -1;
    }
    conn->tick_due = true;
    return 0;
}

static int message_answer(struct live *live, struct live_conn *conn, bool binary)
{
    live->message_count++;
    const char *bytes = conn->arriving == NULL ? "" : conn->arriving;
    if (conn->echo_only || binary) {
        return queue_add(conn, bytes, conn->arriving_len, binary) ? 0 : -1;
    }
    json_t *echo = json_pack("{s:s, s:s%, s:I}", "type", "echo", "text", bytes, conn->arriving_len,
                             "messages", (json_int_t)live->message_count);
    return queue_add_json(conn, echo) ? 0 : -1;
}

int live_conn_receive(struct live *live, struct live_conn *conn, const void *bytes, size_t len)
{
    if (conn->too_long || len > MESSAGE_BYTES_MAX - conn->arriving_len) {
        conn->too_long = true; /* closed when writable: while inflating, -1 from here is lost */
        (void)lws_callback_on_writable(conn->wsi);
        return 0;
    }
    if (len > 0) {
        char *grown = realloc(conn->arriving, conn->arriving_len + len);
        if (grown == NULL) {
            return -1;
        }
        memcpy(grown + conn->arriving_len, bytes, len);
        conn->arriving = grown;
        conn->arriving_len += len;
    }
    if (!lws_is_final_fragment(conn->wsi)) {
        return 0;
    }
    int verdict = message_answer(live, conn, lws_frame_is_binary(conn->wsi) != 0);
    free(conn->arriving);
    conn->arriving = NULL;
    conn->arriving_len = 0;
    return verdict;
}

/* permessage-deflate goes on reading the payload after lws_write has returned, and finishes before
 * the next writable event: only then may the message be freed. */
static int message_send(struct live_conn *conn, struct live_message *message)
{
    enum lws_write_protocol kind = message->binary ? LWS_WRITE_BINARY : LWS_WRITE_TEXT;
    conn->sending = message;
    int sent = lws_write(conn->wsi, message->room + LWS_PRE, message->len, kind);
    if (sent < 0 || (size_t)sent < message->len) {
        return -1;
    }
    (void)lws_callback_on_writable(conn->wsi);
    return 0;
}

int live_conn_send(struct live *live, struct live_conn *conn)
{
    free(conn->sending);
    conn->sending = NULL;
    if (live->stopping || conn->too_long) {
        lws_close_reason(conn->wsi,
                         conn->too_long ? LWS_CLOSE_STATUS_MESSAGE_TOO_LARGE
                                        : LWS_CLOSE_STATUS_GOINGAWAY,
                         NULL, 0);
        return -1;
    }
    if (conn->queue_head == NULL && conn->tick_due) {
        conn->tick_due = false;
        if (!queue_add_json(conn, tick_json(live))) {
            return -1;
        }
    }
    struct live_message *message = queue_take(conn);
    return message == NULL ? 0 : message_send(conn, message);
}

void live_conn_close(struct live *live, struct live_conn *conn)
{
    if (conn->wsi == NULL) {
        return; /* the upgrade never finished */
    }
    if (conn->before != NULL) {
        conn->before->next = conn->next;
    } else {
        live->conns = conn->next;
    }
    if (conn->next != NULL) {
        conn->next->before = conn->before;
    }
    live->conn_count--;
    for (struct live_message *message = conn->queue_head; message != NULL;) {
        struct live_message *next = message->next;
        free(message);
        message = next;
    }
    free(conn->sending);
    free(conn->arriving);
    *conn = (struct live_conn){.wsi = NULL};
}
