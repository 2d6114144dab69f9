/* proxy/process/master_children.c · SPDX-License-Identifier: Apache-2.0 */
#include "proxy/process/master_children.h"

#include <signal.h>
#include <stdio.h>
#include <sys/wait.h>
#include <unistd.h>

#include "proxy/process/generation_number.h"
#include "proxy/process/reload.h"
#include "proxy/process/roster_keyholders.h"
#include "proxy/process/roster_reload.h"

enum { SENTENCE_BYTES = CHANNEL_PAYLOAD_MAX + 4096 + 1024 };

static struct log *log_of(const struct master *master)
{
    return master->foundation.log;
}

/* ---- what they say ---- */

static bool is_worker(const struct master *master, const struct child *child)
{
    return !roster_is_keyholder(&master->roster, child) && !sidecars_own(master->sidecars, child);
}

/* A keyholder's failures are about a certificate, whose place the operator needs. */
static void format_failure(const struct master *master, const struct child *child,
                           const struct channel_message *message, char *sentence)
{
    const struct config *config = reload_config_of(master, message->number);
    uint32_t index = generation_failed_certificate(message->number);
    if (!roster_is_keyholder(&master->roster, child) || index == GENERATION_NO_CERTIFICATE ||
        index >= config->certificate_count) {
        (void)snprintf(sentence, SENTENCE_BYTES, "%.*s", SLICE_FORMAT(message->payload));
        return;
    }
    const struct config_certificate *certificate = &config->certificates[index];
    const struct place *place = &certificate->key.place;
    (void)snprintf(sentence, SENTENCE_BYTES, "%s:%u:%u: certificate %s: %.*s",
                   place->file == NULL ? config->file : place->file, place->line, place->column,
                   certificate->name, SLICE_FORMAT(message->payload));
}

static void on_failed(struct master *master, const struct child *child,
                      const struct channel_message *message)
{
    char sentence[SENTENCE_BYTES];
    format_failure(master, child, message, sentence);
    LOG_EVENT(log_of(master), LOG_ERROR, "child_failed", log_text("child", child->role),
              log_text("reason", sentence));
    if (master->state == MASTER_STARTING) {
        master_fail_start(master, sentence);
        return;
    }
    reload_on_failed(master, message->number, sentence);
}

/* Once, not for each child: they all run on the same kernel. */
static void note_sandbox(struct master *master, const struct child *child)
{
    const char *missing = sandbox_missing(child->sandbox);
    if (missing == NULL || missing == master->sandbox_told) {
        return;
    }
    master->sandbox_told = missing;
    LOG_EVENT(log_of(master), LOG_WARN, "sandbox_missing", log_text("child", child->role),
              log_text("missing", missing),
              log_text("effect", "a child that is taken over can do more"));
}

/* Once: they all have the same limit. */
static void note_memory(struct master *master, const struct child *keyholder)
{
    if (keyholder->is_locked || master->is_unlocked_told) {
        return;
    }
    master->is_unlocked_told = true;
    LOG_EVENT(log_of(master), LOG_WARN, "memory_unlocked", log_text("child", keyholder->role),
              log_text("effect", "private keys may be written to swap; raise the limit of locked "
                                 "memory (LimitMEMLOCK, ulimit -l)"));
}

static void on_refused(struct master *master, const struct child *keyholder,
                       const struct channel_message *message)
{
    char sentence[SENTENCE_BYTES];
    (void)snprintf(sentence, sizeof(sentence), "%.*s", SLICE_FORMAT(message->payload));
    LOG_EVENT(log_of(master), LOG_ERROR, "keys_refused", log_text("child", keyholder->role),
              log_number("worker", (int64_t)message->number + 1), log_text("reason", sentence));
    if (master->state == MASTER_STARTING) {
        master_fail_start(master, sentence);
    }
}

static void on_keyholder_message(struct master *master, const struct child *keyholder,
                                 const struct channel_message *message)
{
    if (message->kind == CHANNEL_READY) {
        note_memory(master, keyholder);
    } else if (message->kind == CHANNEL_REFUSED) {
        on_refused(master, keyholder, message);
    }
}

