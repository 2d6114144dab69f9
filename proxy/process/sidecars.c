/* proxy/process/sidecars.c · SPDX-License-Identifier: Apache-2.0 */
#include "proxy/process/sidecars.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "config/gossip.h"
#include "proxy/process/file_watch.h"
#include "proxy/process/gossip_rules.h"
#include "proxy/process/keyring_check.h"
#include "proxy/process/keyring_source.h"
#include "proxy/process/memory_file.h"

enum { GRACE_MS = 1000, POLL_MS = 5 };

struct sidecar_place {
    struct sidecars *sidecars;
    const struct config_gossip *settings;
    struct list_link link; /* among those that leave */
    struct deadline grace; /* of one that leaves */
    bool is_started;
    struct account account;
    struct child child;
    struct secret keyring; /* the text that was handed on last */
    struct file_watch watch;
    int pages_file;
    struct peer_pages *pages;             /* read-only */
    bool has_rules;                       /* that are to be removed */
    struct enforcement_gossip_facts ring; /* what the policy has to know of it */
    char refusal[256]; /* why what is in the keyring file now is not in use; "": it is */
};

struct sidecars {
    struct roster_supplies supplies;
    struct child_events events;
    size_t count;
    struct sidecar_place **at; /* by the index of the cluster */
    struct list leaving;       /* of struct sidecar_place: until their process has ended */
};

/* The places of the next configuration. */
struct sidecars_change {
    struct sidecars *sidecars;
    size_t count;
    struct sidecar_place **at; /* those that stay, and those that are new */
    bool *is_new;
};

static enum status on_respawn(void *self, struct child *child);
static void on_keyring_change(void *self);
static enum status read_keyring(struct sidecar_place *place, const struct config *config,
                                struct secret *text, struct process_error *error);
static void close_place(struct sidecar_place *place);

/* ---- life ---- */

static enum status fail(struct process_error *error, const struct sidecar_place *place,
                        const char *what)
{
    process_error_set(error, "gossip %s: %s: %s", place->settings->name, what, strerror(errno));
    return STATUS_SYS;
}

static enum status fill_place(struct sidecar_place *place, const struct config *config,
                              struct process_error *error)
{
    const struct roster_supplies *supplies = &place->sidecars->supplies;
    place->pages_file = peer_pages_new();
    place->pages = place->pages_file < 0 ? NULL : peer_pages_map(place->pages_file, false);
    if (place->pages == NULL) {
        return fail(error, place, "no memory for its peers");
    }
    enum status status =
        account_choose_gossip(&place->account, place->settings->user, supplies->accounts, error);
    if (status != STATUS_OK) {
        return status;
    }
    place->account.keeps_net_raw = place->settings->mode == CONFIG_GOSSIP_TRANSPARENT;
    return read_keyring(place, config, &place->keyring, error);
}

/* NULL with a sentence. */
static struct sidecar_place *new_place(struct sidecars *sidecars, const struct config *config,
                                       size_t index, struct process_error *error)
{
    struct sidecar_place *place = calloc(1, sizeof(*place));
    if (place == NULL) {
        process_error_set(error, "out of memory");
        return NULL;
    }
    char role[24];
    place->sidecars = sidecars;
    place->settings = &config->gossip[index];
    place->pages_file = -1;
    place->watch.descriptor = -1;
    (void)snprintf(role, sizeof(role), "gossip %zu", index + 1);
    child_init(&place->child, sidecars->supplies.loop, role, index, &sidecars->events);
    if (fill_place(place, config, error) != STATUS_OK) {
        close_place(place);
        return NULL;
    }
    return place;
}

