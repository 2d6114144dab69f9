/* proxy/process/master.c
 *
 *     starting --all READY--> running --drain--> draining --all workers gone--> over
 *         |                      |                  |
 *         +--a child fails-------+-------stop-------+--------> stopping ------> over
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "proxy/process/master.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "proxy/admin/server.h"
#include "proxy/base/clock.h"
#include "proxy/process/account.h"
#include "proxy/process/child.h"
#include "proxy/process/listen_sockets.h"
#include "proxy/process/log_settings.h"
#include "proxy/process/processors.h"
#include "proxy/process/slots.h"
#include "proxy/process/snapshot.h"

enum {
    WORKERS_MAX = 512,
    DRAIN_GRACE_MS = 2000, /* after the workers' own deadline */
    STOP_GRACE_MS = 1000,
    KEYHOLDER_GRACE_MS = 1000,
    POLL_MS = 5,
};

enum master_state { MASTER_STARTING, MASTER_RUNNING, MASTER_DRAINING, MASTER_STOPPING };

struct master {
    const struct master_start *start;
    const struct config *config;
    struct process_error *error;
    enum master_exit exit;
    enum master_state state;
    struct loop *loop;
    struct log *log;
    int log_descriptor;
    struct accounts accounts;
    struct listen_sockets *sockets;
    struct slots *slots;
    struct snapshot snapshot;
    struct admin_server *admin;
    struct child keyholder;
    struct child *workers;
    size_t worker_count;
    struct deadline deadline; /* of draining or stopping */
};

static void begin_stop(struct master *master);

/* ---- telling the children ---- */

static struct channel_message with_descriptor(enum channel_kind kind, int descriptor)
{
    return (struct channel_message){
        .kind = kind, .descriptors = {descriptor}, .descriptor_count = 1};
}

static void send_kind(struct child *child, enum channel_kind kind)
{
    child_send(child, &(struct channel_message){.kind = kind});
}

static bool has_keys(const struct master *master)
{
    return master->config->certificate_count > 0;
}

/* Each worker may use every key: the ids are the indexes of the certificates. */
static size_t key_ids(const struct master *master, char *room)
{
    size_t count = master->config->certificate_count;
    count = count > CHANNEL_PAYLOAD_MAX / 4 ? CHANNEL_PAYLOAD_MAX / 4 : count;
    for (size_t i = 0; i < count; i++) {
        const uint8_t id[4] = {(uint8_t)(i >> 24), (uint8_t)(i >> 16), (uint8_t)(i >> 8),
                               (uint8_t)i};
        memcpy(room + 4 * i, id, sizeof(id));
    }
    return 4 * count;
}

/* A fresh channel between the keyholder and a worker. */
static void connect_keys(struct master *master, struct child *worker)
{
    if (!has_keys(master) || master->keyholder.channel < 0 || worker->channel < 0) {
        return; /* whoever is missing is connected when it is started */
    }
    int keyholder_end = -1;
    int worker_end = -1;
    if (channel_pair(&keyholder_end, &worker_end) != STATUS_OK) {
        LOG_EVENT(master->log, LOG_ERROR, "channel_failed", log_text("role", worker->role),
                  log_text("reason", strerror(errno)));
        return;
    }
    char ids[CHANNEL_PAYLOAD_MAX];
    struct channel_message message = with_descriptor(CHANNEL_WORKER, keyholder_end);
    message.number = (uint32_t)worker->index;
    message.payload = (slice){ids, key_ids(master, ids)};
    child_send(&master->keyholder, &message);
    message = with_descriptor(CHANNEL_KEYS, worker_end);
    child_send(worker, &message);
    (void)close(keyholder_end);
    (void)close(worker_end);
}

static void send_listeners(struct master *master, struct child *worker)
{
    const int *descriptors = listen_sockets_of_worker(master->sockets, worker->index);
    size_t count = listen_sockets_count(master->sockets);
    for (size_t i = 0; i < count;) {
        struct channel_message message = {.kind = CHANNEL_LISTENERS};
        while (i < count && message.descriptor_count < CHANNEL_DESCRIPTORS_MAX) {
            message.descriptors[message.descriptor_count++] = descriptors[i++];
        }
        child_send(worker, &message);
    }
}

/* ---- starting children ---- */

