/* crypto/signing_rota.c · SPDX-License-Identifier: Apache-2.0 */
#include "crypto/signing_rota.h"

#include "crypto/key_table.h"
#include "crypto/rsa_batch.h"
#include "crypto/signing_key.h"
#include "crypto/worker_channel.h"

/* The workers, and which requests of theirs fit into the batch that is being made. */
struct search {
    const struct key_table *keys;
    struct worker_channel *const *workers;
    size_t worker_count;
    size_t bytes; /* length of the keys; 0: none fits */
};

static bool take_first(struct signing_rota *rota, const struct search *search,
                       struct signing_choice *choice)
{
    for (size_t i = 0; i < search->worker_count; i++) {
        choice->worker = search->workers[rota->next++ % search->worker_count];
        if (worker_channel_take_request(choice->worker, &choice->request)) {
            return true;
        }
    }
    return false;
}

/* Length of the key, if it can be used in batches. */
static size_t batch_bytes(const struct key_table *keys, const struct key_request *request)
{
    const struct signing_key *key = key_table_find(keys, request->key_id);
    const struct rsa_batch_key *numbers = key != NULL ? signing_key_numbers(key) : NULL;
    return numbers != NULL ? rsa_batch_key_bytes(numbers) : 0;
}

/* The index, from `from` on, of a waiting request that fits; SIGNING_ROTA_LOOK_AHEAD: none. */
static size_t find_fitting(const struct search *search, const struct worker_channel *worker,
                           size_t from)
{
    size_t count = worker_channel_may_take(worker) ? worker_channel_waiting(worker) : 0;
    for (size_t i = from; i < count && i < SIGNING_ROTA_LOOK_AHEAD; i++) {
        if (batch_bytes(search->keys, worker_channel_waiting_at(worker, i)) == search->bytes) {
            return i;
        }
    }
    return SIGNING_ROTA_LOOK_AHEAD;
}

static bool enough_fit(const struct search *search, size_t wanted)
{
    size_t count = 0;
    for (size_t i = 0; i < search->worker_count && count < wanted; i++) {
        const struct worker_channel *worker = search->workers[i];
        size_t at = find_fitting(search, worker, 0);
        for (; at < SIGNING_ROTA_LOOK_AHEAD && count < wanted; count++) {
            at = find_fitting(search, worker, at + 1);
        }
    }
    return count == wanted;
}

static bool take_fitting(const struct search *search, size_t index, struct signing_choice *choice)
{
    choice->worker = search->workers[index % search->worker_count];
    size_t at = find_fitting(search, choice->worker, 0);
    return at < SIGNING_ROTA_LOOK_AHEAD &&
           worker_channel_take_request_at(choice->worker, at, &choice->request);
}

/* One of each worker in turn, until there are `most` or nobody has any. Whose turn is next is left
 * alone: what goes along costs no worker its turn. */
static size_t add_fitting(const struct signing_rota *rota, const struct search *search,
                          struct signing_choice *chosen, size_t count)
{
    size_t idle = 0;
    for (size_t at = rota->next; idle < search->worker_count && count < rota->most; at++) {
        if (take_fitting(search, at, &chosen[count])) {
            count++;
            idle = 0;
        } else {
            idle++;
        }
    }
    return count;
}

size_t signing_rota_choose(struct signing_rota *rota, const struct key_table *keys,
                           struct worker_channel *const *workers, size_t worker_count,
                           struct signing_choice *chosen)
{
    struct search search = {.keys = keys, .workers = workers, .worker_count = worker_count};
    if (!take_first(rota, &search, &chosen[0])) {
        return 0;
    }
    search.bytes = rota->most > 1 ? batch_bytes(keys, &chosen[0].request) : 0;
    if (search.bytes == 0 || !enough_fit(&search, SIGNING_ROTA_BATCH_MIN - 1)) {
        return 1;
    }
    return add_fitting(rota, &search, chosen, 1);
}
