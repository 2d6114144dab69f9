/* proxy/process/worker_keys.c · SPDX-License-Identifier: Apache-2.0 */
#include "proxy/process/worker_keys.h"

#include <stdlib.h>
#include <time.h>

enum { EPOCHS = 3 };

struct worker_keys {
    struct loop *loop;
    struct log *log;
    struct key_client *client;
    struct key_provider *provider;
    struct agreements *agreements; /* NULL: OpenSSL does without; so for its provider */
    struct agreement_provider *agreement_provider;
    struct loop_post agreeing;
    struct tickets *tickets;
    struct watch watch;
    bool is_watching;
    bool has_answered; /* since the last loss: a channel that ends before is the same loss */
    void (*on_detached)(void *self);
    void *self;
};

static void stop_watching(struct worker_keys *keys)
{
    if (keys->is_watching) {
        watch_close(&keys->watch);
        keys->is_watching = false;
    }
}

static void on_tickets(void *self, const struct ticket_keys *ticket_keys)
{
    struct worker_keys *keys = self;
    keys->has_answered = true;
    tickets_put(keys->tickets, ticket_keys);
}

static void on_client_detached(void *self)
{
    struct worker_keys *keys = self;
    stop_watching(keys);
    if (keys->has_answered) {
        LOG_EVENT(keys->log, LOG_WARN, "keyholder_lost",
                  log_text("effect", "handshakes wait for a new one"));
    }
    keys->has_answered = false;
    keys->on_detached(keys->self);
}

static void on_readable(void *self, unsigned events)
{
    (void)events;
    struct worker_keys *keys = self;
    key_client_on_readable(keys->client);
}

/* After the events of the turn, and before its end: what is woken goes on in the same turn, and its
 * request to the keyholder leaves with the others'. */
static void on_agreements_waiting(void *self)
{
    struct worker_keys *keys = self;
    loop_post_flush(keys->loop, &keys->agreeing);
}

static void agree(void *self)
{
    struct worker_keys *keys = self;
    agreements_flush(keys->agreements);
}

/* Nothing depends on it: what cannot be set up is told and done without. */
static void set_up_agreements(struct worker_keys *keys)
{
    struct crypto_error error = {{0}};
    const struct agreements_events events = {.on_waiting = on_agreements_waiting, .self = keys};
    keys->agreeing = (struct loop_post){.run = agree, .self = keys};
    keys->agreements = agreements_new(&events);
    if (keys->agreements == NULL) {
        return;
    }
    keys->agreement_provider = agreement_provider_load(keys->agreements, &error);
    if (keys->agreement_provider == NULL) {
        LOG_EVENT(keys->log, LOG_WARN, "agreements_unbatched", log_text("reason", error.text));
        agreements_free(keys->agreements);
        keys->agreements = NULL;
    }
}

struct worker_keys *worker_keys_new(struct loop *loop, struct log *log, struct spent_tickets *spent,
                                    void (*on_detached)(void *self), void *self,
                                    struct crypto_error *error)
{
    struct worker_keys *keys = calloc(1, sizeof(*keys));
    if (keys == NULL) {
        crypto_error_set(error, "out of memory");
        return NULL;
    }
    keys->loop = loop;
    keys->log = log;
    keys->has_answered = true; /* the first loss is told in any case */
    keys->on_detached = on_detached;
    keys->self = self;
    const struct key_client_events events = {
        .self = keys, .on_tickets = on_tickets, .on_detached = on_client_detached};
    keys->client = key_client_new(KEY_CLIENT_PARKED_DEFAULT, &events, error);
    keys->provider = keys->client == NULL ? NULL : key_provider_load(keys->client, error);
    keys->tickets = tickets_new(TICKET_EPOCH_SECONDS_DEFAULT, (uint64_t)time(NULL));
    if (keys->tickets == NULL && keys->provider != NULL) {
        crypto_error_set(error, "no memory or randomness for session tickets");
    }
    if (keys->provider == NULL || keys->tickets == NULL) {
        worker_keys_free(keys);
        return NULL;
    }
    tickets_set_spent(keys->tickets, spent);
    set_up_agreements(keys);
    return keys;
}

void worker_keys_free(struct worker_keys *keys)
{
    if (keys == NULL) {
        return;
    }
    stop_watching(keys);
    if (keys->agreements != NULL) {
        loop_unpost(&keys->agreeing);
    }
    tickets_free(keys->tickets);
    agreement_provider_free(keys->agreement_provider);
    agreements_free(keys->agreements);
    key_provider_free(keys->provider);
    key_client_free(keys->client);
    free(keys);
}

/* Returns how many epochs' keys are missing. */
static size_t ask_for_tickets(struct worker_keys *keys)
{
    uint64_t epochs[EPOCHS];
    tickets_advance(keys->tickets, (uint64_t)time(NULL));
    size_t count = tickets_missing(keys->tickets, epochs);
    for (size_t i = 0; i < count; i++) {
        if (!key_client_ask_tickets(keys->client, epochs[i])) {
            break; /* the next tick asks again */
        }
    }
    return count;
}

/* A keyholder that lives answers. The master may have sent a channel to one that was just dying,
 * whose other end goes down with it. */
static void greet(struct worker_keys *keys)
{
    if (ask_for_tickets(keys) == 0) {
        uint64_t epoch = ticket_epoch((uint64_t)time(NULL), TICKET_EPOCH_SECONDS_DEFAULT);
        (void)key_client_ask_tickets(keys->client, epoch);
    }
}

void worker_keys_attach(struct worker_keys *keys, int descriptor)
{
    stop_watching(keys);
    key_client_attach(keys->client, descriptor);
    int watched = key_client_descriptor(keys->client);
    if (watched < 0) {
        return;
    }
    if (watch_open_level(&keys->watch, keys->loop, watched, WATCH_READ, on_readable, keys) !=
        STATUS_OK) {
        LOG_EVENT(keys->log, LOG_ERROR, "keyholder_unwatched", log_number("descriptor", watched));
        return;
    }
    keys->is_watching = true;
    greet(keys);
}

void worker_keys_flush(struct worker_keys *keys)
{
    key_client_flush(keys->client); /* first: the keyholder works while we do */
    if (keys->agreements != NULL) {
        agreements_refill(keys->agreements);
    }
}

void worker_keys_tick(struct worker_keys *keys)
{
    key_client_on_tick(keys->client);
    (void)ask_for_tickets(keys);
}

unsigned worker_keys_agreement_lanes(const struct worker_keys *keys)
{
    return agreements_lanes(keys->agreements);
}

struct key_client *worker_keys_client(struct worker_keys *keys)
{
    return keys->client;
}

struct key_provider *worker_keys_provider(struct worker_keys *keys)
{
    return keys->provider;
}

struct tickets *worker_keys_tickets(struct worker_keys *keys)
{
    return keys->tickets;
}
