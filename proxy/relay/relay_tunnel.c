/* proxy/relay/relay_tunnel.c · SPDX-License-Identifier: Apache-2.0 */
#include "proxy/relay/relay_tunnel.h"

#include <stddef.h>
#include <stdlib.h>

#include "proxy/base/clock.h"
#include "proxy/relay/exchange_account.h"
#include "proxy/relay/exchange_state.h"
#include "proxy/tunnel/tunnel.h"

enum { KEPT_TEXT_BYTES = 512 }; /* of each text: the line cuts them too */

/* The texts of a line, so that they can be packed one after the other. */
static const size_t text_offsets[] = {
    offsetof(struct exchange_facts, id),         offsetof(struct exchange_facts, request_id),
    offsetof(struct exchange_facts, trace_id),   offsetof(struct exchange_facts, client),
    offsetof(struct exchange_facts, listener),   offsetof(struct exchange_facts, tls_version),
    offsetof(struct exchange_facts, tls_cipher), offsetof(struct exchange_facts, tls_group),
    offsetof(struct exchange_facts, sni),        offsetof(struct exchange_facts, client_subject),
    offsetof(struct exchange_facts, method),     offsetof(struct exchange_facts, host),
    offsetof(struct exchange_facts, path),       offsetof(struct exchange_facts, user_agent),
    offsetof(struct exchange_facts, protocol),   offsetof(struct exchange_facts, route),
    offsetof(struct exchange_facts, backend),    offsetof(struct exchange_facts, server),
};

enum { TEXTS = sizeof(text_offsets) / sizeof(text_offsets[0]) };

struct relay_tunnel {
    struct list_link link; /* in its entry */
    struct entry *entry;
    struct relay_shared *shared;
    union { /* a tunnel that is closed has nothing left to do but to be freed */
        struct tunnel tunnel;
        struct loop_post post_reap;
    };
    struct backend_place place; /* at its server */
    uint64_t began_us;
    uint64_t tls_us;
    uint64_t connect_us;
    uint32_t header_us;
    uint32_t first_byte_us;
    bool is_tls;
    bool tls_is_resumed;
    bool has_query;
    uint8_t retries;
    uint16_t lens[TEXTS];
    char texts[];
};

static slice *text_at(struct exchange_facts *facts, size_t i)
{
    return (slice *)(void *)((char *)facts + text_offsets[i]);
}

static size_t kept_len(struct exchange_facts *facts, size_t i)
{
    size_t len = text_at(facts, i)->len;
    return len < KEPT_TEXT_BYTES ? len : KEPT_TEXT_BYTES;
}

static uint32_t narrow(uint64_t us)
{
    return us < UINT32_MAX ? (uint32_t)us : UINT32_MAX;
}

/* ---- keeping ---- */

static struct relay_tunnel *keep(struct exchange_facts *facts)
{
    size_t room = 0;
    for (size_t i = 0; i < TEXTS; i++) {
        room += kept_len(facts, i);
    }
    struct relay_tunnel *kept = malloc(sizeof(*kept) + room);
    if (kept == NULL) {
        return NULL;
    }
    *kept = (struct relay_tunnel){
        .tls_us = facts->tls_us,
        .connect_us = facts->connect_us,
        .header_us = narrow(facts->header_us),
        .first_byte_us = narrow(facts->first_byte_us),
        .is_tls = facts->is_tls,
        .tls_is_resumed = facts->tls_is_resumed,
        .has_query = facts->has_query,
        .retries = (uint8_t)facts->retries,
    };
    char *at = kept->texts;
    for (size_t i = 0; i < TEXTS; i++) {
        kept->lens[i] = (uint16_t)kept_len(facts, i);
        if (kept->lens[i] > 0) {
            memcpy(at, text_at(facts, i)->at, kept->lens[i]);
        }
        at += kept->lens[i];
    }
    return kept;
}