enum status sidecars_open(struct sidecars **out, const struct roster_supplies *supplies,
                          const struct child_events *events, struct process_error *error)
{
    size_t count = supplies->config->gossip_count;
    struct sidecars *sidecars = calloc(1, sizeof(*sidecars));
    *out = sidecars;
    if (sidecars != NULL) {
        sidecars->at = calloc(count + 1, sizeof(struct sidecar_place *));
    }
    if (sidecars == NULL || sidecars->at == NULL) {
        process_error_set(error, "out of memory");
        return STATUS_NOMEM;
    }
    list_init(&sidecars->leaving);
    sidecars->supplies = *supplies;
    sidecars->events = *events;
    sidecars->events.on_respawn = on_respawn;
    sidecars->events.respawn_self = sidecars;
    sidecars->events.log = supplies->log;
    for (; sidecars->count < count; sidecars->count++) {
        sidecars->at[sidecars->count] =
            new_place(sidecars, supplies->config, sidecars->count, error);
        if (sidecars->at[sidecars->count] == NULL) {
            return STATUS_SYS;
        }
    }
    return STATUS_OK;
}

static void remove_rules(struct sidecar_place *place)
{
    if (place->has_rules) {
        place->has_rules = false;
        gossip_rules_remove(place->settings);
        LOG_EVENT(place->sidecars->supplies.log, LOG_WARN, "rules_removed",
                  log_text("cluster", place->settings->name),
                  log_text("effect", "what the node gossips from now on is not encrypted"));
    }
}

static void close_place(struct sidecar_place *place)
{
    remove_rules(place);
    deadline_disarm(&place->grace);
    list_remove(&place->link);
    file_watch_close(&place->watch);
    secret_fini(&place->keyring);
    peer_pages_unmap(place->pages);
    if (place->pages_file >= 0) {
        (void)close(place->pages_file);
    }
    free(place);
}

static bool is_any_up(const struct sidecars *sidecars)
{
    for (size_t i = 0; i < sidecars->count; i++) {
        if (sidecars->at[i]->child.pid > 0) {
            return true;
        }
    }
    return false;
}

/* Waits for those that were told to end; whoever does not is killed. */
static void end_all(struct sidecars *sidecars)
{
    for (size_t i = 0; i < sidecars->count; i++) {
        child_end(&sidecars->at[i]->child);
    }
    for (int waited = 0; is_any_up(sidecars); waited += POLL_MS) {
        for (size_t i = 0; i < sidecars->count; i++) {
            struct child *child = &sidecars->at[i]->child;
            if (waited >= GRACE_MS) {
                child_kill(child);
            }
            if (child->pid > 0 && waitpid(child->pid, NULL, WNOHANG) != 0) {
                child_on_exit(child);
            }
        }
        (void)usleep(POLL_MS * 1000);
    }
}

void sidecars_close(struct sidecars *sidecars)
{
    if (sidecars == NULL) {
        return;
    }
    for (struct list_link *link = list_take_first(&sidecars->leaving); link != NULL;
         link = list_take_first(&sidecars->leaving)) {
        struct sidecar_place *place = LIST_OBJECT(link, struct sidecar_place, link);
        child_kill(&place->child); /* it has had its time */
        close_place(place);
    }
    end_all(sidecars);
    for (size_t i = 0; i < sidecars->count; i++) {
        close_place(sidecars->at[i]);
    }
    free(sidecars->at);
    free(sidecars);
}

/* ---- starting ---- */

static void send_file(struct child *child, enum channel_kind kind, int descriptor, slice payload)
{
    (void)child_send(child, &(struct channel_message){.kind = kind,
                                                      .payload = payload,
                                                      .descriptors = {descriptor},
                                                      .descriptor_count = 1});
}

/* An empty one is sent as a blank line, so that the process says what is wrong with it. */
static enum status send_keyring(struct sidecar_place *place)
{
    size_t len = secret_len(&place->keyring);
    int file = memory_file_new("sallyport-keyring",
                               len == 0 ? "\n" : (const void *)secret_bytes(&place->keyring),
                               len == 0 ? 1 : len);
    if (file < 0) {
        return STATUS_SYS;
    }
    send_file(&place->child, CHANNEL_KEYRING, file, SLICE(""));
    (void)close(file);
    return STATUS_OK;
}