static enum status start_keyholder(struct master *master)
{
    struct spawn_order order = {
        .log = master->log_descriptor, .slots = -1, .account = &master->accounts.keyholder};
    enum status status = child_start(&master->keyholder, &order);
    if (status != STATUS_OK) {
        return status;
    }
    struct channel_message message = with_descriptor(CHANNEL_BUNDLE, master->snapshot.key_file);
    child_send(&master->keyholder, &message);
    send_kind(&master->keyholder, CHANNEL_START);
    for (size_t i = 0; i < master->worker_count; i++) {
        connect_keys(master, &master->workers[i]);
    }
    return STATUS_OK;
}

static enum status start_worker(struct master *master, struct child *worker)
{
    struct spawn_order order = {.log = master->log_descriptor,
                                .slots = slots_descriptor(master->slots),
                                .account = &master->accounts.worker};
    enum status status = child_start(worker, &order);
    if (status != STATUS_OK) {
        return status;
    }
    struct channel_message message = with_descriptor(CHANNEL_BUNDLE, master->snapshot.worker_file);
    message.payload = slice_of(master->config->file);
    child_send(worker, &message);
    connect_keys(master, worker);
    send_listeners(master, worker);
    send_kind(worker, CHANNEL_START);
    return STATUS_OK;
}

static void respawn_later(struct master *master, struct child *child)
{
    uint64_t delay_ms = child_respawn_later(child);
    if (delay_ms > 0) {
        LOG_EVENT(master->log, LOG_WARN, "child_delayed", log_text("child", child->role),
                  log_number("delay_ms", (int64_t)delay_ms),
                  log_number("failures", child->failures));
    }
}

static void on_respawn(void *self, struct child *child)
{
    struct master *master = self;
    enum status status =
        child == &master->keyholder ? start_keyholder(master) : start_worker(master, child);
    if (status == STATUS_OK) {
        LOG_EVENT(master->log, LOG_INFO, "child_started", log_text("child", child->role),
                  log_number("pid", child->pid));
        return;
    }
    LOG_EVENT(master->log, LOG_ERROR, "child_not_started", log_text("child", child->role),
              log_text("reason", strerror(errno)));
    child->failures++;
    respawn_later(master, child);
}

/* ---- the start ---- */

static void fail_start(struct master *master, const char *sentence)
{
    if (master->exit == MASTER_STOPPED) {
        process_error_set(master->error, "%s", sentence);
        master->exit = MASTER_FAILED;
        begin_stop(master);
    }
}

static bool all_are_ready(const struct master *master)
{
    for (size_t i = 0; i < master->worker_count; i++) {
        if (master->workers[i].state != CHILD_READY) {
            return false;
        }
    }
    return !has_keys(master) || master->keyholder.state == CHILD_READY;
}

static void tell_ready(struct master *master)
{
    const struct master_start *start = master->start;
    for (size_t i = 0; i < listen_sockets_count(master->sockets); i++) {
        LOG_EVENT(master->log, LOG_INFO, "listener_open",
                  log_text("listener", listen_sockets_name(master->sockets, i)),
                  log_text("address", listen_sockets_address(master->sockets, i)));
    }
    bool is_report = master->config->enforcement.mode == CONFIG_MODE_REPORT;
    LOG_EVENT(master->log, LOG_INFO, "ready", log_text("version", SALLYPORT_VERSION),
              log_number("pid", getpid()), log_number("workers", (int64_t)master->worker_count),
              log_text("mode", is_report ? "report" : "strict"),
              log_number("hops", (int64_t)start->hops),
              log_number("violations", (int64_t)start->violations),
              log_number("waived", (int64_t)start->waived),
              log_number("start_ms", (int64_t)((clock_monotonic_us() - start->begun_us) / 1000U)));
}

static void note_ready(struct master *master)
{
    if (master->state == MASTER_STARTING && all_are_ready(master)) {
        master->state = MASTER_RUNNING;
        tell_ready(master);
    }
}

/* ---- the end ---- */

static bool workers_are_down(const struct master *master)
{
    for (size_t i = 0; i < master->worker_count; i++) {
        if (!child_is_down(&master->workers[i])) {
            return false;
        }
    }
    return true;
}

static bool is_ending(const struct master *master)
{
    return master->state == MASTER_DRAINING || master->state == MASTER_STOPPING;
}

/* The keyholder is the last: what workers still do may need it. */
static void end_if_over(struct master *master)
{
    if (is_ending(master) && workers_are_down(master)) {
        child_end(&master->keyholder);
        loop_stop(master->loop);
    }
}

