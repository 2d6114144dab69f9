/* proxy/net/loop.c · SPDX-License-Identifier: Apache-2.0 */
#include "proxy/net/loop.h"

#include <event2/event.h>
#include <stdlib.h>

#include "proxy/base/assert.h"
#include "proxy/base/clock.h"
#include "proxy/base/pool.h"
#include "proxy/net/buffer.h"
#include "proxy/net/timer_lists.h"

enum { TURN_END_CALLS_MAX = 4, SIGNALS_MAX = 8 };

struct turn_end_call {
    void (*run)(void *self);
    void *self;
};

struct signal_watch {
    struct loop *loop;
    struct event *event;
    void (*on_signal)(void *self, int number);
    void *self;
};

struct loop {
    struct event_base *base;
    bool is_stopping;
    size_t holds;
    bool is_now_old; /* waiting since now_us was read */
    uint64_t now_us;
    struct list posts;
    struct list next_posts; /* of the next turn */
    struct list flushes;
    struct list reaps;
    struct turn_end_call turn_end[TURN_END_CALLS_MAX];
    size_t turn_end_count;
    struct signal_watch signals[SIGNALS_MAX];
    size_t signal_count;
    struct timer_lists timers;
    struct event *tick;
    struct arena_pool arena_pool;
    struct pool small_pool;
    struct buffer_pool *buffer_pool;
    char *scratch;
};

/* The first call after waiting reads the clock: what it arms must count from now, not from when the
 * wait began. */
static void wake(struct loop *loop)
{
    if (loop->is_now_old) {
        loop->is_now_old = false;
        loop->now_us = clock_monotonic_us();
    }
}

static void on_tick(evutil_socket_t descriptor, short events, void *self)
{
    (void)descriptor;
    (void)events;
    struct loop *loop = self;
    wake(loop);
    timer_lists_fire(&loop->timers, loop_now_ms(loop));
}

struct loop *loop_new(void)
{
    struct loop *loop = calloc(1, sizeof(*loop));
    if (loop == NULL) {
        return NULL;
    }
    list_init(&loop->posts);
    list_init(&loop->next_posts);
    list_init(&loop->flushes);
    list_init(&loop->reaps);
    timer_lists_init(&loop->timers);
    loop->now_us = clock_monotonic_us();
    loop->base = event_base_new();
    loop->buffer_pool = buffer_pool_new();
    loop->scratch = malloc(BUFFER_LARGE_BYTES);
    if (loop->base != NULL) {
        loop->tick = event_new(loop->base, -1, 0, on_tick, loop);
    }
    if (loop->base == NULL || loop->buffer_pool == NULL || loop->scratch == NULL ||
        loop->tick == NULL) {
        loop_free(loop);
        return NULL;
    }
    return loop;
}

static void move_all(struct list *from, struct list *to)
{
    for (struct list_link *link = list_take_first(from); link != NULL;
         link = list_take_first(from)) {
        list_append(to, link);
    }
}

static void run_list(struct list *list)
{
    /* Only what stands in the list now: what is posted meanwhile waits for the next round. */
    struct list batch;
    list_init(&batch);
    move_all(list, &batch);
    for (struct list_link *link = list_take_first(&batch); link != NULL;
         link = list_take_first(&batch)) {
        struct loop_post *post = LIST_OBJECT(link, struct loop_post, link);
        post->run(post->self);
    }
}

void loop_free(struct loop *loop)
{
    if (loop == NULL) {
        return;
    }
    /* What nobody owns any more (a stream that lingers) ends now instead of at its deadline. */
    timer_lists_fire(&loop->timers, UINT64_MAX);
    run_list(&loop->reaps);
    for (size_t i = 0; i < loop->signal_count; i++) {
        event_free(loop->signals[i].event);
    }
    if (loop->tick != NULL) {
        event_free(loop->tick);
    }
    if (loop->base != NULL) {
        event_base_free(loop->base);
    }
    arena_pool_fini(&loop->arena_pool);
    pool_fini(&loop->small_pool);
    buffer_pool_free(loop->buffer_pool);
    free(loop->scratch);
    free(loop);
}

