/* proxy/process/master_upgrade.c · SPDX-License-Identifier: Apache-2.0 */
#include "proxy/process/master_upgrade.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "proxy/process/former_rules.h"
#include "proxy/process/inheritance.h"
#include "proxy/process/log_settings.h"

static struct log *log_of(const struct master *master)
{
    return master->foundation.log;
}

static struct handover *left_of(const struct master *master)
{
    return master->start->handover;
}

/* ---- taking over ---- */

bool master_goes_back(const struct master *master)
{
    return left_of(master) != NULL && !master->has_succeeded && master->exit == MASTER_FAILED;
}

bool master_inherits_admin(const struct master *master)
{
    const struct handover *left = left_of(master);
    const struct config_address *address = &master->plan->config->admin.address;
    return left != NULL && left->admin >= 0 && address->kind == CONFIG_ADDRESS_UNIX &&
           strcmp(left->admin_path, address->path) == 0;
}

const struct snapshot *master_former_snapshot(const struct master *master, struct snapshot *former)
{
    const struct handover *left = left_of(master);
    if (left == NULL || left->tickets < 0 ||
        master->plan->config->tickets.secret.kind != CONFIG_SECRET_NONE) {
        return NULL;
    }
    *former = (struct snapshot){.worker_file = -1, .key_file = left->tickets};
    return former;
}

int master_former_spent(const struct master *master)
{
    const struct handover *left = left_of(master);
    return left == NULL ? -1 : left->spent;
}

uint64_t master_instance_begun_us(const struct master *master)
{
    const struct handover *left = left_of(master);
    return left == NULL ? master->start->begun_us : left->begun_us;
}

static bool is_free(void *self)
{
    const struct master *master = self;
    const struct reload *reload = &master->reload;
    return master->state == MASTER_RUNNING && reload->step == RELOAD_IDLE && !reload->wants_all &&
           !reload->wants_files;
}

static void leave_loop(void *self)
{
    struct master *master = self;
    master->is_leaving = true;
    loop_stop(master->foundation.loop);
}

enum status master_open_upgrade(struct master *master)
{
    struct handover *left = left_of(master);
    const struct upgrade_host host = {.loop = master->foundation.loop,
                                      .log = log_of(master),
                                      .invocation = master->start->invocation,
                                      .self = master,
                                      .is_free = is_free,
                                      .leave = leave_loop};
    upgrade_open(&master->upgrade, &host);
    if (left == NULL) {
        return STATUS_OK;
    }
    const struct former_crew_place place = {.loop = host.loop, .log = host.log, .handover = left};
    if (former_crew_open(&master->crew, &place) != STATUS_OK) {
        process_error_set(master->error, "the former children cannot be watched: %s",
                          strerror(errno));
        return STATUS_SYS;
    }
    enum status status = listen_sockets_inherit(&master->inherited, left, master->error);
    upgrade_release_signals(); /* those that came while one program followed the other */
    return status;
}

/* ---- the start is done, or was given up ---- */

static bool has_cluster(const struct master *master, const char *name)
{
    for (size_t i = 0; i < sidecars_count(master->sidecars); i++) {
        struct sidecar_facts facts = sidecars_at(master->sidecars, i);
        if (facts.has_rules && strcmp(facts.settings->name, name) == 0) {
            return true;
        }
    }
    return false;
}

/* Those of clusters that we have are ours by now. */
static void remove_former_rules(const struct master *master)
{
    struct handover *left = left_of(master);
    for (size_t i = 0; i < left->rule_count; i++) {
        if (!has_cluster(master, left->rules[i].name)) {
            former_rules_remove(&left->rules[i], log_of(master));
        }
    }
    left->rule_count = 0;
}

static void close_descriptor(int *descriptor)
{
    if (*descriptor >= 0) {
        (void)close(*descriptor);
        *descriptor = -1;
    }
}

/* All but the children. */
static void drop_handover(struct master *master)
{
    struct handover *left = left_of(master);
    if (left->admin >= 0 && !master_inherits_admin(master)) {
        (void)unlink(left->admin_path);
    }
    admin_server_own_path(master->admin, true);
    close_descriptor(&left->admin);
    close_descriptor(&left->tickets);
    close_descriptor(&left->spent);
    close_descriptor(&left->log);
    inheritance_close_sockets(left);
    remove_former_rules(master);
}

void master_succeed(struct master *master)
{
    struct handover *left = left_of(master);
    if (left == NULL) {
        return;
    }
    uint64_t own_ms = master->plan->config->timeouts.drain_ms;
    listen_sockets_succeed(master->foundation.sockets, master->inherited);
    master->inherited = NULL;
    master->has_succeeded = true;
    drop_handover(master);
    former_crew_drain(master->crew, left->drain_ms > own_ms ? left->drain_ms : own_ms, true);
    upgrade_finish(&master->upgrade);
}

void master_drain_former(struct master *master, uint64_t drain_ms)
{
    struct handover *left = left_of(master);
    if (left == NULL) {
        return;
    }
    if (!master->has_succeeded) {
        listen_sockets_close(master->inherited);
        master->inherited = NULL;
        inheritance_close_sockets(left);
    }
    former_crew_drain(master->crew, drain_ms, false);
}