static void on_stop_deadline(void *self)
{
    struct master *master = self;
    for (size_t i = 0; i < master->worker_count; i++) {
        child_kill(&master->workers[i]);
    }
}

static void begin_stop(struct master *master)
{
    if (master->state == MASTER_STOPPING) {
        return;
    }
    master->state = MASTER_STOPPING;
    LOG_EVENT(master->log, LOG_INFO, "stopping", log_flag("drain", false));
    for (size_t i = 0; i < master->worker_count; i++) {
        child_end(&master->workers[i]);
    }
    deadline_arm(&master->deadline, master->loop, STOP_GRACE_MS, on_stop_deadline, master);
    end_if_over(master);
}

static void on_drain_deadline(void *self)
{
    begin_stop(self);
}

static void begin_drain(struct master *master)
{
    if (master->state == MASTER_STARTING) {
        begin_stop(master);
        return;
    }
    if (is_ending(master)) {
        return;
    }
    master->state = MASTER_DRAINING;
    LOG_EVENT(master->log, LOG_INFO, "draining",
              log_number("deadline_ms", (int64_t)master->config->timeouts.drain_ms));
    for (size_t i = 0; i < master->worker_count; i++) {
        deadline_disarm(&master->workers[i].respawn);
        send_kind(&master->workers[i], CHANNEL_DRAIN);
    }
    listen_sockets_close(master->sockets);
    master->sockets = NULL;
    deadline_arm(&master->deadline, master->loop,
                 master->config->timeouts.drain_ms + DRAIN_GRACE_MS, on_drain_deadline, master);
    end_if_over(master);
}

/* ---- what children say, and their end ---- */

static void on_failed(struct master *master, struct child *child,
                      const struct channel_message *message)
{
    char sentence[1200];
    const struct config *config = master->config;
    if (child == &master->keyholder && message->number < config->certificate_count) {
        const struct config_certificate *certificate = &config->certificates[message->number];
        const struct place *place = &certificate->key.place;
        (void)snprintf(sentence, sizeof(sentence), "%s:%u:%u: certificate %s: %.*s",
                       place->file == NULL ? config->file : place->file, place->line, place->column,
                       certificate->name, SLICE_FORMAT(message->payload));
    } else {
        (void)snprintf(sentence, sizeof(sentence), "%.*s", SLICE_FORMAT(message->payload));
    }
    LOG_EVENT(master->log, LOG_ERROR, "child_failed", log_text("child", child->role),
              log_text("reason", sentence));
    if (master->state == MASTER_STARTING) {
        fail_start(master, sentence);
    }
}

static void close_descriptors(const struct channel_message *message)
{
    for (size_t i = 0; i < message->descriptor_count; i++) {
        (void)close(message->descriptors[i]);
    }
}

static void on_message(void *self, struct child *child, const struct channel_message *message)
{
    struct master *master = self;
    close_descriptors(message);
    if (message->kind == CHANNEL_READY) {
        note_ready(master);
    } else if (message->kind == CHANNEL_FAILED) {
        on_failed(master, child, message);
    } else if (message->kind == CHANNEL_NEED_KEYS && child != &master->keyholder) {
        connect_keys(master, child);
    }
}

static void on_garbage(void *self, struct child *child)
{
    struct master *master = self;
    LOG_EVENT(master->log, LOG_ERROR, "child_garbage", log_text("child", child->role),
              log_text("effect", "it was killed"));
}

static void tell_exit(struct master *master, const struct child *child, pid_t pid, int status)
{
    bool is_signal = WIFSIGNALED(status);
    LOG_EVENT(master->log, LOG_ERROR, "child_lost", log_text("child", child->role),
              log_number("pid", pid),
              log_number(is_signal ? "signal" : "status",
                         is_signal ? WTERMSIG(status) : WEXITSTATUS(status)));
}

static void on_lost(struct master *master, struct child *child, pid_t pid, int status)
{
    tell_exit(master, child, pid, status);
    if (master->state == MASTER_STARTING) {
        char sentence[128];
        (void)snprintf(sentence, sizeof(sentence), "%s ended during the start (%s %d)", child->role,
                       WIFSIGNALED(status) ? "signal" : "status",
                       WIFSIGNALED(status) ? WTERMSIG(status) : WEXITSTATUS(status));
        fail_start(master, sentence);
        return;
    }
    if (child != &master->keyholder) {
        slots_clear_open(master->slots, child->index);
    }
    respawn_later(master, child);
}