static void arm_tick(struct loop *loop)
{
    if (timer_lists_are_empty(&loop->timers) || evtimer_pending(loop->tick, NULL)) {
        return;
    }
    const struct timeval after = {.tv_sec = 0, .tv_usec = TIMER_TICK_MS * 1000};
    (void)evtimer_add(loop->tick, &after);
}

static void run_turn(struct loop *loop, bool may_wait)
{
    enum { POST_ROUNDS_MAX = 16 };
    bool has_posts = !may_wait || !list_is_empty(&loop->posts) || !list_is_empty(&loop->flushes) ||
                     !list_is_empty(&loop->next_posts);
    /* What is put off from here on is for the turn after this one. */
    struct list due;
    list_init(&due);
    move_all(&loop->next_posts, &due);
    arm_tick(loop);
    loop->is_now_old = true;
    /* Without EVLOOP_ONCE it would stay for as long as descriptors are ready. */
    (void)event_base_loop(loop->base, EVLOOP_ONCE | (has_posts ? EVLOOP_NONBLOCK : 0));
    loop->is_now_old = true;
    wake(loop);
    move_all(&due, &loop->posts);
    /* Flushing can make an end that others wait for, and they post again; what does not settle in
     * a few rounds goes on in the next turn, after the sockets had theirs. */
    for (int round = 0; round < POST_ROUNDS_MAX; round++) {
        if (list_is_empty(&loop->posts) && list_is_empty(&loop->flushes)) {
            break;
        }
        run_list(&loop->posts);
        run_list(&loop->flushes);
    }
    for (size_t i = 0; i < loop->turn_end_count; i++) {
        loop->turn_end[i].run(loop->turn_end[i].self);
    }
    run_list(&loop->reaps);
}

void loop_run(struct loop *loop)
{
    loop->is_stopping = false;
    while (!loop->is_stopping) {
        run_turn(loop, true);
    }
}

void loop_turn(struct loop *loop)
{
    run_turn(loop, false);
}

void loop_stop(struct loop *loop)
{
    loop->is_stopping = true;
}

uint64_t loop_now_ms(const struct loop *loop)
{
    return loop->now_us / 1000;
}

uint64_t loop_now_us(const struct loop *loop)
{
    return loop->now_us;
}

struct arena_pool *loop_arena_pool(struct loop *loop)
{
    return &loop->arena_pool;
}

struct buffer_pool *loop_buffer_pool(struct loop *loop)
{
    return loop->buffer_pool;
}

struct pool *loop_small_pool(struct loop *loop)
{
    return &loop->small_pool;
}

char *loop_scratch(struct loop *loop, size_t *bytes)
{
    *bytes = BUFFER_LARGE_BYTES;
    return loop->scratch;
}

static void post_into(struct list *list, struct loop_post *post)
{
    if (!list_has(&post->link)) {
        list_append(list, &post->link);
    }
}

void loop_post(struct loop *loop, struct loop_post *post)
{
    post_into(&loop->posts, post);
}

void loop_post_next_turn(struct loop *loop, struct loop_post *post)
{
    post_into(&loop->next_posts, post);
}

void loop_unpost(struct loop_post *post)
{
    list_remove(&post->link);
}

void loop_post_flush(struct loop *loop, struct loop_post *post)
{
    post_into(&loop->flushes, post);
}

void loop_post_reap(struct loop *loop, struct loop_post *post)
{
    post_into(&loop->reaps, post);
}

void loop_hold(struct loop *loop)
{
    loop->holds++;
}

void loop_unhold(struct loop *loop)
{
    loop->holds--;
}

bool loop_is_held(const struct loop *loop)
{
    return loop->holds > 0;
}

