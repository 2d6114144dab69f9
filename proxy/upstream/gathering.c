/* proxy/upstream/gathering.c · SPDX-License-Identifier: Apache-2.0 */
#include "proxy/upstream/gathering.h"

#include <stdlib.h>

#include "proxy/upstream/dial.h"

/* As many as one conn is sure to take before its server has said how many (RFC 9113 §6.5.2). */
enum { WAITERS_MAX = 100 };

struct gathering {
    struct list_link link;
    struct server *server;
    struct dial *dial; /* NULL: it is over, and those who wait are being told */
    struct list waiters;
    size_t count;
    bool is_tunnel;
};

static void close_gathering(struct gathering *gathering)
{
    dial_cancel(gathering->dial);
    list_remove(&gathering->link);
    free(gathering);
}

static struct waiter *pop(struct gathering *gathering)
{
    struct list_link *link = list_first(&gathering->waiters);
    if (link == NULL) {
        return NULL;
    }
    struct waiter *waiter = LIST_OBJECT(link, struct waiter, link);
    list_remove(link);
    waiter->gathering = NULL;
    return waiter;
}

/* There was no room left on the new conn: another one is needed. */
static void join_another(struct server *server, struct waiter *waiter)
{
    if (gathering_join(server, waiter, &waiter->need, waiter->on_done, waiter->self) != STATUS_OK) {
        waiter->on_done(waiter->self, NULL, FAULT_LIMIT_MEMORY);
    }
}

static void on_dialled(void *self, struct stream *stream, enum fault_code fault)
{
    struct gathering *gathering = self;
    struct server *server = gathering->server;
    gathering->dial = NULL;
    list_remove(&gathering->link);
    if (stream != NULL) {
        fault = server_adopt(server, stream, gathering->is_tunnel);
    }
    for (struct waiter *waiter = pop(gathering); waiter != NULL; waiter = pop(gathering)) {
        struct requester *requester =
            fault == FAULT_NONE ? server_take(server, waiter->need.is_tunnel) : NULL;
        if (requester != NULL || fault != FAULT_NONE) {
            waiter->on_done(waiter->self, requester, fault);
        } else {
            join_another(server, waiter);
        }
    }
    free(gathering);
}

static struct gathering *find(struct server *server, const struct conn_need *need)
{
    bool is_shared = server->is_multiplexed && server_shares_conns(server) &&
                     !(need->is_tunnel && server->tls_tunnel != NULL);
    struct list_link *link = is_shared ? list_first(&server->gatherings) : NULL;
    struct gathering *gathering = link != NULL ? LIST_OBJECT(link, struct gathering, link) : NULL;
    bool has_place = gathering != NULL && gathering->count < WAITERS_MAX &&
                     (!gathering->is_tunnel || server->tls_tunnel == NULL);
    return has_place ? gathering : NULL;
}

static struct gathering *begin(struct server *server, const struct conn_need *need)
{
    struct gathering *gathering = calloc(1, sizeof(*gathering));
    if (gathering == NULL) {
        return NULL;
    }
    gathering->server = server;
    gathering->is_tunnel = need->is_tunnel;
    list_init(&gathering->waiters);
    const struct dial_events events = {.on_done = on_dialled, .self = gathering};
    gathering->dial = dial_begin(server, need, &events);
    if (gathering->dial == NULL) {
        free(gathering);
        return NULL;
    }
    list_prepend(&server->gatherings, &gathering->link);
    return gathering;
}

enum status gathering_join(
    struct server *server, struct waiter *waiter, const struct conn_need *need,
    void (*on_done)(void *self, struct requester *requester, enum fault_code fault), void *self)
{
    struct gathering *gathering = find(server, need);
    if (gathering == NULL) {
        gathering = begin(server, need);
    }
    if (gathering == NULL) {
        return STATUS_NOMEM;
    }
    *waiter =
        (struct waiter){.gathering = gathering, .need = *need, .on_done = on_done, .self = self};
    list_append(&gathering->waiters, &waiter->link);
    gathering->count++;
    return STATUS_OK;
}

void gathering_leave(struct waiter *waiter)
{
    struct gathering *gathering = waiter->gathering;
    if (gathering == NULL) {
        return;
    }
    list_remove(&waiter->link);
    waiter->gathering = NULL;
    bool is_last = list_is_empty(&gathering->waiters);
    if (is_last && gathering->dial != NULL) {
        close_gathering(gathering);
    }
}
