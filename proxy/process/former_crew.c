/* proxy/process/former_crew.c · SPDX-License-Identifier: Apache-2.0 */
#include "proxy/process/former_crew.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "proxy/base/clock.h"
#include "proxy/net/timer.h"

enum {
    GRACE_MS = 2000, /* after the workers' own deadline */
    END_MS = 1000,
    POLL_MS = 5,
    READS_MAX = 16,
};

/* One of them, by the place that it has had in the handover. */
struct former_child {
    struct former_crew *crew;
    pid_t pid; /* 0: gone */
    struct watch watch;
};

struct former_crew {
    struct former_crew_place place;
    struct deadline deadline; /* the earliest of theirs */
    struct former_child *at;
    size_t count;
};

static uint64_t now_ms(void)
{
    return clock_monotonic_us() / 1000U;
}

static struct handover_child *find(const struct former_crew *crew, pid_t pid)
{
    struct handover *handover = crew->place.handover;
    for (size_t i = 0; i < handover->child_count; i++) {
        if (handover->children[i].pid == pid) {
            return &handover->children[i];
        }
    }
    return NULL;
}

static bool has_role(const struct handover_child *child, const char *role)
{
    return strncmp(child->role, role, strlen(role)) == 0;
}

static bool is_worker(const struct handover_child *child)
{
    return has_role(child, "worker");
}

/* ---- channels ---- */

static void close_channel(struct former_crew *crew, struct handover_child *child)
{
    for (size_t i = 0; i < crew->count; i++) {
        if (crew->at[i].pid == child->pid) {
            watch_close(&crew->at[i].watch);
        }
    }
    if (child->channel >= 0) {
        (void)close(child->channel);
        child->channel = -1;
    }
}

/* Descriptors that come with it are dropped by the kernel, since there is no room for them. */
static void on_channel(void *self, unsigned events)
{
    (void)events;
    struct former_child *former = self;
    struct handover_child *child = find(former->crew, former->pid);
    for (int i = 0; child != NULL && i < READS_MAX; i++) {
        char packet[CHANNEL_HEAD_BYTES];
        ssize_t len = recv(child->channel, packet, sizeof(packet), MSG_DONTWAIT);
        if (len < 0 && errno == EAGAIN) {
            return;
        }
        if (len == 0 || (len < 0 && errno != EINTR)) {
            close_channel(former->crew, child); /* its end follows */
            return;
        }
    }
}

static bool send_to(struct handover_child *child, const struct channel_message *message)
{
    return child->channel >= 0 && channel_send(child->channel, message) == STATUS_OK;
}

/* ---- time ---- */

static void arm(struct former_crew *crew);

static void on_deadline(void *self)
{
    struct former_crew *crew = self;
    struct handover *handover = crew->place.handover;
    for (size_t i = 0; i < handover->child_count; i++) {
        struct handover_child *child = &handover->children[i];
        if (child->gone_ms > 0 && child->gone_ms <= now_ms()) {
            LOG_EVENT(crew->place.log, LOG_WARN, "former_child_killed",
                      log_text("child", child->role), log_number("pid", child->pid),
                      log_text("reason", "it has not ended in time"));
            (void)kill(child->pid, SIGKILL);
            child->gone_ms = now_ms() + END_MS;
        }
    }
    arm(crew);
}

static void arm(struct former_crew *crew)
{
    const struct handover *handover = crew->place.handover;
    uint64_t next_ms = 0;
    for (size_t i = 0; i < handover->child_count; i++) {
        uint64_t gone_ms = handover->children[i].gone_ms;
        next_ms = gone_ms > 0 && (next_ms == 0 || gone_ms < next_ms) ? gone_ms : next_ms;
    }
    deadline_disarm(&crew->deadline);
    if (next_ms > 0) {
        uint64_t now = now_ms();
        deadline_arm(&crew->deadline, crew->place.loop, next_ms > now ? next_ms - now : 1,
                     on_deadline, crew);
    }
}

static void give_time(struct handover_child *child, uint64_t ms)
{
    uint64_t gone_ms = now_ms() + ms;
    if (child->gone_ms == 0 || child->gone_ms > gone_ms) {
        child->gone_ms = gone_ms;
    }
}

/* ---- their end ---- */

static void end_child(struct former_crew *crew, struct handover_child *child)
{
    close_channel(crew, child);
    give_time(child, END_MS);
}

static bool has_workers(const struct handover *handover, uint32_t number)
{
    for (size_t i = 0; i < handover->child_count; i++) {
        if (handover->children[i].crew == number && is_worker(&handover->children[i])) {
            return true;
        }
    }
    return false;
}

/* What workers still do may need it. */
static void end_keyholders(struct former_crew *crew)
{
    struct handover *handover = crew->place.handover;
    for (size_t i = 0; i < handover->child_count; i++) {
        struct handover_child *child = &handover->children[i];
        if (has_role(child, "keyholder") && !has_workers(handover, child->crew)) {
            end_child(crew, child);
        }
    }
    arm(crew);
}

static void tell_exit(const struct former_crew *crew, const struct handover_child *child,
                      int status)
{
    bool is_lost = child->gone_ms == 0;
    LOG_EVENT(crew->place.log, is_lost ? LOG_ERROR : LOG_INFO,
              is_lost ? "former_child_lost" : "former_child_gone", log_text("child", child->role),
              log_number("pid", child->pid),
              log_number(WIFSIGNALED(status) ? "signal" : "status",
                         WIFSIGNALED(status) ? WTERMSIG(status) : WEXITSTATUS(status)));
}