static enum status start_place(struct sidecar_place *place)
{
    const struct roster_supplies *supplies = &place->sidecars->supplies;
    struct spawn_order order = {
        .log = supplies->log_descriptor, .slots = place->pages_file, .account = &place->account};
    enum status status = child_start(&place->child, &order);
    if (status != STATUS_OK) {
        return status;
    }
    send_file(&place->child, CHANNEL_BUNDLE, supplies->snapshot->worker_file,
              slice_of(supplies->config->file));
    status = send_keyring(place);
    (void)child_send(&place->child, &(struct channel_message){.kind = CHANNEL_START});
    return status;
}

static enum status install_rules(struct sidecar_place *place, struct process_error *error)
{
    const struct config_gossip *settings = place->settings;
    if (settings->mode != CONFIG_GOSSIP_TRANSPARENT ||
        settings->rules == CONFIG_GOSSIP_RULES_EXTERNAL) {
        return STATUS_OK;
    }
    enum status status = gossip_rules_install(settings, error);
    place->has_rules = status == STATUS_OK && settings->rules == CONFIG_GOSSIP_RULES_MANAGE;
    return status;
}

/* A keyring that comes from the environment cannot change. */
static enum status watch_keyring(struct sidecar_place *place, struct process_error *error)
{
    const char *path = keyring_source_path(place->settings);
    if (path == NULL || file_watch_open(&place->watch, place->sidecars->supplies.loop, path,
                                        on_keyring_change, place) == STATUS_OK) {
        return STATUS_OK;
    }
    return fail(error, place, "its keyring cannot be watched");
}

/* The rules first: until the process is there, nothing passes. */
static enum status open_place(struct sidecar_place *place, struct process_error *error)
{
    enum status status = install_rules(place, error);
    if (status == STATUS_OK) {
        status = watch_keyring(place, error);
    }
    if (status != STATUS_OK) {
        return status;
    }
    place->is_started = true;
    return start_place(place) == STATUS_OK ? STATUS_OK
                                           : fail(error, place, "its process cannot be started");
}

enum status sidecars_start(struct sidecars *sidecars, struct process_error *error)
{
    for (size_t i = 0; sidecars != NULL && i < sidecars->count; i++) {
        enum status status = open_place(sidecars->at[i], error);
        if (status != STATUS_OK) {
            return status;
        }
    }
    return STATUS_OK;
}

static struct sidecar_place *place_of(struct sidecars *sidecars, const struct child *child)
{
    for (size_t i = 0; sidecars != NULL && i < sidecars->count; i++) {
        if (&sidecars->at[i]->child == child) {
            return sidecars->at[i];
        }
    }
    for (struct list_link *link = sidecars == NULL ? NULL : list_first(&sidecars->leaving);
         link != NULL; link = list_next(&sidecars->leaving, link)) {
        struct sidecar_place *place = LIST_OBJECT(link, struct sidecar_place, link);
        if (&place->child == child) {
            return place;
        }
    }
    return NULL;
}

static enum status on_respawn(void *self, struct child *child)
{
    return start_place(place_of(self, child));
}

/* ---- keyrings ---- */

static void refuse_keyring(struct sidecar_place *place, const char *why)
{
    (void)snprintf(place->refusal, sizeof(place->refusal), "%s", why);
    LOG_EVENT(place->sidecars->supplies.log, LOG_ERROR, "keyring_refused",
              log_text("cluster", place->settings->name), log_text("reason", why),
              log_text("effect", "the former one stays in use"));
}

/* Looked at before it is handed on: what is kept must be good for the next start as well. */
static enum status read_keyring(struct sidecar_place *place, const struct config *config,
                                struct secret *text, struct process_error *error)
{
    enum status status = keyring_source_read(place->settings, text, error);
    if (status != STATUS_OK) {
        return status;
    }
    status =
        keyring_check(config, place->child.index,
                      (struct bytes){secret_bytes(text), secret_len(text)}, &place->ring, error);
    if (status != STATUS_OK) {
        secret_fini(text);
    }
    return status;
}