static struct child *find_child(struct master *master, pid_t pid)
{
    if (master->keyholder.pid == pid) {
        return &master->keyholder;
    }
    for (size_t i = 0; i < master->worker_count; i++) {
        if (master->workers[i].pid == pid) {
            return &master->workers[i];
        }
    }
    return NULL;
}

/* A drained worker that ends is no loss; the keyholder stays wanted until the workers are gone. */
static bool is_expected(const struct master *master, const struct child *child)
{
    return child->state == CHILD_ENDING || master->state == MASTER_STOPPING ||
           (master->state == MASTER_DRAINING && child != &master->keyholder);
}

/* As the first process of a container we also inherit, and so have to wait for, strangers. */
static void reap(struct master *master)
{
    int status = 0;
    for (pid_t pid = waitpid(-1, &status, WNOHANG); pid > 0; pid = waitpid(-1, &status, WNOHANG)) {
        struct child *child = find_child(master, pid);
        if (child == NULL) {
            continue;
        }
        bool was_expected = is_expected(master, child);
        child_on_exit(child);
        if (!was_expected && !is_ending(master)) {
            on_lost(master, child, pid, status);
        } else if (!was_expected) {
            respawn_later(master, child);
        }
    }
    end_if_over(master);
}

/* ---- signals and the admin socket ---- */

static void reopen_log(struct master *master)
{
    struct process_error error = {{0}};
    int descriptor = log_settings_open(&master->config->log, &error);
    if (descriptor < 0) {
        LOG_EVENT(master->log, LOG_ERROR, "log_not_reopened", log_text("reason", error.text));
        return;
    }
    log_flush(master->log);
    (void)dup3(descriptor, master->log_descriptor, O_CLOEXEC);
    (void)close(descriptor);
    struct channel_message message = with_descriptor(CHANNEL_LOG, master->log_descriptor);
    for (size_t i = 0; i < master->worker_count; i++) {
        child_send(&master->workers[i], &message);
    }
    LOG_EVENT(master->log, LOG_INFO, "log_reopened", log_number("pid", getpid()));
}

static const char *refuse_reload(void *self)
{
    struct master *master = self;
    LOG_EVENT(master->log, LOG_WARN, "reload_refused",
              log_text("reason", "reload is not available yet"));
    return "reload is not available yet";
}

static void on_signal(void *self, int number)
{
    struct master *master = self;
    switch (number) {
    case SIGCHLD:
        reap(master);
        return;
    case SIGHUP:
        (void)refuse_reload(master);
        return;
    case SIGUSR1:
        reopen_log(master);
        return;
    default: /* SIGTERM, SIGINT: politely at first */
        if (is_ending(master)) {
            begin_stop(master);
        } else {
            begin_drain(master);
        }
    }
}

static void on_admin_drain(void *self)
{
    begin_drain(self);
}

static void on_admin_stop(void *self)
{
    begin_stop(self);
}

static struct status_child child_facts(const struct child *child, const struct counters *counters)
{
    return (struct status_child){.role = child->role,
                                 .pid = child->pid,
                                 .is_ready = child->state == CHILD_READY,
                                 .restarts = child->restarts,
                                 .counters = counters};
}

static size_t gather_children(struct master *master, struct status_child *children)
{
    size_t count = 0;
    if (has_keys(master)) {
        children[count++] = child_facts(&master->keyholder, NULL);
    }
    for (size_t i = 0; i < master->worker_count; i++) {
        children[count++] = child_facts(&master->workers[i], slots_at(master->slots, i));
    }
    return count;
}

static size_t gather_listeners(struct master *master, struct status_listener *listeners)
{
    size_t count = master->sockets == NULL ? 0 : listen_sockets_count(master->sockets);
    for (size_t i = 0; i < count; i++) {
        listeners[i] =
            (struct status_listener){.name = listen_sockets_name(master->sockets, i),
                                     .address = listen_sockets_address(master->sockets, i)};
    }
    return count;
}

