/* tests/bench/websocket.c
 *
 * WebSocket echo: each connection keeps the same number of messages in flight, each a masked frame
 * in a TLS record of its own. Those that may be sent at one time leave in one system call: sent one
 * by one, the proxy has forwarded each before the next one comes, so that what is meant as a burst
 * is measured as single messages, and the load program, not the proxy, is the limit. A message
 * counts when it comes back whole, unmasked and in its turn.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/bench/client.h"
#include "tests/bench/frame.h"
#include "tests/bench/head.h"
#include "tests/bench/load.h"
#include "tests/bench/pattern.h"
#include "tests/bench/scenario.h"

enum {
    PAYLOAD_BYTES = 64,
    IN_ROOM = 8192,
    IN_FLIGHT_MAX = 64,
};

struct slot {
    struct client client;
    bool is_warm;
    bool is_tunnel; /* 101 has come */
    uint64_t sent;  /* messages; the next one's number, which it carries */
    uint64_t received;
    int64_t sent_ns[IN_FLIGHT_MAX];
    size_t len;
    uint8_t in[IN_ROOM + 1]; /* ends in a zero, to be shown */
};

static const char key[] = "c2FsbHlwb3J0IGJlbmNoIQ=="; /* 16 bytes, as RFC 6455 §4.1 wants */

static void begin(struct slot *slot)
{
    slot->is_tunnel = false;
    slot->sent = 0;
    slot->received = 0;
    slot->len = 0;
    if (!slot->client.load->is_stopping) {
        client_open(&slot->client, NULL);
    }
}

static void fail(struct slot *slot, enum report_fault fault, const char *sentence)
{
    client_close(&slot->client);
    load_fail(slot->client.load, fault, sentence);
    begin(slot);
}

/* A message is its number, then the pattern. */
static void write_payload(uint8_t payload[PAYLOAD_BYTES], uint64_t number)
{
    memcpy(payload, &number, sizeof(number));
    memcpy(payload + sizeof(number), pattern_at(number), PAYLOAD_BYTES - sizeof(number));
}

static bool send_message(struct slot *slot)
{
    uint8_t payload[PAYLOAD_BYTES];
    uint8_t frame[FRAME_HEAD_MAX + PAYLOAD_BYTES];
    write_payload(payload, slot->sent);
    const uint8_t *mask = pattern_at(slot->sent * 4);
    size_t len = frame_write(frame, FRAME_BINARY, mask, payload, sizeof(payload));
    slot->sent_ns[slot->sent % slot->client.load->options.in_flight] = report_now_ns();
    slot->sent++;
    return client_write(&slot->client, frame, len) == (ssize_t)len;
}

static void send_messages(struct slot *slot)
{
    while (slot->sent < slot->received + slot->client.load->options.in_flight) {
        if (!send_message(slot)) {
            fail(slot, REPORT_CLOSED, "cut off while sending");
            return;
        }
    }
    if (!client_flush(&slot->client)) {
        fail(slot, REPORT_CLOSED, "cut off while sending");
    }
}

static void on_open(struct client *client)
{
    struct slot *slot = client->slot;
    char request[512];
    int len = snprintf(request, sizeof(request),
                       "GET /ws HTTP/1.1\r\nHost: %s\r\nConnection: Upgrade\r\n"
                       "Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
                       "Sec-WebSocket-Key: %s\r\n\r\n",
                       client->load->options.name, key);
    if (client_write(client, request, (size_t)len) != len || !client_gather(client)) {
        fail(slot, REPORT_CLOSED, "cut off while asking");
    }
}

/* Length of the right 101; 0: not complete; -1: wrong. */
static ssize_t check_upgrade(const struct slot *slot)
{
    const char *head = (const char *)slot->in;
    size_t head_len = head_length(head, slot->len);
    if (head_len == 0) {
        return slot->len == IN_ROOM ? -1 : 0;
    }
    char expected[FRAME_ACCEPT_LEN + 1];
    size_t value_len = 0;
    const char *value = head_field(head, head_len, "sec-websocket-accept:", &value_len);
    bool is_right = head_status(head, head_len) == 101 && value_len == FRAME_ACCEPT_LEN &&
                    frame_accept(key, sizeof(key) - 1, expected) &&
                    memcmp(value, expected, FRAME_ACCEPT_LEN) == 0;
    return is_right ? (ssize_t)head_len : -1;
}

static bool is_expected(const struct slot *slot, const struct frame *frame)
{
    uint8_t expected[PAYLOAD_BYTES];
    write_payload(expected, slot->received);
    return frame->opcode == FRAME_BINARY && frame->payload_len == PAYLOAD_BYTES &&
           memcmp(frame->payload, expected, PAYLOAD_BYTES) == 0;
}

static void count(struct slot *slot)
{
    struct load *load = slot->client.load;
    int64_t sent_ns = slot->sent_ns[slot->received % load->options.in_flight];
    slot->received++;
    load->report.units++;
    report_latency(&load->report, report_now_ns() - sent_ns);
    if (!slot->is_warm) {
        slot->is_warm = true;
        load->ready++;
    }
}

/* Takes the whole frames from the front of the input. False: a wrong one. */
static bool take_frames(struct slot *slot)
{
    size_t used = 0;
    struct frame frame;
    enum frame_result result = FRAME_PARTIAL;
    while ((result = frame_read(slot->in + used, slot->len - used, false, &frame)) == FRAME_WHOLE) {
        if (!is_expected(slot, &frame)) {
            return false;
        }
        count(slot);
        used += frame.frame_len;
    }
    slot->len -= used;
    memmove(slot->in, slot->in + used, slot->len);
    return result == FRAME_PARTIAL;
}

static bool take_upgrade(struct slot *slot)
{
    ssize_t head_len = check_upgrade(slot);
    if (head_len < 0) {
        return false;
    }
    if (head_len > 0) {
        slot->is_tunnel = true;
        slot->len -= (size_t)head_len;
        memmove(slot->in, slot->in + head_len, slot->len);
    }
    return true;
}

static void on_ready(struct client *client)
{
    struct slot *slot = client->slot;
    ssize_t got = 0;
    while ((got = client_read(client, slot->in + slot->len, IN_ROOM - slot->len)) > 0) {
        slot->len += (size_t)got;
        if (!(slot->is_tunnel || take_upgrade(slot)) || (slot->is_tunnel && !take_frames(slot)) ||
            slot->len == IN_ROOM) {
            fail(slot, REPORT_ANSWER, slot->is_tunnel ? "not the message sent" : (char *)slot->in);
            return;
        }
        if (SSL_has_pending(client->ssl) == 0) {
            break; /* nothing is left of the last read; do not ask the socket again */
        }
    }
    if (got < 0) {
        fail(slot, REPORT_CLOSED, "the WebSocket was cut off");
    } else if (slot->is_tunnel) {
        send_messages(slot);
    }
}

static void on_lost(struct client *client)
{
    begin(client->slot);
}

static const struct client_events events = {on_open, on_ready, on_lost};

bool websocket_start(struct load *load)
{
    if (load->options.in_flight > IN_FLIGHT_MAX) {
        load->options.in_flight = IN_FLIGHT_MAX;
    }
    struct slot *slots = calloc(load->options.clients, sizeof(*slots));
    for (size_t i = 0; slots != NULL && i < load->options.clients; i++) {
        if (!client_init(&slots[i].client, load, &events, &slots[i])) {
            return false;
        }
        begin(&slots[i]);
    }
    return slots != NULL;
}
