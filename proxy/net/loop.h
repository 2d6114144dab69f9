/* proxy/net/loop.h
 *
 * The event loop of one process. A turn is: wait, run the events of ready descriptors, run what
 * was posted, flush what streams have gathered (one system call a stream), free what was closed.
 *
 * Two rules follow from it: nobody frees an object from inside that object's own callback (close
 * posts it to the reaper), and output that is written in one turn leaves in one write.
 *
 * Owner: the process's main.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "proxy/base/arena.h"
#include "proxy/base/list.h"
#include "proxy/base/status.h"

struct loop;
struct buffer_pool;
struct pool;
struct event_base;

struct loop *loop_new(void);
void loop_free(struct loop *loop);

/* Runs turns until loop_stop. */
void loop_run(struct loop *loop);
void loop_stop(struct loop *loop);

/* One turn that does not wait. Only outside of loop_run. */
void loop_turn(struct loop *loop);

/* Milliseconds and microseconds on the monotonic clock, read once a turn. */
uint64_t loop_now_ms(const struct loop *loop);
uint64_t loop_now_us(const struct loop *loop);

/* The pools that everything on this loop shares. */
struct arena_pool *loop_arena_pool(struct loop *loop);
struct buffer_pool *loop_buffer_pool(struct loop *loop);
struct pool *loop_small_pool(struct loop *loop);

/* Memory that anybody may write to and nobody may keep: for receiving into before it is known
 * where the bytes belong. */
char *loop_scratch(struct loop *loop, size_t *bytes);

/* ---- posts: a call made later in the same turn (or in the next one) ---- */

/* Embedded in its object; zero is valid. */
struct loop_post {
    struct list_link link;
    void (*run)(void *self);
    void *self;
};

/* Runs post->run once. Posting twice before it ran is one run. */
void loop_post(struct loop *loop, struct loop_post *post);
void loop_unpost(struct loop_post *post);

/* The same in the next turn, after the sockets had theirs: for whoever has had enough of this one.
 */
void loop_post_next_turn(struct loop *loop, struct loop_post *post);

/* The same, but after everything that was posted, just before the loop frees and waits: streams
 * flush there. */
void loop_post_flush(struct loop *loop, struct loop_post *post);

/* The same, at the very end of the turn: for freeing. */
void loop_post_reap(struct loop *loop, struct loop_post *post);

/* Counts objects that nobody owns any more but that still have something to say (streams
 * that linger with unsent bytes): a process that drains ends when there are none. */
void loop_hold(struct loop *loop);
void loop_unhold(struct loop *loop);
bool loop_is_held(const struct loop *loop);

/* Frees now what waits for the end of the turn. Only for whoever ends for good, outside of any
 * callback. */
void loop_reap(struct loop *loop);

/* Called at the end of each turn, for the log and the key client. At most four. */
void loop_at_turn_end(struct loop *loop, void (*run)(void *self), void *self);

/* ---- descriptors ---- */

enum watch_events { WATCH_READ = 1, WATCH_WRITE = 2, WATCH_CLOSED = 4 };

/* Edge-triggered: tells each change once. Embedded; private to loop.c but for its size. */
struct watch {
    struct loop *loop;
    void (*on_ready)(void *self, unsigned events);
    void *self;
    struct event *event;
};

/* Watches a descriptor from now on; it stays the caller's. */
MUST_CHECK enum status watch_open(struct watch *watch, struct loop *loop, int descriptor,
                                  unsigned events, void (*on_ready)(void *self, unsigned events),
                                  void *self);
/* The same, level-triggered: for descriptors that are not read until they are empty. */
MUST_CHECK enum status watch_open_level(struct watch *watch, struct loop *loop, int descriptor,
                                        unsigned events,
                                        void (*on_ready)(void *self, unsigned events), void *self);
void watch_close(struct watch *watch);

/* ---- signals ---- */

/* Calls on_signal(self, number) from the loop. */
MUST_CHECK enum status loop_on_signal(struct loop *loop, int number,
                                      void (*on_signal)(void *self, int number), void *self);

/* ---- for proxy/net/ alone ---- */
struct event_base *loop_event_base(struct loop *loop);