static char *on_status(void *self)
{
    struct master *master = self;
    const struct master_start *start = master->start;
    size_t listeners_max = master->sockets == NULL ? 0 : listen_sockets_count(master->sockets);
    struct status_child *children = calloc(master->worker_count + 1, sizeof(*children));
    struct status_listener *listeners = calloc(listeners_max + 1, sizeof(*listeners));
    char *text = NULL;
    if (children != NULL && listeners != NULL) {
        const struct instance_status status = {
            .config = master->config->file,
            .pid = getpid(),
            .uptime_s = (clock_monotonic_us() - start->begun_us) / 1000000U,
            .is_ready = all_are_ready(master),
            .is_draining = is_ending(master),
            .is_report_mode = master->config->enforcement.mode == CONFIG_MODE_REPORT,
            .hops = start->hops,
            .violations = start->violations,
            .waived = start->waived,
            .children = children,
            .child_count = gather_children(master, children),
            .listeners = listeners,
            .listener_count = gather_listeners(master, listeners),
            .certificates = start->certificates,
            .certificate_count = start->certificate_count,
            .notices = start->notices,
            .notice_count = start->notice_count,
        };
        text = instance_status_to_json(&status);
    }
    free(children);
    free(listeners);
    return text;
}

static enum status open_admin(struct master *master)
{
    const struct config_address *address = &master->config->admin.address;
    if (address->kind != CONFIG_ADDRESS_UNIX) {
        return STATUS_OK;
    }
    const struct admin_events events = {.self = master,
                                        .on_status = on_status,
                                        .on_drain = on_admin_drain,
                                        .on_stop = on_admin_stop,
                                        .on_reload = refuse_reload};
    enum status status = admin_server_open(&master->admin, master->loop, address->path, &events);
    if (status != STATUS_OK) {
        process_error_set(master->error, "admin socket %s: %s", address->path,
                          errno == EADDRINUSE ? "another instance answers there" : strerror(errno));
    }
    return status;
}

/* ---- the run ---- */

static void raise_descriptor_limit(void)
{
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) == 0 && limit.rlim_cur < limit.rlim_max) {
        limit.rlim_cur = limit.rlim_max;
        (void)setrlimit(RLIMIT_NOFILE, &limit);
    }
}

static enum status watch_signals(struct master *master)
{
    static const int NUMBERS[] = {SIGTERM, SIGINT, SIGHUP, SIGUSR1, SIGCHLD};
    (void)signal(SIGPIPE, SIG_IGN);
    for (size_t i = 0; i < sizeof(NUMBERS) / sizeof(NUMBERS[0]); i++) {
        enum status status = loop_on_signal(master->loop, NUMBERS[i], on_signal, master);
        if (status != STATUS_OK) {
            return status;
        }
    }
    return STATUS_OK;
}

static void on_turn_end(void *self)
{
    struct master *master = self;
    log_flush(master->log);
}

static enum status open_loop(struct master *master)
{
    master->loop = loop_new();
    if (master->loop == NULL || watch_signals(master) != STATUS_OK) {
        process_error_set(master->error, "the event loop cannot be made: %s", strerror(errno));
        return STATUS_NOMEM;
    }
    master->log_descriptor = log_settings_open(&master->config->log, master->error);
    if (master->log_descriptor < 0) {
        return STATUS_SYS;
    }
    const struct config_log *settings = &master->config->log;
    master->log =
        log_new(log_settings_level(settings), log_settings_format(settings, master->log_descriptor),
                master->log_descriptor, "master");
    if (master->log == NULL) {
        process_error_set(master->error, "out of memory");
        return STATUS_NOMEM;
    }
    loop_at_turn_end(master->loop, on_turn_end, master);
    return STATUS_OK;
}

static enum status make_children(struct master *master)
{
    const struct child_events events = {.on_message = on_message,
                                        .on_garbage = on_garbage,
                                        .on_respawn = on_respawn,
                                        .self = master};
    uint64_t wanted = master->config->workers;
    master->worker_count = wanted == 0 ? processors_usable() : (size_t)wanted;
    if (master->worker_count > WORKERS_MAX) {
        master->worker_count = WORKERS_MAX;
    }
    child_init(&master->keyholder, master->loop, "keyholder", 0, &events);
    master->workers = calloc(master->worker_count, sizeof(*master->workers));
    if (master->workers == NULL) {
        process_error_set(master->error, "out of memory");
        return STATUS_NOMEM;
    }
    for (size_t i = 0; i < master->worker_count; i++) {
        char role[32];
        (void)snprintf(role, sizeof(role), "worker %zu", i + 1);
        child_init(&master->workers[i], master->loop, role, i, &events);
    }
    return STATUS_OK;
}

