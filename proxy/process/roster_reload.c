/* proxy/process/roster_reload.c · SPDX-License-Identifier: Apache-2.0 */
#include "proxy/process/roster_reload.h"

#include "proxy/process/roster_keyholders.h"
#include "proxy/process/staples.h"

static void send_number(struct child *child, enum channel_kind kind, uint32_t number)
{
    (void)child_send(child, &(struct channel_message){.kind = kind, .number = number});
}

static bool is_running(const struct child *child)
{
    return child->channel >= 0 && (child->state == CHILD_STARTING || child->state == CHILD_READY);
}

/* ---- preparing ---- */

static void ask(struct child *child, uint32_t number)
{
    child->asked = number;
    child->prepared = 0;
    send_number(child, CHANNEL_PREPARE, number);
}

bool roster_prepare_keys(struct roster *roster, const struct live_generation *next)
{
    roster->next = next;
    for (size_t i = 0; i < roster->keyholder_count; i++) {
        if (!is_running(&roster->keyholders[i])) {
            return false;
        }
    }
    for (size_t i = 0; i < roster->keyholder_count; i++) {
        roster_send_keys(&roster->keyholders[i], next);
        ask(&roster->keyholders[i], next->number);
    }
    return true;
}

void roster_prepare_workers(struct roster *roster, struct live_generation *next,
                            const struct config *config, const struct listen_sockets *sockets,
                            struct staples *staples)
{
    for (size_t i = 0; i < roster->worker_count; i++) {
        struct child *worker = &roster->workers[i];
        if (!is_running(worker)) {
            continue;
        }
        live_generation_use(next, worker->index);
        roster_send_bundle(worker, next, config);
        roster_send_listeners(worker, sockets);
        ask(worker, next->number);
        staples_give(staples, worker);
    }
}

void roster_note_prepared(struct roster *roster, struct child *child, uint32_t number)
{
    (void)roster;
    if (child->asked == number) {
        child->prepared = number;
    }
}

static bool have_answered(const struct child *children, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        if (children[i].asked != children[i].prepared) {
            return false;
        }
    }
    return true;
}

bool roster_is_prepared(const struct roster *roster)
{
    return have_answered(roster->workers, roster->worker_count) &&
           have_answered(roster->keyholders, roster->keyholder_count);
}

/* ---- deciding ---- */

static void forget_question(struct child *child)
{
    child->asked = 0;
    child->prepared = 0;
}

/* A worker that was started meanwhile has the former one: its successor gets the new one. */
static void commit_worker(struct child *worker, const struct live_generation *next)
{
    if (worker->asked == next->number) {
        send_number(worker, CHANNEL_COMMIT, next->number);
    } else {
        child_kill(worker);
    }
    forget_question(worker);
}

static void release_if_unused(struct roster *roster, struct live_generation *generation)
{
    if (generation->is_former && generation->user_count == 0) {
        for (size_t i = 0; i < roster->keyholder_count; i++) {
            send_number(&roster->keyholders[i], CHANNEL_RELEASE, generation->number);
        }
        live_generation_free(generation);
    }
}

void roster_commit(struct roster *roster, struct live_generation *next, const struct config *config,
                   const struct listen_sockets *sockets)
{
    struct live_generation *former = roster->present;
    for (size_t i = 0; i < roster->worker_count; i++) {
        commit_worker(&roster->workers[i], next);
    }
    for (size_t i = 0; i < roster->keyholder_count; i++) {
        forget_question(&roster->keyholders[i]);
    }
    list_append(&roster->generations, &next->link);
    roster->present = next;
    roster->next = NULL;
    roster->supplies.config = config;
    roster->supplies.snapshot = &next->snapshot;
    roster->supplies.sockets = sockets;
    former->is_former = true;
    snapshot_close_public(&former->snapshot);
    release_if_unused(roster, former);
}

static void roll_back(struct child *children, size_t count, uint32_t number)
{
    for (size_t i = 0; i < count; i++) {
        if (children[i].asked == number) {
            send_number(&children[i], CHANNEL_ROLLBACK, number);
        }
        forget_question(&children[i]);
    }
}

void roster_rollback(struct roster *roster, const struct live_generation *next)
{
    roster->next = NULL;
    roll_back(roster->workers, roster->worker_count, next->number);
    roll_back(roster->keyholders, roster->keyholder_count, next->number);
}

/* ---- letting go ---- */

static void each_generation(struct roster *roster, size_t worker, const uint32_t *number)
{
    struct list_link *link = roster->generations.head.next;
    while (link != &roster->generations.head) {
        struct live_generation *generation = LIST_OBJECT(link, struct live_generation, link);
        link = link->next;
        if (number == NULL || (generation->is_former && generation->number == *number)) {
            live_generation_leave(generation, worker);
            release_if_unused(roster, generation);
        }
    }
}

void roster_note_released(struct roster *roster, const struct child *worker, uint32_t number)
{
    each_generation(roster, worker->index, &number);
}

void roster_note_lost(struct roster *roster, const struct child *worker)
{
    each_generation(roster, worker->index, NULL);
}
