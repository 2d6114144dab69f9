/* proxy/process/sidecars.c · SPDX-License-Identifier: Apache-2.0 */
#include "proxy/process/sidecars.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "proxy/process/gossip_rules.h"
#include "proxy/process/keyring_check.h"
#include "proxy/process/keyring_source.h"
#include "proxy/process/memory_file.h"
#include "proxy/process/sidecars_state.h"

enum { POLL_MS = 5 };

static enum status on_respawn(void *self, struct child *child);
static void on_keyring_change(void *self);
static enum status read_keyring(struct sidecar_place *place, const struct config *config,
                                struct secret *text, struct process_error *error);

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

struct sidecar_place *sidecar_place_new(struct sidecars *sidecars, const struct config *config,
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
        sidecar_place_free(place);
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
            sidecar_place_new(sidecars, supplies->config, sidecars->count, error);
        if (sidecars->at[sidecars->count] == NULL) {
            return STATUS_SYS;
        }
    }
    return STATUS_OK;
}

void sidecar_place_remove_rules(struct sidecar_place *place)
{
    if (place->has_rules) {
        place->has_rules = false;
        gossip_rules_remove(place->settings);
        LOG_EVENT(place->sidecars->supplies.log, LOG_WARN, "rules_removed",
                  log_text("cluster", place->settings->name),
                  log_text("effect", "what the node gossips from now on is not encrypted"));
    }
}

void sidecar_place_free(struct sidecar_place *place)
{
    sidecar_place_remove_rules(place);
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
            if (waited >= SIDECAR_GRACE_MS) {
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
        sidecar_place_free(place);
    }
    end_all(sidecars);
    for (size_t i = 0; i < sidecars->count; i++) {
        sidecar_place_free(sidecars->at[i]);
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
    struct spawn_order order = {.log = supplies->log_descriptor,
                                .slots = place->pages_file,
                                .spent = -1,
                                .account = &place->account};
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

enum status sidecar_place_start(struct sidecar_place *place, struct process_error *error)
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
        enum status status = sidecar_place_start(sidecars->at[i], error);
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
                                  .refusal = place->refusal,
                                  .has_rules = place->has_rules};
}

void sidecars_leave_rules(struct sidecars *sidecars, const char *name)
{
    for (size_t i = 0; sidecars != NULL && i < sidecars->count; i++) {
        if (strcmp(sidecars->at[i]->settings->name, name) == 0) {
            sidecars->at[i]->has_rules = false;
        }
    }
}
