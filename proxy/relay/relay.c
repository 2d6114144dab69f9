/* proxy/relay/relay.c
 *
 * Lets one generation follow another in a worker, keeps the limit of conns, drains.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "proxy/relay/relay.h"

#include <stdlib.h>
#include <sys/resource.h>
#include <time.h>

#include "proxy/net/resolver.h"
#include "proxy/relay/expiry_event.h"
#include "proxy/relay/generation.h"
#include "proxy/relay/random_pool.h"

enum {
    DESCRIPTORS_RESERVED = 64, /* for logs, channels, DNS, and what libraries open */
    CONNS_LEAST = 16,
    SETTLE_MS = 100,
    WIND_DOWN_MS = 5000, /* of the drain's time half at most */
};

struct relay {
    struct loop *loop;
    struct log *log;
    struct counters *counters;
    struct resolver *resolver;
    struct random_pool random;
    struct generation *present;
    struct generation *prepared; /* NULL: none */
    struct list former;          /* of struct generation */
    uint64_t conns_open;         /* of clients, in all generations */
    uint64_t conns_max;
    bool is_paused;
    bool is_draining;
    struct deadline drain;
    struct deadline wind_down; /* then idle conns are closed */
    struct loop_post post_settle;
    struct deadline settle; /* looks again whether the last responses have left */
    bool is_overdue;        /* the drain's time is over */
    struct loop_post post_drained;
    void (*on_drained)(void *self);
    void *on_drained_self;
};

/* ---- the limit of conns ---- */

/* Each client conn may need a second descriptor for its backend; the reserve is for the rest. */
static uint64_t conns_max(const struct config *config)
{
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) != 0 || limit.rlim_cur < DESCRIPTORS_RESERVED) {
        return CONNS_LEAST;
    }
    uint64_t most = (limit.rlim_cur - DESCRIPTORS_RESERVED) / 2;
    uint64_t wanted = config->limits.connections;
    if (wanted == 0 || wanted > limit.rlim_cur - DESCRIPTORS_RESERVED) {
        wanted = most;
    }
    return wanted < CONNS_LEAST ? CONNS_LEAST : wanted;
}

static void pause_accepting(struct relay *relay)
{
    relay->is_paused = true;
    counter_add(relay->counters, COUNTER_ACCEPT_PAUSES, 1);
    LOG_EVENT(relay->log, LOG_WARN, "accept_paused",
              log_text("fault", fault_name(FAULT_LIMIT_CONNECTIONS)),
              log_number("conns", (int64_t)relay->conns_open));
    generation_pause(relay->present);
}

static void settle_drain(void *self);

static void on_conn_opened(void *self)
{
    struct relay *relay = self;
    relay->conns_open++;
    counter_add(relay->counters, COUNTER_CONNS_ACCEPTED, 1);
    counter_add(relay->counters, COUNTER_CONNS_OPEN, 1);
    if (relay->conns_open >= relay->conns_max && !relay->is_paused) {
        pause_accepting(relay);
    }
}

static void on_conn_closed(void *self)
{
    struct relay *relay = self;
    relay->conns_open--;
    counter_sub(relay->counters, COUNTER_CONNS_OPEN, 1);
    if (relay->is_draining) {
        /* What this turn has still to say leaves at its end. */
        loop_post_next_turn(relay->loop, &relay->post_settle);
        return;
    }
    /* Some room first, so that the two do not alternate with every conn. */
    if (relay->is_paused && relay->conns_open < relay->conns_max - relay->conns_max / 64) {
        relay->is_paused = false;
        generation_resume(relay->present);
    }
}

static void on_server_conns_changed(void *self, int change)
{
    const struct relay *relay = self;
    if (change > 0) {
        counter_add(relay->counters, COUNTER_BACKEND_CONNS_OPEN, 1);
    } else {
        counter_sub(relay->counters, COUNTER_BACKEND_CONNS_OPEN, 1);
    }
}

