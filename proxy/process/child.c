/* proxy/process/child.c · SPDX-License-Identifier: Apache-2.0 */
#include "proxy/process/child.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "proxy/base/clock.h"
#include "proxy/process/role.h"

enum {
    STEADY_MS = 1000,     /* who was ready and lived that long did not fail at the start */
    FIRST_DELAY_MS = 100, /* after the second failure in a row, then doubled */
    LAST_DELAY_MS = 5000,
    DOUBLINGS_MAX = 6,
    MESSAGES_PER_TURN = 16,
    READS_WITHIN_MS = 1000, /* a child with a full channel */
};

void child_init(struct child *child, struct loop *loop, const char *role, size_t index,
                const struct child_events *events)
{
    *child = (struct child){.index = index,
                            .state = CHILD_DOWN,
                            .pid = -1,
                            .channel = -1,
                            .loop = loop,
                            .events = *events};
    (void)snprintf(child->role, sizeof(child->role), "%s", role);
    (void)snprintf(child->title, sizeof(child->title), ROLE_PREFIX "%s", role);
}

void child_renumber(struct child *child, const char *role, size_t index)
{
    child->index = index;
    (void)snprintf(child->role, sizeof(child->role), "%.12s %zu", role, index + 1);
    (void)snprintf(child->title, sizeof(child->title), ROLE_PREFIX "%s", child->role);
}

static void close_channel(struct child *child)
{
    if (child->channel >= 0) {
        watch_close(&child->watch);
        (void)close(child->channel);
        child->channel = -1;
    }
}

/* One message. False: there are no more for now, or for good. */
static bool read_message(struct child *child)
{
    struct channel_message message;
    uint8_t packet[CHANNEL_PACKET_MAX];
    enum status status = channel_receive(child->channel, CHANNEL_CHILD, packet, &message);
    if (status == STATUS_OK) {
        if (message.kind == CHANNEL_READY && child->state == CHILD_STARTING) {
            child->state = CHILD_READY;
            child->sandbox = sandbox_from_number(message.number & CHILD_SANDBOX_MASK);
            child->is_locked = (message.number & CHILD_LOCKED) != 0;
            child->batch_lanes = message.number >> CHILD_LANES_SHIFT;
        }
        child->events.on_message(child->events.self, child, &message);
        return true;
    }
    if (status == STATUS_PEER) {
        child_kill(child);
        child->events.on_garbage(child->events.self, child);
    }
    if (status != STATUS_AGAIN) {
        close_channel(child); /* its exit status follows */
    }
    return false;
}

/* A few at a time, so that a child that talks all the time does not hold up the others. */
static void on_channel(void *self, unsigned events)
{
    (void)events;
    struct child *child = self;
    for (int i = 0; i < MESSAGES_PER_TURN && child->channel >= 0; i++) {
        if (!read_message(child)) {
            return;
        }
    }
}

enum status child_start(struct child *child, struct spawn_order *order)
{
    int child_end = -1;
    if (channel_pair(&child->channel, &child_end) != STATUS_OK) {
        child->channel = -1;
        return STATUS_SYS;
    }
    if (!order->sends_files) {
        (void)channel_refuse_descriptors(child->channel);
    }
    order->title = child->title;
    order->channel = child_end;
    enum status status =
        watch_open_level(&child->watch, child->loop, child->channel, WATCH_READ, on_channel, child);
    if (status != STATUS_OK) {
        (void)close(child->channel);
        (void)close(child_end);
        child->channel = -1;
        return status;
    }
    status = spawn(order, &child->pid);
    (void)close(child_end);
    if (status != STATUS_OK) {
        child->pid = -1;
        close_channel(child);
        return status;
    }
    child->state = CHILD_STARTING;
    child->keys_given = 0;
    child->sandbox = (struct sandbox_facts){.has_seccomp = false};
    child->asked = 0;
    child->prepared = 0;
    child->started_ms = loop_now_ms(child->loop);
    return STATUS_OK;
}

/* A few hundred messages fill a channel, and one start may send as many (a staple each): a child
 * that is at work on them is waited for. The master has nothing to do that could not wait too. */
static bool has_room(int channel, uint64_t deadline_ms)
{
    struct pollfd room = {.fd = channel, .events = POLLOUT};
    uint64_t now_ms = clock_monotonic_us() / 1000U;
    return now_ms < deadline_ms && poll(&room, 1, (int)(deadline_ms - now_ms)) != 0;
}

bool child_send(struct child *child, const struct channel_message *message)
{
    if (child->channel < 0) {
        return false;
    }
    uint64_t deadline_ms = clock_monotonic_us() / 1000U + READS_WITHIN_MS;
    enum status status = channel_send(child->channel, message);
    while (status == STATUS_AGAIN && has_room(child->channel, deadline_ms)) {
        status = channel_send(child->channel, message);
    }
    if (status == STATUS_AGAIN) {
        child_kill(child);
    }
    return status == STATUS_OK;
}

static bool has_run_for(const struct child *child, uint64_t ms)
{
    return child->state == CHILD_READY && loop_now_ms(child->loop) - child->started_ms >= ms;
}

void child_on_exit(struct child *child)
{
    child->pid = -1;
    deadline_disarm(&child->keys_due);
    on_channel(child, WATCH_READ); /* its last words */
    close_channel(child);
    child->failures = has_run_for(child, STEADY_MS) ? 1 : child->failures + 1;
    child->short_lives = has_run_for(child, CHILD_SETTLED_MS) ? 0 : child->short_lives + 1;
    child->state = CHILD_DOWN;
}

static void on_respawn(void *self)
{
    struct child *child = self;
    struct log *log = child->events.log;
    child->restarts++;
    if (child->events.on_respawn(child->events.respawn_self, child) == STATUS_OK) {
        LOG_EVENT(log, LOG_INFO, "child_started", log_text("child", child->role),
                  log_number("pid", child->pid));
        return;
    }
    LOG_EVENT(log, LOG_ERROR, "child_not_started", log_text("child", child->role),
              log_text("reason", strerror(errno)));
    child->short_lives++;
    child->failures += 2; /* at least one: the next attempt must wait */
    (void)child_respawn_later(child);
}

uint64_t child_respawn_later(struct child *child)
{
    child->delay_ms = 0;
    if (child->failures <= 1) {
        on_respawn(child);
        return 0;
    }
    unsigned doublings = child->failures - 2 > DOUBLINGS_MAX ? DOUBLINGS_MAX : child->failures - 2;
    uint64_t delay_ms = (uint64_t)FIRST_DELAY_MS << doublings;
    delay_ms = delay_ms > LAST_DELAY_MS ? LAST_DELAY_MS : delay_ms;
    child->delay_ms = delay_ms;
    LOG_EVENT(child->events.log, LOG_WARN, "child_delayed", log_text("child", child->role),
              log_number("delay_ms", (int64_t)delay_ms), log_number("failures", child->failures));
    deadline_arm(&child->respawn, child->loop, delay_ms, on_respawn, child);
    return delay_ms;
}

void child_end(struct child *child)
{
    deadline_disarm(&child->respawn);
    deadline_disarm(&child->keys_due);
    close_channel(child);
    if (child->pid > 0) {
        child->state = CHILD_ENDING;
    }
}

void child_kill(struct child *child)
{
    if (child->pid > 0) {
        (void)kill(child->pid, SIGKILL);
    }
}

bool child_is_down(const struct child *child)
{
    return child->pid < 0;
}

bool child_keeps_failing(const struct child *child)
{
    return child->short_lives >= CHILD_SHORT_LIVES && !has_run_for(child, CHILD_SETTLED_MS);
}
