/* proxy/upstream/backend.c · SPDX-License-Identifier: Apache-2.0 */
#include "proxy/upstream/backend.h"

#include <stdlib.h>

/* How long a server that refused or did not answer is left alone while others can answer. */
enum { FAILED_REST_US = 5 * 1000 * 1000 };

/* How often a server that says "not now" is asked again for one exchange. */
enum { REFUSALS_MAX = 3 };

struct backend {
    const struct upstream *upstream;
    const struct config_backend *config;
    struct balance balance;
    struct balance_server *states;
    struct server *servers;
    size_t count;
};

static enum status attempt(struct checkout *checkout, struct requester **requester,
                           enum fault_code *fault);

enum status backend_new(struct backend **out, const struct upstream *upstream,
                        const struct config_backend *config, struct tls_client *const *tls,
                        struct tls_client *const *tls_tunnel)
{
    struct backend *backend = calloc(1, sizeof(*backend));
    *out = NULL;
    if (backend == NULL) {
        return STATUS_NOMEM;
    }
    backend->upstream = upstream;
    backend->config = config;
    backend->balance.kind = config->balance;
    backend->servers = calloc(config->server_count, sizeof(*backend->servers));
    backend->states = calloc(config->server_count, sizeof(*backend->states));
    if (backend->servers == NULL || backend->states == NULL) {
        backend_free(backend);
        return STATUS_NOMEM;
    }
    for (size_t i = 0; i < config->server_count; i++) {
        server_init(&backend->servers[i], upstream, config, &config->servers[i], tls[i],
                    tls_tunnel[i]);
        backend->states[i].limit = (uint32_t)config->max_connections;
    }
    backend->count = config->server_count;
    *out = backend;
    return STATUS_OK;
}

void backend_free(struct backend *backend)
{
    if (backend == NULL) {
        return;
    }
    for (size_t i = 0; i < backend->count; i++) {
        server_fini(&backend->servers[i]);
    }
    free(backend->servers);
    free(backend->states);
    free(backend);
}

static void let_server_go(struct checkout *checkout)
{
    if (checkout->server != BALANCE_NONE) {
        checkout->backend->states[checkout->server].in_flight--;
        checkout->server = BALANCE_NONE;
    }
}

static void on_waited(void *self, struct requester *requester, enum fault_code fault)
{
    struct checkout *checkout = self;
    struct backend *backend = checkout->backend;
    uint64_t now_us = loop_now_us(backend->upstream->loop);
    checkout->connect_us = now_us - checkout->wait_began_us;
    if (requester != NULL) {
        backend->states[checkout->server].failed_until_us = 0;
    } else {
        backend->states[checkout->server].failed_until_us = now_us + FAILED_REST_US;
        let_server_go(checkout);
        enum fault_code last_fault = fault;
        checkout->retries++;
        enum status status = attempt(checkout, &requester, &fault);
        if (status == STATUS_AGAIN) {
            return;
        }
        /* When all were tried, what the last one said is more telling than that. */
        fault = status == STATUS_OK ? FAULT_NONE : last_fault;
        checkout->retries -= status == STATUS_OK ? 0U : 1U;
    }
    checkout->on_done(checkout->self, requester, fault);
}

/* Takes the next server that was not tried: an idle conn of its own, or a dial. */
static enum status attempt(struct checkout *checkout, struct requester **requester,
                           enum fault_code *fault)
{
    struct backend *backend = checkout->backend;
    uint64_t now_us = loop_now_us(backend->upstream->loop);
    int index =
        balance_choose(&backend->balance, backend->states, backend->count, checkout->tried, now_us);
    if (index == BALANCE_NONE) {
        bool is_busy = balance_is_busy(backend->states, backend->count, checkout->tried);
        *fault = is_busy ? FAULT_BACKEND_BUSY : FAULT_BACKEND_UNREACHABLE;
        return STATUS_REFUSED;
    }
    struct server *server = &backend->servers[index];
    checkout->tried = balance_mark(checkout->tried, index);
    checkout->server = index;
    checkout->server_url = server->config->url;
    backend->states[index].in_flight++;
    *requester = server_take(server, checkout->need.is_tunnel);
    checkout->is_reused = *requester != NULL;
    if (checkout->is_reused) {
        checkout->connect_us = 0;
        return STATUS_OK;
    }
    checkout->wait_began_us = now_us;
    if (gathering_join(server, &checkout->waiter, &checkout->need, on_waited, checkout) !=
        STATUS_OK) {
        let_server_go(checkout);
        *fault = FAULT_LIMIT_MEMORY;
        return STATUS_REFUSED;
    }
    return STATUS_AGAIN;
}

enum status backend_take(struct backend *backend, struct checkout *checkout,
                         const struct conn_need *need,
                         void (*on_done)(void *self, struct requester *requester,
                                         enum fault_code fault),
                         void *self, struct requester **requester, enum fault_code *fault)
{
    checkout->backend = backend;
    checkout->need = *need;
    checkout->on_done = on_done;
    checkout->self = self;
    checkout->tried = 0;
    checkout->server = BALANCE_NONE;
    return attempt(checkout, requester, fault);
}

enum status backend_take_another(struct checkout *checkout, bool was_refused,
                                 struct requester **requester, enum fault_code *fault)
{
    int last = checkout->server;
    let_server_go(checkout);
    bool may_stay = was_refused ? checkout->retries < REFUSALS_MAX : checkout->is_reused;
    if (may_stay && last != BALANCE_NONE) {
        checkout->tried &= ~balance_mark(0, last);
    }
    enum status status = attempt(checkout, requester, fault);
    checkout->retries += status != STATUS_REFUSED ? 1U : 0U;
    return status;
}

struct backend_place backend_take_place(struct checkout *checkout)
{
    struct backend_place place = {checkout->backend, checkout->server};
    checkout->server = BALANCE_NONE;
    return place;
}

void backend_leave_place(const struct backend_place *place)
{
    if (place->server != BALANCE_NONE) {
        place->backend->states[place->server].in_flight--;
    }
}

struct backend_place backend_place_at(struct backend *backend, slice url)
{
    struct backend_place place = {backend, BALANCE_NONE};
    for (size_t i = 0; i < backend->count && place.server == BALANCE_NONE; i++) {
        if (slice_equal(slice_of(backend->servers[i].config->url), url)) {
            backend->states[i].in_flight++;
            place.server = (int)i;
        }
    }
    return place;
}

void backend_release(struct checkout *checkout)
{
    if (checkout->backend == NULL) {
        return;
    }
    gathering_leave(&checkout->waiter);
    let_server_go(checkout);
}