static void on_server_certificate(void *self, const struct server *server, int64_t not_after)
{
    const struct relay *relay = self;
    expiry_note_server(&relay->present->shared, server, not_after, (int64_t)time(NULL));
}

/* ---- generations ---- */

static enum status make_generation(struct relay *relay, struct generation **out,
                                   const struct relay_start *start, struct relay_error *error)
{
    const struct generation_host host = {
        .resolver = relay->resolver,
        .random = random_pool_source(&relay->random),
        .on_conn_opened = on_conn_opened,
        .on_conn_closed = on_conn_closed,
        .on_server_conns_changed = on_server_conns_changed,
        .on_server_certificate = on_server_certificate,
        .self = relay,
    };
    return generation_new(out, &host, start, error);
}

enum status relay_prepare(struct relay *relay, const struct relay_start *start,
                          struct relay_error *error)
{
    if (relay->prepared != NULL || relay->is_draining) {
        return STATUS_REFUSED;
    }
    return make_generation(relay, &relay->prepared, start, error);
}

void relay_rollback(struct relay *relay)
{
    struct generation *prepared = relay->prepared;
    relay->prepared = NULL;
    if (prepared != NULL) {
        generation_close_backends(prepared);
        generation_free(prepared);
    }
}

static void let_follow(struct relay *relay, uint64_t drain_ms)
{
    for (struct list_link *link = list_first(&relay->former); link != NULL;
         link = list_next(&relay->former, link)) {
        generation_follow(LIST_OBJECT(link, struct generation, link), relay->present, drain_ms);
    }
}

void relay_commit(struct relay *relay)
{
    struct generation *former = relay->present;
    if (relay->prepared == NULL) {
        return;
    }
    relay->present = relay->prepared;
    relay->prepared = NULL;
    const struct config *config = relay->present->shared.config;
    relay->conns_max = conns_max(config);
    relay->is_paused = relay->conns_open >= relay->conns_max;
    if (!relay->is_paused) {
        (void)generation_open(relay->present);
    }
    list_append(&relay->former, &former->link);
    let_follow(relay, config->timeouts.drain_ms);
    generation_retire(former);
}

/* ---- draining ---- */

/* Drained means: no conn is open, and no last response is still on its way (a stream that lingers),
 * unless the time for that is over too. */
static void settle_drain(void *self)
{
    struct relay *relay = self;
    if (relay->conns_open > 0 || relay->on_drained == NULL) {
        return;
    }
    if (loop_is_held(relay->loop) && !relay->is_overdue) {
        deadline_arm(&relay->settle, relay->loop, SETTLE_MS, settle_drain, relay);
        return;
    }
    loop_post_reap(relay->loop, &relay->post_drained);
}

static void on_drained_post(void *self)
{
    struct relay *relay = self;
    if (relay->on_drained != NULL) {
        void (*on_drained)(void *self) = relay->on_drained;
        relay->on_drained = NULL;
        on_drained(relay->on_drained_self);
    }
}

static void each_generation(struct relay *relay, void (*run)(struct generation *generation))
{
    struct list_link *link = relay->former.head.next;
    while (link != &relay->former.head) {
        struct list_link *next = link->next; /* it may go */
        run(LIST_OBJECT(link, struct generation, link));
        link = next;
    }
    if (relay->present != NULL) {
        run(relay->present);
    }
}

static void close_conns(struct generation *generation)
{
    generation_close_conns(generation, FAULT_DRAIN_DEADLINE);
}

static void on_drain_deadline(void *self)
{
    struct relay *relay = self;
    LOG_EVENT(relay->log, LOG_WARN, "drain_deadline",
              log_number("conns", (int64_t)relay->conns_open));
    relay->is_overdue = true;
    each_generation(relay, close_conns);
    settle_drain(relay);
}