static void on_message(void *self, struct child *child, const struct channel_message *message)
{
    struct master *master = self;
    for (size_t i = 0; i < message->descriptor_count; i++) {
        (void)close(message->descriptors[i]);
    }
    if (roster_is_keyholder(&master->roster, child)) {
        on_keyholder_message(master, child, message);
    }
    if (message->kind == CHANNEL_READY) {
        note_sandbox(master, child);
        if (is_worker(master, child)) {
            staples_give(master->staples, child);
        }
        master_note_ready(master);
    } else if (message->kind == CHANNEL_FAILED) {
        on_failed(master, child, message);
    } else if (message->kind == CHANNEL_NEED_KEYS && is_worker(master, child)) {
        roster_renew_keys(&master->roster, child, message->number);
    } else if (message->kind == CHANNEL_PREPARED) {
        reload_on_prepared(master, child, message->number);
    } else if (message->kind == CHANNEL_RELEASED && is_worker(master, child)) {
        roster_note_released(&master->roster, child, message->number);
    }
}

static void on_garbage(void *self, struct child *child)
{
    struct master *master = self;
    LOG_EVENT(log_of(master), LOG_ERROR, "child_garbage", log_text("child", child->role),
              log_text("effect", "it was killed"));
}

/* ---- their end ---- */

static void on_lost(struct master *master, struct child *child, pid_t pid, int status)
{
    const char *how = WIFSIGNALED(status) ? "signal" : "status";
    int number = WIFSIGNALED(status) ? WTERMSIG(status) : WEXITSTATUS(status);
    LOG_EVENT(log_of(master), LOG_ERROR, "child_lost", log_text("child", child->role),
              log_number("pid", pid), log_number(how, number));
    if (master->state == MASTER_STARTING) {
        char sentence[SENTENCE_BYTES];
        (void)snprintf(sentence, sizeof(sentence), "%s ended during the start (%s %d)", child->role,
                       how, number);
        master_fail_start(master, sentence);
        return;
    }
    reload_on_lost(master, child);
    if (is_worker(master, child)) {
        slots_clear_open(master->foundation.slots, child->index);
        roster_note_lost(&master->roster, child);
    }
    (void)child_respawn_later(child);
}

/* The kernel has ended it in the middle of a call that its sandbox does not have. Which one, only
 * the kernel's own log knows. */
static void note_forbidden_call(struct master *master, const char *role, pid_t pid, int status)
{
    if (WIFSIGNALED(status) && WTERMSIG(status) == SIGSYS) {
        LOG_EVENT(log_of(master), LOG_ERROR, "child_forbidden_call", log_text("child", role),
                  log_number("pid", pid), log_text("effect", "the kernel has killed it"));
    }
}

/* A drained worker that ends is no loss; the others stay wanted until the workers are gone. */
static bool is_expected(const struct master *master, const struct child *child)
{
    return child->state == CHILD_ENDING || master->state == MASTER_STOPPING ||
           (master->state == MASTER_DRAINING && is_worker(master, child));
}

static void note_other_exit(struct master *master, pid_t pid, int status)
{
    if (upgrade_on_exit(&master->upgrade, pid, status)) {
        return;
    }
    if (former_crew_on_exit(master->crew, pid, status)) {
        note_forbidden_call(master, "former", pid, status);
        return;
    }
    if (staples_on_exit(master->staples, pid)) {
        note_forbidden_call(master, "fetcher", pid, status);
    }
}

/* As the first process of a container we also inherit, and so have to wait for, strangers. */
void master_reap(struct master *master)
{
    int status = 0;
    for (pid_t pid = waitpid(-1, &status, WNOHANG); pid > 0; pid = waitpid(-1, &status, WNOHANG)) {
        struct child *child = roster_find(&master->roster, pid);
        child = child == NULL ? sidecars_find(master->sidecars, pid) : child;
        if (child == NULL) {
            note_other_exit(master, pid, status);
            continue;
        }
        note_forbidden_call(master, child->role, pid, status);
        bool was_expected = is_expected(master, child);
        child_on_exit(child);
        if (!was_expected) {
            on_lost(master, child, pid, status);
        } else {
            sidecars_note_exit(master->sidecars, child);
        }
    }
    master_end_if_over(master);
}

struct child_events master_child_events(struct master *master)
{
    return (struct child_events){
        .on_message = on_message, .on_garbage = on_garbage, .self = master};
}
