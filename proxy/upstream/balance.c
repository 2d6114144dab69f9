/* proxy/upstream/balance.c · SPDX-License-Identifier: Apache-2.0 */
#include "proxy/upstream/balance.h"

#include "proxy/base/assert.h"

static bool was_tried(balance_tried tried, size_t server)
{
    return (tried >> server & 1) != 0;
}

static bool is_full(const struct balance_server *server)
{
    return server->limit > 0 && server->in_flight >= server->limit;
}

static bool has_failed(const struct balance_server *server, uint64_t now_us)
{
    return server->failed_until_us > now_us;
}

/* True when `one` is the better choice. Equal: whoever the search met first stays. */
static bool is_better(enum config_balance kind, const struct balance_server *one,
                      const struct balance_server *other)
{
    return kind == CONFIG_BALANCE_LEAST_REQUESTS && one->in_flight < other->in_flight;
}

/* What one look over the servers found; each BALANCE_NONE or an index. */
struct survey {
    int healthy;
    int failed;      /* the one whose time ends first */
    bool is_waiting; /* a healthy one is at its limit: a place there will come free */
};

static struct survey look(const struct balance *balance, const struct balance_server *servers,
                          size_t count, balance_tried tried, uint64_t now_us)
{
    struct survey survey = {BALANCE_NONE, BALANCE_NONE, false};
    size_t start = count > 0 ? balance->next % count : 0;
    for (size_t step = 0; step < count; step++) {
        size_t i = (start + step) % count;
        const struct balance_server *server = &servers[i];
        if (was_tried(tried, i)) {
            continue;
        }
        if (is_full(server)) {
            survey.is_waiting |= !has_failed(server, now_us);
        } else if (has_failed(server, now_us)) {
            if (survey.failed == BALANCE_NONE ||
                server->failed_until_us < servers[survey.failed].failed_until_us) {
                survey.failed = (int)i;
            }
        } else if (survey.healthy == BALANCE_NONE ||
                   is_better(balance->kind, server, &servers[survey.healthy])) {
            survey.healthy = (int)i;
        }
    }
    return survey;
}

int balance_choose(struct balance *balance, const struct balance_server *servers, size_t count,
                   balance_tried tried, uint64_t now_us)
{
    assert_always(count <= BALANCE_SERVERS_MAX);
    struct survey survey = look(balance, servers, count, tried, now_us);
    int chosen = survey.healthy;
    if (chosen == BALANCE_NONE && !survey.is_waiting) {
        chosen = survey.failed;
    }
    if (chosen != BALANCE_NONE) {
        balance->next = (uint32_t)chosen + 1;
    }
    return chosen;
}

bool balance_is_busy(const struct balance_server *servers, size_t count, balance_tried tried)
{
    for (size_t i = 0; i < count; i++) {
        if (!was_tried(tried, i) && is_full(&servers[i])) {
            return true;
        }
    }
    return false;
}
