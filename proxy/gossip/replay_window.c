/* proxy/gossip/replay_window.c · SPDX-License-Identifier: Apache-2.0 */
#include "proxy/gossip/replay_window.h"

#include <stdlib.h>
#include <string.h>

/* Of the nonce, its end: senders that count do it there. */
enum { NONCE_SKIPPED_BYTES = 4 };

enum status replay_window_init(struct replay_window *window, uint64_t nonces)
{
    *window = (struct replay_window){0};
    if (nonces == 0) {
        return STATUS_OK;
    }
    if (nonces > REPLAY_WINDOW_NONCES_MAX) {
        return STATUS_REFUSED;
    }
    window->nonces = (size_t)nonces;
    window->bits = 1;
    /* At most three quarters full: the way to a free place stays short. */
    while (((size_t)1 << window->bits) * 3 < window->nonces * 4) {
        window->bits++;
    }
    window->slots = (size_t)1 << window->bits;
    window->newer = calloc(window->slots, sizeof(uint64_t));
    window->older = calloc(window->slots, sizeof(uint64_t));
    if (window->newer == NULL || window->older == NULL) {
        replay_window_fini(window);
        return STATUS_NOMEM;
    }
    return STATUS_OK;
}

void replay_window_fini(struct replay_window *window)
{
    free(window->newer);
    free(window->older);
    *window = (struct replay_window){0};
}

static uint64_t value_of(const uint8_t *nonce)
{
    uint64_t value;
    memcpy(&value, nonce + NONCE_SKIPPED_BYTES, sizeof(value));
    return value != 0 ? value : 1; /* 0 is a free place */
}

/* Multiplied, so that a sender that counts instead of drawing does not fill one row. */
static size_t first_place(const struct replay_window *window, uint64_t value)
{
    return (size_t)(value * 0x9e3779b97f4a7c15U >> (64U - window->bits));
}

/* The place of that value, or the free one where it would be. */
static uint64_t *find(const struct replay_window *window, uint64_t *table, uint64_t value)
{
    size_t at = first_place(window, value);
    while (table[at] != 0 && table[at] != value) {
        at = (at + 1) & (window->slots - 1);
    }
    return &table[at];
}

static void begin_generation(struct replay_window *window)
{
    uint64_t *oldest = window->older;
    window->older = window->newer;
    window->newer = oldest;
    window->count = 0;
    memset(oldest, 0, window->slots * sizeof(*oldest));
}

static void put(struct replay_window *window, uint64_t *place, uint64_t value)
{
    *place = value;
    window->count++;
    if (window->count == window->nonces) {
        begin_generation(window);
    }
}

/* By now its place has been fetched. */
static void settle(struct replay_window *window)
{
    uint64_t value = window->ours;
    window->ours = 0;
    if (value != 0) {
        uint64_t *place = find(window, window->newer, value);
        if (*place != value) {
            put(window, place, value);
        }
    }
}

bool replay_window_add(struct replay_window *window, const uint8_t *nonce)
{
    if (window->slots == 0) {
        return true;
    }
    settle(window);
    uint64_t value = value_of(nonce);
    uint64_t *place = find(window, window->newer, value);
    if (*place == value || *find(window, window->older, value) == value) {
        return false;
    }
    put(window, place, value);
    return true;
}

void replay_window_expect(const struct replay_window *window, const uint8_t *nonce)
{
    if (window->slots > 0) {
        size_t at = first_place(window, value_of(nonce));
        __builtin_prefetch(&window->newer[at], 1);
        __builtin_prefetch(&window->older[at], 0);
    }
}

void replay_window_remember(struct replay_window *window, const uint8_t *nonce)
{
    if (window->slots == 0) {
        return;
    }
    settle(window);
    window->ours = value_of(nonce);
    __builtin_prefetch(&window->newer[first_place(window, window->ours)], 1);
}