static void reload(struct sidecar_place *place)
{
    struct process_error error = {{0}};
    struct secret text;
    if (read_keyring(place, place->sidecars->supplies.config, &text, &error) != STATUS_OK) {
        refuse_keyring(place, error.text);
        return;
    }
    bool is_same = secret_equals(&place->keyring, secret_bytes(&text), secret_len(&text));
    secret_fini(&place->keyring);
    place->keyring = text;
    place->refusal[0] = '\0';
    if (!is_same && place->child.channel >= 0 && send_keyring(place) != STATUS_OK) {
        refuse_keyring(place, strerror(errno));
    }
}

static void on_keyring_change(void *self)
{
    reload(self);
}

void sidecars_reload(struct sidecars *sidecars)
{
    for (size_t i = 0; sidecars != NULL && i < sidecars->count; i++) {
        reload(sidecars->at[i]);
    }
}

/* ---- one configuration after the other ---- */

static struct sidecar_place *find_same(const struct sidecars *sidecars,
                                       const struct config_gossip *settings)
{
    for (size_t i = 0; i < sidecars->count; i++) {
        if (gossip_is_same(sidecars->at[i]->settings, settings)) {
            return sidecars->at[i];
        }
    }
    return NULL;
}

enum status sidecars_prepare(struct sidecars *sidecars, const struct config *config,
                             struct sidecars_change **out, struct process_error *error)
{
    size_t count = config->gossip_count;
    struct sidecars_change *change = calloc(1, sizeof(*change));
    *out = change;
    if (change != NULL) {
        change->sidecars = sidecars;
        change->at = calloc(count + 1, sizeof(struct sidecar_place *));
        change->is_new = calloc(count + 1, sizeof(*change->is_new));
    }
    if (change == NULL || change->at == NULL || change->is_new == NULL) {
        process_error_set(error, "out of memory");
        return STATUS_NOMEM;
    }
    for (; change->count < count; change->count++) {
        size_t i = change->count;
        change->at[i] = find_same(sidecars, &config->gossip[i]);
        if (change->at[i] == NULL) {
            change->at[i] = new_place(sidecars, config, i, error);
            change->is_new[i] = true;
        }
        if (change->at[i] == NULL) {
            return STATUS_REFUSED;
        }
    }
    return STATUS_OK;
}

static void free_change(struct sidecars_change *change)
{
    free(change->at);
    free(change->is_new);
    free(change);
}

void sidecars_forget(struct sidecars_change *change)
{
    if (change == NULL) {
        return;
    }
    for (size_t i = 0; i < change->count; i++) {
        if (change->is_new[i]) {
            close_place(change->at[i]);
        }
    }
    free_change(change);
}

static void on_grace(void *self)
{
    struct sidecar_place *place = self;
    child_kill(&place->child);
}

static bool has_cluster(const struct sidecars_change *change, const char *name)
{
    for (size_t i = 0; i < change->count; i++) {
        if (strcmp(change->at[i]->settings->name, name) == 0) {
            return true;
        }
    }
    return false;
}

/* A cluster that is only changed keeps its rules until those of its successor replace them: nothing
 * passes in plaintext meanwhile. */
static void leave(const struct sidecars_change *change, struct sidecar_place *place)
{
    struct sidecars *sidecars = place->sidecars;
    if (has_cluster(change, place->settings->name)) {
        place->has_rules = false;
    }
    remove_rules(place);
    file_watch_close(&place->watch);
    child_end(&place->child);
    if (child_is_down(&place->child)) {
        close_place(place);
        return;
    }
    place->settings = NULL; /* its config goes */
    list_append(&sidecars->leaving, &place->link);
    deadline_arm(&place->grace, sidecars->supplies.loop, GRACE_MS, on_grace, place);
}

