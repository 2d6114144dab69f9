/* tests/unit/support/turns.h
 *
 * Runs the real loop for a test: for a number of turns, or until something is true, never for ever.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#pragma once

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "proxy/net/loop.h"
#include "proxy/net/timer.h"

enum { TURNS_PATIENCE_MS = 10000, TURNS_TO_SETTLE = 24 };

struct turns {
    struct loop *loop;
    bool (*is_done)(void *self); /* looked at after each turn */
    void *self;
    int left; /* of turns that do not wait; 0: as many as is_done needs */
    bool is_late;
    struct deadline patience;
    struct loop_post post;
};

static inline void turns_nothing(void *self)
{
    (void)self;
}

static inline void turns_on_end(void *self)
{
    struct turns *turns = self;
    bool is_done = turns->is_done != NULL && turns->is_done(turns->self);
    if (turns->left > 0 && --turns->left == 0) {
        is_done = true;
    }
    if (turns->left > 0) {
        loop_post(turns->loop, &turns->post); /* so that the next turn does not wait */
    }
    if (is_done || turns->is_late) {
        loop_stop(turns->loop);
    }
}

static inline void turns_on_late(void *self)
{
    struct turns *turns = self;
    turns->is_late = true;
}

static inline void turns_init(struct turns *turns)
{
    *turns = (struct turns){.loop = loop_new()};
    assert_non_null(turns->loop);
    turns->post = (struct loop_post){.run = turns_nothing, .self = turns};
    loop_at_turn_end(turns->loop, turns_on_end, turns);
}

static inline void turns_fini(struct turns *turns)
{
    loop_free(turns->loop);
}

/* False: it did not come true in time. */
static inline bool turns_until_within(struct turns *turns, uint64_t limit_ms,
                                      bool (*is_done)(void *self), void *self)
{
    turns->is_late = false;
    turns->is_done = is_done;
    turns->self = self;
    turns->left = 0;
    if (is_done(self)) {
        return true;
    }
    deadline_arm(&turns->patience, turns->loop, limit_ms, turns_on_late, turns);
    loop_run(turns->loop);
    deadline_disarm(&turns->patience);
    turns->is_done = NULL;
    return !turns->is_late;
}

static inline void turns_until(struct turns *turns, bool (*is_done)(void *self), void *self)
{
    assert_true(turns_until_within(turns, TURNS_PATIENCE_MS, is_done, self));
}

/* Turns that do not wait: whatever can happen without the clock has happened afterwards. `each`
 * (may be NULL) runs after each one. */
static inline void turns_settle(struct turns *turns, bool (*each)(void *self), void *self)
{
    turns->is_done = each;
    turns->self = self;
    turns->left = TURNS_TO_SETTLE;
    loop_post(turns->loop, &turns->post);
    loop_run(turns->loop);
    turns->is_done = NULL;
    turns->left = 0;
}

/* Lets the clock run. */
static inline bool turns_never(void *self)
{
    (void)self;
    return false;
}

static inline void turns_pass(struct turns *turns, uint64_t after_ms)
{
    (void)turns_until_within(turns, after_ms, turns_never, NULL);
}
