/* proxy/process/sidecars_change.c · SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>
#include <string.h>

#include "config/gossip.h"
#include "proxy/process/sidecars_state.h"

/* The places of the next configuration. */
struct sidecars_change {
    struct sidecars *sidecars;
    size_t count;
    struct sidecar_place **at; /* those that stay, and those that are new */
    bool *is_new;
};

/* ---- preparing ---- */

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
            change->at[i] = sidecar_place_new(sidecars, config, i, error);
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
            sidecar_place_free(change->at[i]);
        }
    }
    free_change(change);
}

/* ---- taking ---- */

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
    sidecar_place_remove_rules(place);
    file_watch_close(&place->watch);
    child_end(&place->child);
    if (child_is_down(&place->child)) {
        sidecar_place_free(place);
        return;
    }
    place->settings = NULL; /* its config goes */
    list_append(&sidecars->leaving, &place->link);
    deadline_arm(&place->grace, sidecars->supplies.loop, SIDECAR_GRACE_MS, on_grace, place);
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
        if (!place->is_started && sidecar_place_start(place, &error) != STATUS_OK) {
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
            sidecar_place_free(place);
            start_new(sidecars);
            return;
        }
    }
}
