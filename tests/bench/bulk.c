/* tests/bench/bulk.c
 *
 * Large downloads and uploads, one after the other on each keep-alive connection. The unit is the
 * byte of the body, counted as it passes; every piece must be that of the pattern, and a transfer
 * that does not end in the right answer is a fault.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/bench/client.h"
#include "tests/bench/head.h"
#include "tests/bench/load.h"
#include "tests/bench/pattern.h"
#include "tests/bench/scenario.h"

enum {
    HEAD_ROOM = 4096,
    RECORD_BYTES = 16 * 1024,
    TURN_BYTES = 1024 * 1024, /* that one connection may move before the others get a turn */
};

struct slot {
    struct client client;
    bool is_upload;
    bool is_warm;
    bool has_head; /* of the download's answer */
    bool closes;   /* the answer asked for it */
    int64_t asked_ns;
    uint64_t moved; /* of the body under way */
    size_t request_sent;
    size_t request_len;
    size_t head_len;
    char request[256];
    char head[HEAD_ROOM + 1]; /* the answer's; of an upload also its body */
};

static void begin(struct slot *slot)
{
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

static void send_some(struct slot *slot);

static void ask(struct slot *slot)
{
    slot->moved = 0;
    slot->has_head = false;
    slot->closes = false;
    slot->head_len = 0;
    slot->request_sent = 0;
    slot->asked_ns = report_now_ns();
    send_some(slot);
}

static void on_open(struct client *client)
{
    ask(client->slot);
}

static void finish(struct slot *slot)
{
    struct load *load = slot->client.load;
    report_latency(&load->report, report_now_ns() - slot->asked_ns);
    if (!slot->closes) {
        ask(slot);
        return;
    }
    load->report.reconnects++;
    client_close(&slot->client);
    begin(slot);
}

static void count(struct slot *slot, size_t bytes)
{
    struct load *load = slot->client.load;
    slot->moved += bytes;
    load->report.units += bytes;
    slot->client.progress_ns = report_now_ns();
    if (!slot->is_warm) {
        slot->is_warm = true;
        load->ready++;
    }
}

/* Sends the request's head, then as much of an upload's body as the socket takes. */
static void send_some(struct slot *slot)
{
    size_t turn = 0;
    uint64_t body = slot->is_upload ? slot->client.load->options.bytes : 0;
    while (turn < TURN_BYTES && (slot->request_sent < slot->request_len || slot->moved < body)) {
        bool is_head = slot->request_sent < slot->request_len;
        const void *bytes = is_head ? (const void *)(slot->request + slot->request_sent)
                                    : (const void *)pattern_at(slot->moved);
        uint64_t left = is_head ? slot->request_len - slot->request_sent : body - slot->moved;
        ssize_t put =
            client_write(&slot->client, bytes, left < RECORD_BYTES ? (size_t)left : RECORD_BYTES);
        if (put < 0) {
            fail(slot, REPORT_CLOSED, "cut off while sending");
            return;
        }
        if (put == 0) {
            break;
        }
        turn += (size_t)put;
        if (is_head) {
            slot->request_sent += (size_t)put;
        } else {
            count(slot, (size_t)put);
        }
    }
    client_want_write(&slot->client, slot->request_sent < slot->request_len || slot->moved < body);
}

/* Reads the head of a download's answer; false: wrong, and the slot has begun anew. */
static bool take_head(struct slot *slot, const uint8_t *bytes, size_t len, size_t *taken)
{
    size_t before = slot->head_len;
    size_t room = HEAD_ROOM - before;
    memcpy(slot->head + before, bytes, len < room ? len : room);
    slot->head_len += len < room ? len : room;
    size_t head_len = head_length(slot->head, slot->head_len);
    uint64_t body_len = 0;
    if (head_len == 0 && slot->head_len < HEAD_ROOM) {
        *taken = len;
        return true;
    }
    if (head_len == 0 || head_status(slot->head, head_len) != 200 ||
        !head_content_length(slot->head, head_len, &body_len) ||
        body_len != slot->client.load->options.bytes) {
        fail(slot, REPORT_ANSWER, slot->head);
        return false;
    }
    slot->has_head = true;
    slot->closes = head_says_close(slot->head, head_len);
    *taken = head_len - before;
    return true;
}

/* False: the slot has begun a new transfer or connection. */
static bool take_download(struct slot *slot, const uint8_t *bytes, size_t len)
{
    size_t taken = 0;
    if (!slot->has_head && !take_head(slot, bytes, len, &taken)) {
        return false;
    }
    bytes += taken;
    len -= taken;
    uint64_t left = slot->client.load->options.bytes - slot->moved;
    if (len > left || (len > 0 && !pattern_matches(slot->moved, bytes, len))) {
        fail(slot, REPORT_ANSWER, "the body is not what the backend sent");
        return false;
    }
    if (len > 0) {
        count(slot, len);
    }
    if (slot->has_head && slot->moved == slot->client.load->options.bytes) {
        finish(slot);
        return false;
    }
    return true;
}

static bool is_upload_answer(const struct slot *slot, size_t head_len, const char *body,
                             size_t body_len)
{
    char expected[64];
    int expected_len = snprintf(expected, sizeof(expected), "received %llu\n",
                                (unsigned long long)slot->client.load->options.bytes);
    return head_status(slot->head, head_len) == 200 && body_len == (size_t)expected_len &&
           memcmp(body, expected, body_len) == 0;
}

static bool take_upload_answer(struct slot *slot, const uint8_t *bytes, size_t len)
{
    if (len > HEAD_ROOM - slot->head_len) {
        fail(slot, REPORT_ANSWER, "an answer longer than the backend's");
        return false;
    }
    memcpy(slot->head + slot->head_len, bytes, len);
    slot->head_len += len;
    size_t head_len = head_length(slot->head, slot->head_len);
    uint64_t body_len = 0;
    if (head_len == 0) {
        return true;
    }
    bool has_length = head_content_length(slot->head, head_len, &body_len);
    if (has_length && slot->head_len < head_len + body_len) {
        return true;
    }
    if (!has_length || slot->moved < slot->client.load->options.bytes ||
        !is_upload_answer(slot, head_len, slot->head + head_len, slot->head_len - head_len)) {
        fail(slot, REPORT_ANSWER, slot->head);
        return false;
    }
    slot->closes = head_says_close(slot->head, head_len);
    finish(slot);
    return false;
}

static void on_ready(struct client *client)
{
    struct slot *slot = client->slot;
    if (client->wants_write) {
        send_some(slot);
    }
    size_t turn = 0;
    while (client->is_open && (turn < TURN_BYTES || SSL_has_pending(client->ssl) == 1)) {
        ssize_t got = client_read(client, client->load->scratch, LOAD_SCRATCH);
        if (got == 0) {
            return;
        }
        if (got < 0) {
            fail(slot, REPORT_CLOSED, "cut off in a transfer");
            return;
        }
        turn += (size_t)got;
        bool goes_on = slot->is_upload
                           ? take_upload_answer(slot, client->load->scratch, (size_t)got)
                           : take_download(slot, client->load->scratch, (size_t)got);
        if (!goes_on) {
            return;
        }
    }
}

static void on_lost(struct client *client)
{
    begin(client->slot);
}

static const struct client_events events = {on_open, on_ready, on_lost};

static void write_request(struct slot *slot, const struct load_options *options)
{
    int len = slot->is_upload
                  ? snprintf(slot->request, sizeof(slot->request),
                             "POST /upload HTTP/1.1\r\nHost: %s\r\nContent-Length: %llu\r\n\r\n",
                             options->name, (unsigned long long)options->bytes)
                  : snprintf(slot->request, sizeof(slot->request),
                             "GET /download?bytes=%llu HTTP/1.1\r\nHost: %s\r\n\r\n",
                             (unsigned long long)options->bytes, options->name);
    slot->request_len = (size_t)len;
}

static bool start(struct load *load, bool is_upload)
{
    SSL_CTX_set_default_read_buffer_len(load->tls, LOAD_SCRATCH);
    struct slot *slots = calloc(load->options.clients, sizeof(*slots));
    for (size_t i = 0; slots != NULL && i < load->options.clients; i++) {
        slots[i].is_upload = is_upload;
        write_request(&slots[i], &load->options);
        if (!client_init(&slots[i].client, load, &events, &slots[i])) {
            return false;
        }
        begin(&slots[i]);
    }
    return slots != NULL;
}

bool bulk_start_download(struct load *load)
{
    return start(load, false);
}

bool bulk_start_upload(struct load *load)
{
    return start(load, true);
}