bool former_crew_on_exit(struct former_crew *crew, pid_t pid, int status)
{
    struct handover_child *child = crew == NULL ? NULL : find(crew, pid);
    if (child == NULL) {
        return false;
    }
    tell_exit(crew, child, status);
    close_channel(crew, child);
    for (size_t i = 0; i < crew->count; i++) {
        crew->at[i].pid = crew->at[i].pid == pid ? 0 : crew->at[i].pid;
    }
    handover_remove_child(crew->place.handover, pid);
    end_keyholders(crew);
    return true;
}

void former_crew_drain(struct former_crew *crew, uint64_t drain_ms, bool is_gentle)
{
    const struct channel_message message = {.kind = CHANNEL_DRAIN, .number = is_gentle ? 1 : 0};
    size_t count = crew == NULL ? 0 : crew->place.handover->child_count;
    for (size_t i = 0; i < count; i++) {
        struct handover_child *child = &crew->place.handover->children[i];
        if (!is_worker(child) || (child->gone_ms > 0 && is_gentle)) {
            continue; /* it drains already */
        }
        give_time(child, drain_ms + GRACE_MS);
        if (!send_to(child, &message)) {
            end_child(crew, child);
        }
    }
    if (crew != NULL) {
        end_keyholders(crew);
    }
}

void former_crew_end(struct former_crew *crew)
{
    for (size_t i = 0; crew != NULL && i < crew->place.handover->child_count; i++) {
        struct handover_child *child = &crew->place.handover->children[i];
        if (!has_role(child, "keyholder")) {
            end_child(crew, child);
        }
    }
    if (crew != NULL) {
        end_keyholders(crew);
    }
}

/* The first of these, or NULL. */
static struct handover_child *find_gossip(const struct former_crew *crew)
{
    const struct handover *handover = crew->place.handover;
    for (size_t i = 0; i < handover->child_count; i++) {
        if (has_role(&handover->children[i], "gossip")) {
            return &handover->children[i];
        }
    }
    return NULL;
}

void former_crew_end_gossip(struct former_crew *crew)
{
    for (size_t i = 0; crew != NULL && i < crew->place.handover->child_count; i++) {
        struct handover_child *child = &crew->place.handover->children[i];
        if (has_role(child, "gossip")) {
            end_child(crew, child);
        }
    }
    struct handover_child *child = crew == NULL ? NULL : find_gossip(crew);
    for (int waited = 0; child != NULL; child = find_gossip(crew)) {
        int status = 0;
        if (waitpid(child->pid, &status, WNOHANG) != 0) {
            (void)former_crew_on_exit(crew, child->pid, status);
            continue;
        }
        if (waited >= END_MS) {
            (void)kill(child->pid, SIGKILL);
        }
        waited += POLL_MS;
        (void)usleep(POLL_MS * 1000);
    }
}

void former_crew_tell_workers(struct former_crew *crew, const struct channel_message *message)
{
    for (size_t i = 0; crew != NULL && i < crew->place.handover->child_count; i++) {
        struct handover_child *child = &crew->place.handover->children[i];
        if (is_worker(child)) {
            (void)send_to(child, message);
        }
    }
}

/* ---- looking ---- */

bool former_crew_serves(const struct former_crew *crew)
{
    for (size_t i = 0; crew != NULL && i < crew->place.handover->child_count; i++) {
        const struct handover_child *child = &crew->place.handover->children[i];
        if (is_worker(child) && child->gone_ms == 0) {
            return true;
        }
    }
    return false;
}

size_t former_crew_count(const struct former_crew *crew)
{
    return crew == NULL ? 0 : crew->place.handover->child_count;
}

/* ---- life ---- */

static enum status watch_child(struct former_crew *crew, const struct handover_child *child)
{
    struct former_child *former = &crew->at[crew->count];
    *former = (struct former_child){.crew = crew, .pid = child->pid};
    crew->count++;
    if (child->channel < 0) {
        return STATUS_OK;
    }
    return watch_open_level(&former->watch, crew->place.loop, child->channel, WATCH_READ,
                            on_channel, former);
}

enum status former_crew_open(struct former_crew **out, const struct former_crew_place *place)
{
    struct former_crew *crew = calloc(1, sizeof(*crew));
    size_t count = place->handover->child_count;
    *out = NULL;
    if (crew == NULL) {
        return STATUS_NOMEM;
    }
    crew->place = *place;
    crew->at = calloc(count + 1, sizeof(*crew->at));
    enum status status = crew->at == NULL ? STATUS_NOMEM : STATUS_OK;
    for (size_t i = 0; i < count && status == STATUS_OK; i++) {
        status = watch_child(crew, &place->handover->children[i]);
    }
    if (status != STATUS_OK) {
        former_crew_close(crew);
        return status;
    }
    end_keyholders(crew);
    *out = crew;
    return STATUS_OK;
}

void former_crew_close(struct former_crew *crew)
{
    if (crew == NULL) {
        return;
    }
    deadline_disarm(&crew->deadline);
    for (size_t i = 0; i < crew->count; i++) {
        watch_close(&crew->at[i].watch);
    }
    free(crew->at);
    free(crew);
}