static void begin_drain(struct relay *relay, void (*run)(struct generation *generation),
                        void (*on_drained)(void *self), void *self)
{
    relay_rollback(relay);
    relay->is_draining = true;
    relay->on_drained = on_drained;
    relay->on_drained_self = self;
    deadline_disarm(&relay->wind_down);
    each_generation(relay, run);
    deadline_arm(&relay->drain, relay->loop, relay->present->shared.config->timeouts.drain_ms,
                 on_drain_deadline, relay);
}

void relay_drain(struct relay *relay, void (*on_drained)(void *self), void *self)
{
    begin_drain(relay, generation_drain, on_drained, self);
    settle_drain(relay);
}

static void on_wound_down(void *self)
{
    struct relay *relay = self;
    each_generation(relay, generation_drain);
    settle_drain(relay);
}

void relay_wind_down(struct relay *relay, void (*on_drained)(void *self), void *self)
{
    uint64_t half_ms = relay->present->shared.config->timeouts.drain_ms / 2;
    begin_drain(relay, generation_wind_down, on_drained, self);
    bool is_short = half_ms > 0 && half_ms < WIND_DOWN_MS;
    deadline_arm(&relay->wind_down, relay->loop, is_short ? half_ms : WIND_DOWN_MS, on_wound_down,
                 relay);
    settle_drain(relay);
}

/* ---- the end ---- */

/* From now on the relay alone decides when a generation goes. */
static void forget_users(struct generation *generation)
{
    generation->shared.on_unused = NULL;
}

void relay_free(struct relay *relay)
{
    if (relay == NULL) {
        return;
    }
    relay_rollback(relay);
    relay->on_drained = NULL;
    deadline_disarm(&relay->drain);
    deadline_disarm(&relay->wind_down);
    deadline_disarm(&relay->settle);
    relay->is_draining = true;
    each_generation(relay, forget_users);
    each_generation(relay, close_conns);
    each_generation(relay, generation_close_backends);
    loop_reap(relay->loop);
    each_generation(relay, generation_free);
    resolver_free(relay->resolver);
    loop_unpost(&relay->post_drained);
    loop_unpost(&relay->post_settle);
    free(relay);
}

static void staple_if_own(struct generation *generation, uint32_t key_id, slice der)
{
    uint32_t index = key_id - generation->key_base;
    if (index < generation->shared.config->certificate_count) {
        relay_tls_staple(generation->tls, index, der);
    }
}

void relay_staple(struct relay *relay, uint32_t key_id, slice der)
{
    staple_if_own(relay->present, key_id, der);
    if (relay->prepared != NULL) {
        staple_if_own(relay->prepared, key_id, der);
    }
}

/* ---- opening ---- */

static enum status open_first(struct relay *relay, const struct relay_start *start,
                              struct relay_error *error)
{
    relay->resolver = resolver_new(start->loop);
    if (relay->resolver == NULL) {
        return STATUS_NOMEM;
    }
    enum status status = make_generation(relay, &relay->present, start, error);
    if (status != STATUS_OK) {
        return status;
    }
    return generation_open(relay->present) ? STATUS_OK : STATUS_NOMEM;
}

enum status relay_open(struct relay **out, const struct relay_start *start,
                       struct relay_error *error)
{
    struct relay *relay = calloc(1, sizeof(*relay));
    *out = NULL;
    if (relay == NULL) {
        return STATUS_NOMEM;
    }
    relay->loop = start->loop;
    relay->log = start->log;
    relay->counters = start->counters;
    relay->conns_max = conns_max(start->config);
    relay->post_settle = (struct loop_post){.run = settle_drain, .self = relay};
    relay->post_drained = (struct loop_post){.run = on_drained_post, .self = relay};
    list_init(&relay->former);
    enum status status = open_first(relay, start, error);
    if (status != STATUS_OK) {
        relay_free(relay);
        return status;
    }
    *out = relay;
    return STATUS_OK;
}