void loop_reap(struct loop *loop)
{
    run_list(&loop->reaps);
}

void loop_at_turn_end(struct loop *loop, void (*run)(void *self), void *self)
{
    assert_always(loop->turn_end_count < TURN_END_CALLS_MAX);
    loop->turn_end[loop->turn_end_count++] = (struct turn_end_call){run, self};
}

static void on_descriptor(evutil_socket_t descriptor, short events, void *self)
{
    (void)descriptor;
    struct watch *watch = self;
    wake(watch->loop);
    unsigned seen = 0;
    seen |= (events & EV_READ) != 0 ? WATCH_READ : 0U;
    seen |= (events & EV_WRITE) != 0 ? WATCH_WRITE : 0U;
    seen |= (events & EV_CLOSED) != 0 ? WATCH_CLOSED : 0U;
    watch->on_ready(watch->self, seen);
}

static enum status open_watch(struct watch *watch, struct loop *loop, int descriptor, short mode,
                              unsigned events, void (*on_ready)(void *self, unsigned events),
                              void *self)
{
    short wanted = mode;
    wanted = (short)(wanted | ((events & WATCH_READ) != 0 ? EV_READ : 0));
    wanted = (short)(wanted | ((events & WATCH_WRITE) != 0 ? EV_WRITE : 0));
    wanted = (short)(wanted | ((events & WATCH_CLOSED) != 0 ? EV_CLOSED : 0));
    *watch = (struct watch){.loop = loop, .on_ready = on_ready, .self = self};
    watch->event = event_new(loop->base, descriptor, wanted, on_descriptor, watch);
    if (watch->event == NULL) {
        return STATUS_NOMEM;
    }
    if (event_add(watch->event, NULL) != 0) {
        event_free(watch->event);
        watch->event = NULL;
        return STATUS_SYS;
    }
    return STATUS_OK;
}

enum status watch_open(struct watch *watch, struct loop *loop, int descriptor, unsigned events,
                       void (*on_ready)(void *self, unsigned events), void *self)
{
    return open_watch(watch, loop, descriptor, EV_PERSIST | EV_ET, events, on_ready, self);
}

enum status watch_open_level(struct watch *watch, struct loop *loop, int descriptor,
                             unsigned events, void (*on_ready)(void *self, unsigned events),
                             void *self)
{
    return open_watch(watch, loop, descriptor, EV_PERSIST, events, on_ready, self);
}

void watch_close(struct watch *watch)
{
    if (watch->event != NULL) {
        event_free(watch->event);
        watch->event = NULL;
    }
}

static void on_signal_event(evutil_socket_t number, short events, void *self)
{
    (void)events;
    struct signal_watch *watch = self;
    wake(watch->loop);
    watch->on_signal(watch->self, (int)number);
}

enum status loop_on_signal(struct loop *loop, int number, void (*on_signal)(void *self, int number),
                           void *self)
{
    if (loop->signal_count == SIGNALS_MAX) {
        return STATUS_REFUSED;
    }
    struct signal_watch *watch = &loop->signals[loop->signal_count];
    *watch = (struct signal_watch){.loop = loop, .on_signal = on_signal, .self = self};
    watch->event = evsignal_new(loop->base, number, on_signal_event, watch);
    if (watch->event == NULL || evsignal_add(watch->event, NULL) != 0) {
        return STATUS_NOMEM;
    }
    loop->signal_count++;
    return STATUS_OK;
}

struct event_base *loop_event_base(struct loop *loop)
{
    return loop->base;
}

void deadline_arm(struct deadline *deadline, struct loop *loop, uint64_t after_ms,
                  void (*on_deadline)(void *self), void *self)
{
    deadline_disarm(deadline);
    if (after_ms == 0) {
        return;
    }
    deadline->on_deadline = on_deadline;
    deadline->self = self;
    deadline->at_ms = loop_now_ms(loop) + after_ms;
    timer_lists_add(&loop->timers, deadline, after_ms);
}
