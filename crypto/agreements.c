/* crypto/agreements.c
 *
 *   agreements_agree ─► waiting ─► computed by agreements_flush ─► ready ─► woken, goes on
 *
 * Each agreement stands on the stack of its paused job, and is in one queue at most.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "crypto/agreements.h"

#include <openssl/crypto.h>
#include <stdlib.h>

#include "crypto/parked_job.h"
#include "crypto/share_pool.h"
#include "crypto/x25519_batch.h"
#include "crypto/x25519_check.h"

enum { BATCH_LEAST = 2 };

struct queue {
    struct agreement *first;
    struct agreement **end; /* where the next one is linked in */
    size_t count;
};

struct agreement {
    struct parked_job job;
    struct agreement *next;
    struct queue *queue; /* that it stands in; NULL: none */
    const struct x25519_share *share;
    const uint8_t *peer;
    uint8_t *secret;
    bool is_over;
    bool has_agreed;
};

struct agreements {
    struct x25519 *openssl;
    struct share_pool pool;
    struct agreements_events events;
    struct queue waiting;
    struct queue ready; /* computed, to be woken */
    uint64_t turns;
};

struct agreements *agreements_new(const struct agreements_events *events)
{
    struct agreements *agreements = x25519_batch_is_there() ? calloc(1, sizeof(*agreements)) : NULL;
    if (agreements == NULL) {
        return NULL;
    }
    if (events != NULL) {
        agreements->events = *events;
    }
    agreements->waiting.end = &agreements->waiting.first;
    agreements->ready.end = &agreements->ready.first;
    agreements->openssl = x25519_new();
    if (agreements->openssl == NULL || !x25519_check_batches(agreements->openssl) ||
        !share_pool_init(&agreements->pool)) {
        agreements_free(agreements);
        return NULL;
    }
    share_pool_refill(&agreements->pool);
    return agreements;
}

void agreements_free(struct agreements *agreements)
{
    if (agreements != NULL) {
        share_pool_fini(&agreements->pool);
        x25519_free(agreements->openssl);
        free(agreements);
    }
}

unsigned agreements_lanes(const struct agreements *agreements)
{
    return agreements != NULL ? X25519_BATCH_LANES : 0;
}

size_t agreements_waiting(const struct agreements *agreements)
{
    return agreements->waiting.count + agreements->ready.count;
}

/* ---- computing ---- */

/* libcrypto-mb 2021.12.1 loses a carry, so that points with long runs of ones (those near the
 * prime, from about 49 ones on where the rest is regular) give a wrong secret. Sixteen ones stand
 * in one of 2,000 random points and are left to OpenSSL. Who made up another point that is computed
 * wrongly would only fail to connect: it tells nothing of a scalar that is used once. */
static bool is_for_batches(const uint8_t *point)
{
    for (size_t i = 1; i < X25519_BYTES; i++) {
        if (point[i - 1] == 0xff && (point[i] | (i == X25519_BYTES - 1 ? 0x80 : 0)) == 0xff) {
            return false;
        }
    }
    return true;
}

static bool is_zero(const uint8_t *secret)
{
    static const uint8_t ZERO[X25519_BYTES];
    return CRYPTO_memcmp(secret, ZERO, X25519_BYTES) == 0;
}

static void agree_alone(struct agreements *agreements, struct agreement *agreement)
{
    agreement->has_agreed =
        x25519_agree(agreements->openssl, agreement->share, agreement->peer, agreement->secret);
}

/* What the library refuses, and a secret that does not depend on our key, OpenSSL decides about. */
static void agree_together(struct agreements *agreements, struct agreement *const *group,
                           size_t count)
{
    struct x25519_lane lanes[X25519_BATCH_LANES];
    for (size_t i = 0; i < count; i++) {
        lanes[i] = (struct x25519_lane){
            .scalar = group[i]->share->scalar, .point = group[i]->peer, .out = group[i]->secret};
    }
    x25519_batch_points(lanes, count);
    for (size_t i = 0; i < count; i++) {
        group[i]->has_agreed = lanes[i].is_computed && !is_zero(group[i]->secret);
        if (!group[i]->has_agreed) {
            agree_alone(agreements, group[i]);
        }
    }
}

/* ---- waiting ---- */

static void enqueue(struct queue *queue, struct agreement *agreement)
{
    agreement->next = NULL;
    agreement->queue = queue;
    *queue->end = agreement;
    queue->end = &agreement->next;
    queue->count++;
}

static void take_out_at(struct queue *queue, struct agreement **at)
{
    struct agreement *taken = *at;
    *at = taken->next;
    if (queue->end == &taken->next) {
        queue->end = at;
    }
    queue->count--;
    taken->queue = NULL;
}

static struct agreement *take_first(struct queue *queue)
{
    struct agreement *first = queue->first;
    if (first != NULL) {
        take_out_at(queue, &queue->first);
    }
    return first;
}

static size_t take_group(struct agreements *agreements, struct agreement **group)
{
    size_t count = 0;
    for (; count < X25519_BATCH_LANES && agreements->waiting.first != NULL; count++) {
        group[count] = take_first(&agreements->waiting);
    }
    return count;
}

static bool compute_group(struct agreements *agreements)
{
    struct agreement *group[X25519_BATCH_LANES];
    size_t count = take_group(agreements, group);
    if (count >= BATCH_LEAST) {
        agree_together(agreements, group, count);
    } else if (count > 0) {
        agree_alone(agreements, group[0]);
    }
    for (size_t i = 0; i < count; i++) {
        group[i]->is_over = true;
        enqueue(&agreements->ready, group[i]);
    }
    return count > 0;
}

/* A wake may resume jobs at once: its own and, by a stray call, others that are ready. */
static void wake_ready(struct agreements *agreements)
{
    for (struct agreement *next = take_first(&agreements->ready); next != NULL;
         next = take_first(&agreements->ready)) {
        parked_job_wake(&next->job);
    }
}

void agreements_flush(struct agreements *agreements)
{
    agreements->turns++;
    while (compute_group(agreements)) {
        wake_ready(agreements);
    }
}

void agreements_refill(struct agreements *agreements)
{
    share_pool_refill(&agreements->pool);
}

static bool is_over(const void *self)
{
    return ((const struct agreement *)self)->is_over;
}

/* For a job that was resumed before its wake. */
static void leave_queue(struct agreement *agreement)
{
    struct queue *queue = agreement->queue;
    if (queue == NULL) {
        return;
    }
    struct agreement **at = &queue->first;
    while (*at != agreement) {
        at = &(*at)->next;
    }
    take_out_at(queue, at);
}

bool agreements_agree(struct agreements *agreements, const struct x25519_share *share,
                      const uint8_t peer[X25519_BYTES], uint8_t secret[X25519_BYTES])
{
    struct agreement agreement = {.share = share, .peer = peer, .secret = secret};
    if (is_for_batches(peer) && parked_job_find(&agreement.job)) {
        enqueue(&agreements->waiting, &agreement);
        if (agreements->waiting.count == 1 && agreements->events.on_waiting != NULL) {
            agreements->events.on_waiting(agreements->events.self);
        }
        (void)!parked_job_wait(&agreements->turns, is_over, &agreement);
        leave_queue(&agreement);
    }
    if (!agreement.is_over) {
        agree_alone(agreements, &agreement);
    }
    return agreement.has_agreed;
}

/* ---- key shares ---- */

bool agreements_make_share(struct agreements *agreements, struct x25519_share *share)
{
    return share_pool_take(&agreements->pool, share) ||
           x25519_make_share(agreements->openssl, share);
}