static void leave_all(const struct sidecars_change *change)
{
    struct sidecars *sidecars = change->sidecars;
    for (size_t i = 0; i < sidecars->count; i++) {
        bool stays = false;
        for (size_t j = 0; j < change->count && !stays; j++) {
            stays = change->at[j] == sidecars->at[i];
        }
        if (!stays) {
            leave(change, sidecars->at[i]);
        }
    }
}

/* Those that are new, once those that were before have freed their ports. */
static void start_new(struct sidecars *sidecars)
{
    for (size_t i = 0; i < sidecars->count && list_is_empty(&sidecars->leaving); i++) {
        struct sidecar_place *place = sidecars->at[i];
        struct process_error error = {{0}};
        if (!place->is_started && open_place(place, &error) != STATUS_OK) {
            LOG_EVENT(sidecars->supplies.log, LOG_ERROR, "gossip_not_started",
                      log_text("cluster", place->settings->name), log_text("reason", error.text));
        }
    }
}

void sidecars_commit(struct sidecars_change *change, const struct roster_supplies *supplies)
{
    struct sidecars *sidecars = change->sidecars;
    leave_all(change);
    free(sidecars->at);
    sidecars->at = change->at;
    sidecars->count = change->count;
    sidecars->supplies = *supplies;
    change->at = NULL;
    free_change(change);
    for (size_t i = 0; i < sidecars->count; i++) {
        struct sidecar_place *place = sidecars->at[i];
        place->settings = &supplies->config->gossip[i];
        place->ring.cluster = i;
        child_renumber(&place->child, "gossip", i);
    }
    start_new(sidecars);
}

void sidecars_note_exit(struct sidecars *sidecars, const struct child *child)
{
    for (struct list_link *link = list_first(&sidecars->leaving); link != NULL;
         link = list_next(&sidecars->leaving, link)) {
        struct sidecar_place *place = LIST_OBJECT(link, struct sidecar_place, link);
        if (&place->child == child) {
            close_place(place);
            start_new(sidecars);
            return;
        }
    }
}

/* ---- looking ---- */

struct child *sidecars_find(struct sidecars *sidecars, pid_t pid)
{
    for (size_t i = 0; sidecars != NULL && i < sidecars->count; i++) {
        if (sidecars->at[i]->child.pid == pid) {
            return &sidecars->at[i]->child;
        }
    }
    for (struct list_link *link = sidecars == NULL ? NULL : list_first(&sidecars->leaving);
         link != NULL; link = list_next(&sidecars->leaving, link)) {
        struct sidecar_place *place = LIST_OBJECT(link, struct sidecar_place, link);
        if (place->child.pid == pid) {
            return &place->child;
        }
    }
    return NULL;
}

bool sidecars_own(const struct sidecars *sidecars, const struct child *child)
{
    return place_of((struct sidecars *)(uintptr_t)sidecars, child) != NULL;
}

bool sidecars_are_ready(const struct sidecars *sidecars)
{
    for (size_t i = 0; sidecars != NULL && i < sidecars->count; i++) {
        if (sidecars->at[i]->child.state != CHILD_READY) {
            return false;
        }
    }
    return true;
}

void sidecars_tell(struct sidecars *sidecars, const struct channel_message *message)
{
    for (size_t i = 0; sidecars != NULL && i < sidecars->count; i++) {
        (void)child_send(&sidecars->at[i]->child, message);
    }
}

size_t sidecars_count(const struct sidecars *sidecars)
{
    return sidecars == NULL ? 0 : sidecars->count;
}

struct sidecar_facts sidecars_at(const struct sidecars *sidecars, size_t index)
{
    const struct sidecar_place *place = sidecars->at[index];
    return (struct sidecar_facts){.settings = place->settings,
                                  .child = &place->child,
                                  .pages = place->pages,
                                  .ring = &place->ring,
                                  .refusal = place->refusal};
}