static enum status start_children(struct master *master)
{
    enum status status = has_keys(master) ? start_keyholder(master) : STATUS_OK;
    for (size_t i = 0; i < master->worker_count && status == STATUS_OK; i++) {
        status = start_worker(master, &master->workers[i]);
    }
    if (status != STATUS_OK) {
        process_error_set(master->error, "a child process cannot be started: %s", strerror(errno));
    }
    return status;
}

static void tell_start(struct master *master)
{
    const struct master_start *start = master->start;
    if (master->accounts.worker.is_own && geteuid() == 0) {
        LOG_EVENT(master->log, LOG_WARN, "privileges_kept",
                  log_text("reason", "root without CAP_SETUID and CAP_SETGID"));
    }
    if (master->config->enforcement.mode == CONFIG_MODE_REPORT) {
        LOG_EVENT(master->log, LOG_WARN, "report_mode",
                  log_number("violations", (int64_t)start->violations),
                  log_text("effect", "violations are reported and not refused"));
    }
    for (size_t i = 0; i < start->notice_count; i++) {
        LOG_EVENT(master->log, LOG_WARN, "notice", log_text("text", start->notices[i]));
    }
    if (start->tell != NULL) {
        start->tell(start->self, master->log);
    }
}

static enum status open_all(struct master *master)
{
    (void)umask(077);
    raise_descriptor_limit();
    enum status status = open_loop(master);
    if (status == STATUS_OK) {
        status = accounts_choose(&master->accounts, master->config->user, master->error);
    }
    if (status == STATUS_OK) {
        status = make_children(master);
    }
    if (status == STATUS_OK) {
        status =
            snapshot_open(&master->snapshot, master->config, master->start->overlay, master->error);
    }
    if (status == STATUS_OK) {
        status = open_admin(master);
    }
    if (status == STATUS_OK) {
        status = listen_sockets_open(&master->sockets, master->config, master->worker_count,
                                     master->error);
    }
    if (status == STATUS_OK) {
        master->slots = slots_new(master->worker_count);
        if (master->slots == NULL) {
            process_error_set(master->error, "shared memory: %s", strerror(errno));
            status = STATUS_SYS;
        }
    }
    return status;
}

/* Closing its channel has ended the keyholder, or soon will. */
static void wait_for_keyholder(struct master *master)
{
    child_end(&master->keyholder);
    for (int waited = 0; master->keyholder.pid > 0; waited += POLL_MS) {
        if (waitpid(master->keyholder.pid, NULL, WNOHANG) != 0) {
            return;
        }
        if (waited >= KEYHOLDER_GRACE_MS) {
            child_kill(&master->keyholder);
            (void)waitpid(master->keyholder.pid, NULL, 0);
            return;
        }
        (void)usleep(POLL_MS * 1000);
    }
}

static void close_all(struct master *master)
{
    deadline_disarm(&master->deadline);
    for (size_t i = 0; i < master->worker_count && master->workers != NULL; i++) {
        child_end(&master->workers[i]);
    }
    if (master->worker_count > 0) {
        wait_for_keyholder(master);
    }
    listen_sockets_close(master->sockets);
    admin_server_close(master->admin);
    if (master->log != NULL && master->exit == MASTER_STOPPED) {
        LOG_EVENT(master->log, LOG_INFO, "stopped", log_number("pid", getpid()));
    }
    slots_free(master->slots);
    snapshot_close(&master->snapshot);
    loop_free(master->loop);
    log_free(master->log);
    if (master->log_descriptor >= 0) {
        (void)close(master->log_descriptor);
    }
    free(master->workers);
}

enum master_exit master_run(const struct master_start *start, struct process_error *error)
{
    struct master master = {
        .start = start,
        .config = start->config,
        .error = error,
        .exit = MASTER_STOPPED,
        .log_descriptor = -1,
        .snapshot = {-1, -1},
    };
    if (open_all(&master) != STATUS_OK) {
        master.exit = MASTER_FAILED;
    } else {
        tell_start(&master);
        if (start_children(&master) != STATUS_OK) {
            master.exit = MASTER_FAILED;
        } else {
            loop_run(master.loop);
        }
    }
    close_all(&master);
    return master.exit;
}