static void recall(struct relay_tunnel *kept, enum fault_code fault, struct exchange_facts *facts)
{
    enum { SWITCHING_PROTOCOLS = 101 };
    *facts = (struct exchange_facts){
        .end_wall_us = clock_wall_us(),
        .is_tls = kept->is_tls,
        .tls_is_resumed = kept->tls_is_resumed,
        .has_query = kept->has_query,
        .status = SWITCHING_PROTOCOLS,
        .bytes_in = kept->tunnel.client.received,
        .bytes_out = kept->tunnel.server.received,
        .retries = kept->retries,
        .tls_us = kept->tls_us,
        .header_us = kept->header_us,
        .queue_us = ACCESS_LOG_NEVER,
        .connect_us = kept->connect_us,
        .first_byte_us = kept->first_byte_us,
        .total_us = loop_now_us(kept->shared->loop) - kept->began_us,
        .is_tunnel = true,
        .fault = fault,
    };
    const char *at = kept->texts;
    for (size_t i = 0; i < TEXTS; i++) {
        *text_at(facts, i) = (slice){at, kept->lens[i]};
        at += kept->lens[i];
    }
}

/* ---- the end ---- */

static void reap(void *self)
{
    struct relay_tunnel *kept = self;
    struct relay_shared *shared = kept->shared;
    free(kept);
    relay_shared_leave(shared);
}

static void on_closed(void *self, enum fault_code fault)
{
    struct relay_tunnel *kept = self;
    struct relay_shared *shared = kept->shared;
    struct exchange_facts facts;
    recall(kept, fault, &facts);
    exchange_account_facts(shared, &facts);
    counter_sub(shared->counters, COUNTER_BACKEND_CONNS_OPEN, 1);
    backend_leave_place(&kept->place);
    list_remove(&kept->link);
    kept->post_reap = (struct loop_post){.run = reap, .self = kept};
    loop_post_reap(shared->loop, &kept->post_reap);
    shared->on_conn_closed(shared->self);
}

void relay_tunnel_close(struct list_link *link, enum fault_code fault)
{
    struct tunnel *tunnel = &LIST_OBJECT(link, struct relay_tunnel, link)->tunnel;
    if (fault == FAULT_DRAIN_DEADLINE) {
        tunnel_go_away(tunnel, fault);
        return;
    }
    tunnel_close(tunnel, fault);
}

/* ---- one generation after the other ---- */

void relay_tunnel_follow(struct list_link *link)
{
    struct relay_tunnel *kept = LIST_OBJECT(link, struct relay_tunnel, link);
    struct entry *to = kept->entry->successor;
    struct exchange_facts facts;
    size_t index = 0;
    recall(kept, FAULT_NONE, &facts);
    if (to == NULL || !entry_leads_to(to, facts.host, facts.path, facts.server, &index)) {
        return;
    }
    struct relay_shared *from = kept->shared;
    backend_leave_place(&kept->place);
    kept->place = backend_place_at(to->shared->backends[index], facts.server);
    list_remove(&kept->link);
    list_append(&to->tunnels, &kept->link);
    kept->entry = to;
    kept->shared = to->shared;
    relay_shared_use(to->shared);
    relay_shared_leave(from);
}

/* ---- the beginning ---- */

static bool can_detach(const struct exchange *exchange)
{
    return exchange->responder != NULL && exchange->responder->calls->detach != NULL &&
           exchange->requester != NULL && exchange->requester->calls->detach != NULL;
}

bool relay_tunnel_begin(struct relay_exchange *relayed)
{
    struct exchange *exchange = &relayed->exchange;
    struct relay_shared *shared = relayed->shared;
    if (!can_detach(exchange)) {
        return false;
    }
    struct exchange_facts facts;
    exchange_facts_of(relayed, &facts);
    struct relay_tunnel *kept = keep(&facts);
    if (kept == NULL) {
        return false;
    }
    struct tunnel_start start = {
        .loop = shared->loop,
        .idle_ms = shared->config->timeouts.tunnel_idle_ms,
        .on_closed = on_closed,
        .self = kept,
    };
    start.client = exchange->responder->calls->detach(exchange->responder, &start.from_client);
    if (start.client == NULL) {
        free(kept);
        return false;
    }
    counter_add(shared->counters, COUNTER_BACKEND_CONNS_OPEN, 1);
    start.server = exchange->requester->calls->detach(exchange->requester, &start.from_server);
    kept->shared = shared;
    kept->began_us = exchange->began_us;
    kept->place = backend_take_place(&relayed->checkout);
    kept->entry = relayed->entry;
    relay_shared_use(shared);
    list_append(&kept->entry->tunnels, &kept->link);
    client_conn_dissolve(relayed->conn);
    tunnel_open(&kept->tunnel, &start);
    relay_tunnel_follow(&kept->link); /* the conn may have gone over already */
    return true;
}
