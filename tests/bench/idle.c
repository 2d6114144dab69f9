/* tests/bench/idle.c
 *
 * Opens many connections, a few at a time, has each do one exchange (a small request of HTTP/1.1 or
 * HTTP/2, or an upgrade and one echoed message), and then leaves them alone. One that ends while it
 * is held is a fault.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/bench/client.h"
#include "tests/bench/frame.h"
#include "tests/bench/head.h"
#include "tests/bench/http2.h"
#include "tests/bench/load.h"
#include "tests/bench/pattern.h"
#include "tests/bench/scenario.h"

enum {
    OPENING_MAX = 64, /* connections on their way at a time */
    ANSWER_ROOM = 2048,
};

enum exchange { EXCHANGE_REQUEST, EXCHANGE_WEBSOCKET, EXCHANGE_HTTP2 };

enum slot_state { SLOT_ASKED, SLOT_UPGRADED, SLOT_HELD };

struct idle;

struct slot {
    struct client client;
    struct idle *idle;
    enum slot_state state;
    struct http2_answer http2;
    size_t len;
    char answer[ANSWER_ROOM];
};

struct idle {
    struct load *load;
    struct slot *slots;
    size_t opened;
    enum exchange exchange;
};

static void open_next(struct idle *idle)
{
    if (idle->opened < idle->load->options.clients && !idle->load->is_stopping) {
        client_open(&idle->slots[idle->opened++].client, NULL);
    }
}

static void fail(struct slot *slot, enum report_fault fault, const char *sentence)
{
    struct idle *idle = slot->idle;
    bool was_held = slot->state == SLOT_HELD;
    client_close(&slot->client);
    load_fail(idle->load, fault, sentence);
    idle->load->report.units -= was_held ? 1 : 0;
    if (!was_held) {
        idle->load->ready++; /* not to be waited for */
        open_next(idle);
    }
}

static void hold(struct slot *slot)
{
    struct idle *idle = slot->idle;
    report_latency(&idle->load->report, report_now_ns() - slot->client.since_ns);
    slot->state = SLOT_HELD;
    slot->client.progress_ns = 0;
    idle->load->report.units++;
    idle->load->ready++;
    open_next(idle);
}

static void ask_http2(struct slot *slot)
{
    uint8_t request[HTTP2_REQUEST_MAX];
    size_t len = http2_write_request(request, slot->client.load->options.name);
    if (len == 0 || client_write(&slot->client, request, len) != (ssize_t)len) {
        fail(slot, REPORT_CLOSED, "cut off while asking");
    }
}

static void ask_http1(struct slot *slot)
{
    bool is_websocket = slot->idle->exchange == EXCHANGE_WEBSOCKET;
    char request[512];
    const char *upgrade = "Connection: Upgrade\r\nUpgrade: websocket\r\n"
                          "Sec-WebSocket-Version: 13\r\n"
                          "Sec-WebSocket-Key: c2FsbHlwb3J0IGJlbmNoIQ==\r\n";
    int len = snprintf(request, sizeof(request), "GET %s HTTP/1.1\r\nHost: %s\r\n%s\r\n",
                       is_websocket ? "/ws" : "/small", slot->client.load->options.name,
                       is_websocket ? upgrade : "");
    if (client_write(&slot->client, request, (size_t)len) != len) {
        fail(slot, REPORT_CLOSED, "cut off while asking");
    }
}

static void on_open(struct client *client)
{
    struct slot *slot = client->slot;
    slot->state = SLOT_ASKED;
    if (slot->idle->exchange == EXCHANGE_HTTP2) {
        ask_http2(slot);
    } else {
        ask_http1(slot);
    }
}

/* How far an answer has come. Its pieces may arrive one by one. */
enum progress { PROGRESS_PARTIAL, PROGRESS_DONE, PROGRESS_WRONG };

static enum progress check_small(const struct slot *slot)
{
    size_t head_len = head_length(slot->answer, slot->len);
    uint64_t body_len = 0;
    if (head_len == 0) {
        return PROGRESS_PARTIAL;
    }
    if (head_status(slot->answer, head_len) != 200 ||
        !head_content_length(slot->answer, head_len, &body_len) || body_len != PATTERN_SMALL ||
        head_says_close(slot->answer, head_len)) {
        return PROGRESS_WRONG;
    }
    if (slot->len < head_len + PATTERN_SMALL) {
        return PROGRESS_PARTIAL;
    }
    const uint8_t *body = (const uint8_t *)slot->answer + head_len;
    bool is_right =
        slot->len == head_len + PATTERN_SMALL && pattern_matches(0, body, PATTERN_SMALL);
    return is_right ? PROGRESS_DONE : PROGRESS_WRONG;
}

static enum progress check_upgrade(const struct slot *slot)
{
    size_t head_len = head_length(slot->answer, slot->len);
    if (head_len == 0) {
        return PROGRESS_PARTIAL;
    }
    bool is_right = head_status(slot->answer, head_len) == 101 && slot->len == head_len;
    return is_right ? PROGRESS_DONE : PROGRESS_WRONG;
}

