/* tests/bench/handshake.c
 *
 * Connect, shake hands, close, again and again. A handshake counts when this side has finished it
 * and the server, having read our close_notify, has closed without a reset or an alert: so it has
 * finished it too, tickets and all.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include <stdlib.h>

#include "tests/bench/client.h"
#include "tests/bench/load.h"
#include "tests/bench/scenario.h"

struct slot {
    struct client client;
    bool resumes;
    bool is_warm;
    bool has_offered;     /* a session, on the connection under way */
    bool is_counted;      /* the handshake under way is of the kind that is measured */
    SSL_SESSION *session; /* the newest the server gave; owned */
};

static void begin(struct slot *slot)
{
    slot->has_offered = slot->resumes && slot->session != NULL;
    if (!slot->client.load->is_stopping) {
        client_open(&slot->client, slot->resumes ? slot->session : NULL);
    }
}

static void on_open(struct client *client)
{
    struct slot *slot = client->slot;
    bool is_resumed = SSL_session_reused(client->ssl) == 1;
    if (slot->has_offered && !is_resumed) {
        load_fail(client->load, REPORT_NOT_RESUMED, "the server did not resume its session");
    }
    slot->is_counted = is_resumed == slot->resumes;
    if (slot->is_counted) {
        report_latency(&client->load->report, report_now_ns() - client->since_ns);
    }
    client_finish(client);
}

static void count(struct slot *slot)
{
    struct load *load = slot->client.load;
    load->report.units += slot->is_counted ? 1 : 0;
    if (!slot->is_warm && slot->is_counted) {
        slot->is_warm = true;
        load->ready++;
    }
    if (slot->resumes && slot->session == NULL) {
        load_fail(load, REPORT_NOT_RESUMED, "the server gave no session to resume");
    }
}

static void on_ready(struct client *client)
{
    struct slot *slot = client->slot;
    char bytes[256];
    ssize_t got = client_read(client, bytes, sizeof(bytes));
    if (got == 0) {
        return;
    }
    if (got > 0) {
        load_fail(client->load, REPORT_ANSWER, "bytes that nobody asked for");
    } else if (!client->has_ended) {
        load_fail(client->load, REPORT_CLOSED, "cut off after the handshake");
    } else {
        count(slot);
    }
    client_close(client);
    begin(slot);
}

static void on_lost(struct client *client)
{
    begin(client->slot);
}

static const struct client_events events = {on_open, on_ready, on_lost};

/* Called by OpenSSL for each ticket or session id; taking the reference is saying 1. */
static int on_session(SSL *ssl, SSL_SESSION *session)
{
    struct client *client = SSL_get_app_data(ssl);
    struct slot *slot = client->slot;
    SSL_SESSION_free(slot->session);
    slot->session = session;
    return 1;
}

static bool start(struct load *load, bool resumes)
{
    if (resumes) {
        (void)SSL_CTX_set_session_cache_mode(load->tls,
                                             SSL_SESS_CACHE_CLIENT | SSL_SESS_CACHE_NO_INTERNAL);
        SSL_CTX_sess_set_new_cb(load->tls, on_session);
    }
    struct slot *slots = calloc(load->options.clients, sizeof(*slots));
    for (size_t i = 0; slots != NULL && i < load->options.clients; i++) {
        slots[i].resumes = resumes;
        if (!client_init(&slots[i].client, load, &events, &slots[i])) {
            return false;
        }
        begin(&slots[i]);
    }
    return slots != NULL;
}

bool handshake_start(struct load *load)
{
    return start(load, false);
}

bool handshake_start_resumed(struct load *load)
{
    return start(load, true);
}