void master_close_upgrade(struct master *master)
{
    struct handover *left = left_of(master);
    if (left == NULL) {
        return;
    }
    former_crew_close(master->crew);
    master->crew = NULL;
    if (!master_goes_back(master)) {
        listen_sockets_close(master->inherited);
        drop_handover(master);
        return;
    }
    listen_sockets_leave(master->inherited);
    for (size_t i = 0; i < left->rule_count; i++) {
        sidecars_leave_rules(master->sidecars, left->rules[i].name);
    }
}

/* ---- making way ---- */

void master_ask_for_upgrade(struct master *master)
{
    if (master->state != MASTER_RUNNING) {
        LOG_EVENT(log_of(master), LOG_WARN, "upgrade_refused",
                  log_text("reason", "the instance is starting or ending"));
        return;
    }
    upgrade_request(&master->upgrade);
}

/* What the next program gets, in the making. */
struct estate {
    struct handover handover;
    enum status status;
};

static void add_child(void *self, const struct child *child)
{
    struct estate *estate = self;
    struct handover_child one = {
        .channel = child->channel, .pid = child->pid, .crew = estate->handover.crew};
    (void)snprintf(one.role, sizeof(one.role), "%s", child->role);
    if (child->pid > 0 && estate->status == STATUS_OK) {
        estate->status = handover_add_child(&estate->handover, &one);
    }
}

static void add_rules(struct estate *estate, const struct config_gossip *settings)
{
    struct handover_rules rules = {.own_port = settings->own_port};
    (void)snprintf(rules.name, sizeof(rules.name), "%s", settings->name);
    for (size_t i = 0; i < settings->port_count && i < HANDOVER_PORTS_MAX; i++) {
        rules.ports[rules.port_count++] = settings->ports[i];
    }
    if (estate->status == STATUS_OK) {
        estate->status = handover_add_rules(&estate->handover, &rules);
    }
}

static void add_clusters(struct estate *estate, const struct sidecars *sidecars)
{
    for (size_t i = 0; i < sidecars_count(sidecars); i++) {
        struct sidecar_facts facts = sidecars_at(sidecars, i);
        add_child(estate, facts.child);
        if (facts.has_rules) {
            add_rules(estate, facts.settings);
        }
    }
}

static void add_former(struct estate *estate, const struct handover *left)
{
    for (size_t i = 0; left != NULL && i < left->child_count && estate->status == STATUS_OK; i++) {
        estate->status = handover_add_child(&estate->handover, &left->children[i]);
    }
}

static void fill_estate(struct estate *estate, const struct master *master)
{
    struct handover *handover = &estate->handover;
    const struct handover *left = left_of(master);
    const struct config *config = master->plan->config;
    int log = master->foundation.log_descriptor;
    int admin = admin_server_descriptor(master->admin);
    handover_init(handover);
    handover->pid = getpid();
    handover->begun_us = master_instance_begun_us(master);
    handover->crew = left == NULL ? 1 : left->crew + 1;
    handover->drain_ms = config->timeouts.drain_ms;
    handover->log = log;
    handover->log_level = log_settings_level(&config->log);
    handover->log_format = log_settings_format(&config->log);
    handover->admin = admin;
    if (admin >= 0) {
        (void)snprintf(handover->admin_path, sizeof(handover->admin_path), "%s",
                       config->admin.address.path);
    }
    if (config->tickets.secret.kind == CONFIG_SECRET_NONE) {
        handover->tickets = snapshot_ticket_secret(&master->roster.present->snapshot);
    }
    handover->spent = master->foundation.spent_tickets;
    estate->status = listen_sockets_bequeath(master->foundation.sockets, handover);
    roster_each_child(&master->roster, add_child, estate);
    add_clusters(estate, master->sidecars);
    add_former(estate, left);
}

static void hand_over(struct master *master)
{
    struct process_error error = {"out of memory"};
    struct estate estate;
    fill_estate(&estate, master);
    service_manager_tell_reloading(&master->manager);
    log_flush(log_of(master));
    if (estate.status == STATUS_OK) {
        (void)!inheritance_leave(&estate.handover, master->start->invocation, &error);
    }
    close_descriptor(&estate.handover.tickets);
    handover_fini(&estate.handover);
    upgrade_fail(&master->upgrade, error.text);
    log_flush(log_of(master));
    service_manager_tell_ready(&master->manager);
}

void master_leave(struct master *master)
{
    master->is_leaving = false;
    upgrade_hold_signals();
    /* Signals that were caught are acted on here; the others wait for the next program. */
    admin_server_settle(master->admin, master->foundation.loop);
    if (master->upgrade.step == UPGRADE_WAITING && is_free(master)) {
        hand_over(master);
    } else if (master->upgrade.step == UPGRADE_WAITING) {
        upgrade_put_off(&master->upgrade);
    }
    upgrade_release_signals();
}