static enum progress check_echo(struct slot *slot)
{
    struct frame frame;
    enum frame_result result = frame_read((uint8_t *)slot->answer, slot->len, false, &frame);
    if (result == FRAME_PARTIAL) {
        return PROGRESS_PARTIAL;
    }
    bool is_right = result == FRAME_WHOLE && frame.frame_len == slot->len &&
                    frame.payload_len == PATTERN_SMALL &&
                    pattern_matches(0, frame.payload, PATTERN_SMALL);
    return is_right ? PROGRESS_DONE : PROGRESS_WRONG;
}

static enum progress check(struct slot *slot)
{
    if (slot->state == SLOT_UPGRADED) {
        return check_echo(slot);
    }
    return slot->idle->exchange == EXCHANGE_WEBSOCKET ? check_upgrade(slot) : check_small(slot);
}

static void send_message(struct slot *slot)
{
    uint8_t frame[FRAME_HEAD_MAX + PATTERN_SMALL];
    size_t len = frame_write(frame, FRAME_BINARY, pattern_at(7), pattern_at(0), PATTERN_SMALL);
    slot->state = SLOT_UPGRADED;
    slot->len = 0;
    if (client_write(&slot->client, frame, len) != (ssize_t)len) {
        fail(slot, REPORT_CLOSED, "cut off while sending");
    }
}

/* A held connection may still get settings, window updates and pings; http2_take() allows no
 * more. */
static void advance_http2(struct slot *slot)
{
    uint8_t reply[HTTP2_REPLY_MAX];
    size_t reply_len = 0;
    size_t used = 0;
    ssize_t taken = 0;
    while ((taken = http2_take(&slot->http2, (const uint8_t *)slot->answer + used, slot->len - used,
                               reply, &reply_len)) > 0) {
        used += (size_t)taken;
        if (reply_len > 0 && client_write(&slot->client, reply, reply_len) != (ssize_t)reply_len) {
            fail(slot, REPORT_CLOSED, "cut off while acknowledging");
            return;
        }
    }
    if (taken < 0) {
        fail(slot, REPORT_ANSWER, slot->http2.fault);
        return;
    }
    slot->len -= used;
    memmove(slot->answer, slot->answer + used, slot->len);
    if (slot->http2.is_complete && slot->state != SLOT_HELD) {
        hold(slot);
    }
}

static void advance(struct slot *slot)
{
    switch (check(slot)) {
    case PROGRESS_PARTIAL:
        return;
    case PROGRESS_WRONG:
        fail(slot, REPORT_ANSWER, slot->answer);
        return;
    case PROGRESS_DONE:
        break;
    }
    if (slot->idle->exchange == EXCHANGE_WEBSOCKET && slot->state == SLOT_ASKED) {
        send_message(slot);
        return;
    }
    slot->len = 0;
    hold(slot);
}

static void on_ready(struct client *client)
{
    struct slot *slot = client->slot;
    ssize_t got = 0;
    size_t before = slot->len;
    while (slot->len < ANSWER_ROOM - 1 &&
           (got = client_read(client, slot->answer + slot->len, ANSWER_ROOM - 1 - slot->len)) > 0) {
        slot->len += (size_t)got;
    }
    if (got < 0) {
        fail(slot, REPORT_CLOSED, "a connection was closed");
    } else if (slot->len > before && slot->idle->exchange == EXCHANGE_HTTP2) {
        advance_http2(slot);
    } else if (slot->len > before && slot->state == SLOT_HELD) {
        fail(slot, REPORT_ANSWER, "unexpected bytes");
    } else if (slot->len > before) {
        advance(slot);
    }
}

static void on_lost(struct client *client)
{
    struct slot *slot = client->slot;
    client->load->ready++; /* not to be waited for */
    open_next(slot->idle);
}

static const struct client_events events = {on_open, on_ready, on_lost};

static bool start(struct load *load, enum exchange exchange)
{
    (void)SSL_CTX_set_mode(load->tls, SSL_MODE_RELEASE_BUFFERS);
    struct idle *idle = calloc(1, sizeof(*idle));
    struct slot *slots = calloc(load->options.clients, sizeof(*slots));
    if (idle == NULL || slots == NULL) {
        free(idle);
        free(slots);
        return false;
    }
    *idle = (struct idle){.load = load, .slots = slots, .exchange = exchange};
    for (size_t i = 0; i < load->options.clients; i++) {
        slots[i].idle = idle;
        if (!client_init(&slots[i].client, load, &events, &slots[i])) {
            return false;
        }
    }
    for (size_t i = 0; i < OPENING_MAX; i++) {
        open_next(idle);
    }
    return true;
}

bool idle_start_requests(struct load *load)
{
    return start(load, EXCHANGE_REQUEST);
}

bool idle_start_websockets(struct load *load)
{
    return start(load, EXCHANGE_WEBSOCKET);
}

bool idle_start_http2(struct load *load)
{
    return start(load, EXCHANGE_HTTP2);
}
