/* tests/bench/request.c
 *
 * Small requests on keep-alive connections, one at a time on each. An answer counts when its
 * status is 200 and its body is the backend's 128 bytes.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include <stdio.h>
#include <stdlib.h>

#include "tests/bench/client.h"
#include "tests/bench/head.h"
#include "tests/bench/load.h"
#include "tests/bench/pattern.h"
#include "tests/bench/scenario.h"

enum { ANSWER_ROOM = 4096 };

struct request {
    size_t len;
    char text[256];
};

struct slot {
    struct client client;
    const struct request *request; /* the same for all */
    bool is_warm;
    int64_t asked_ns;
    size_t len;
    char answer[ANSWER_ROOM + 1]; /* ends in a zero, to be shown */
};

static void begin(struct slot *slot)
{
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

static void ask(struct slot *slot)
{
    slot->len = 0;
    slot->asked_ns = report_now_ns();
    const struct request *request = slot->request;
    if (client_write(&slot->client, request->text, request->len) != (ssize_t)request->len) {
        fail(slot, REPORT_CLOSED, "cut off while asking");
    }
}

static void on_open(struct client *client)
{
    struct slot *slot = client->slot;
    ask(slot);
}

/* Length of the right answer that the slot holds; 0: not complete; -1: wrong. */
static ssize_t check(const struct slot *slot, size_t head_len)
{
    uint64_t body_len = 0;
    if (head_status(slot->answer, head_len) != 200 ||
        !head_content_length(slot->answer, head_len, &body_len) || body_len != PATTERN_SMALL ||
        slot->len > head_len + PATTERN_SMALL) {
        return -1;
    }
    if (slot->len < head_len + PATTERN_SMALL) {
        return 0;
    }
    const uint8_t *body = (const uint8_t *)slot->answer + head_len;
    bool is_right = pattern_matches(0, body, PATTERN_SMALL / 2) &&
                    pattern_matches(PATTERN_SMALL / 2, body + PATTERN_SMALL / 2, PATTERN_SMALL / 2);
    return is_right ? (ssize_t)slot->len : -1;
}

static void finish(struct slot *slot, size_t head_len)
{
    struct load *load = slot->client.load;
    load->report.units++;
    report_latency(&load->report, report_now_ns() - slot->asked_ns);
    if (!slot->is_warm) {
        slot->is_warm = true;
        load->ready++;
    }
    if (head_says_close(slot->answer, head_len)) {
        load->report.reconnects++;
        client_close(&slot->client);
        begin(slot);
        return;
    }
    ask(slot);
}

static void on_ready(struct client *client)
{
    struct slot *slot = client->slot;
    ssize_t got = client_read(client, slot->answer + slot->len, ANSWER_ROOM - slot->len);
    if (got == 0) {
        return;
    }
    if (got < 0) {
        fail(slot, REPORT_CLOSED, "cut off while waiting for the answer");
        return;
    }
    slot->len += (size_t)got;
    size_t head_len = head_length(slot->answer, slot->len);
    ssize_t whole = head_len == 0 ? 0 : check(slot, head_len);
    if (whole < 0 || (whole == 0 && slot->len == ANSWER_ROOM)) {
        fail(slot, REPORT_ANSWER, slot->answer);
    } else if (whole > 0) {
        finish(slot, head_len);
    } else if (SSL_has_pending(client->ssl) == 1) {
        on_ready(client); /* head and body came in two records of one read */
    }
}

static void on_lost(struct client *client)
{
    begin(client->slot);
}

static const struct client_events events = {on_open, on_ready, on_lost};

bool request_start(struct load *load)
{
    struct request *request = calloc(1, sizeof(*request));
    struct slot *slots = calloc(load->options.clients, sizeof(*slots));
    if (request == NULL || slots == NULL) {
        free(request);
        free(slots);
        return false;
    }
    int len = snprintf(request->text, sizeof(request->text),
                       "GET /small HTTP/1.1\r\nHost: %s\r\nUser-Agent: bench\r\n"
                       "Accept: */*\r\n\r\n",
                       load->options.name);
    request->len = (size_t)len;
    for (size_t i = 0; i < load->options.clients; i++) {
        slots[i].request = request;
        if (!client_init(&slots[i].client, load, &events, &slots[i])) {
            return false;
        }
        begin(&slots[i]);
    }
    return true;
}
