/* proxy/commands/run.c
 *
 * sallyport run: reads the configuration (a file, or options and environment), looks at the
 * certificates, judges the hops, and becomes the master. In an upgrade it takes the place of a
 * former program, after a rehearsal that did all but that.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "crypto/tls_policy.h"
#include "proxy/base/clock.h"
#include "proxy/commands/command.h"
#include "proxy/commands/preparation.h"
#include "proxy/process/foundation.h"
#include "proxy/process/handover_text.h"
#include "proxy/process/holding.h"
#include "proxy/process/inheritance.h"
#include "proxy/process/inherited_sockets.h"
#include "proxy/process/invocation.h"
#include "proxy/process/log_settings.h"
#include "proxy/process/master.h"
#include "proxy/process/snapshot.h"

enum { NOTICES_MAX = 4 };

/* A plan with all that it points at. */
struct run_plan {
    struct plan plan;
    struct preparation preparation;
    const char *notices[NOTICES_MAX];
};

/* Everything that one run holds. */
struct run {
    struct choice choice;
    struct invocation invocation;
    bool has_invocation;
    struct handover handover;
    bool has_handover;
    bool is_rehearsal;
    struct inherited_sockets *inherited;
};

static void print_help(void)
{
    (void)printf("Usage: sallyport run [-c FILE]\n"
                 "       sallyport run --to URL [OPTIONS]\n\n"
                 "Runs the proxy in the foreground. With --to there is no file: a local\n"
                 "certificate authority and an RSA-2048 certificate are made once and used\n"
                 "again.\n\n");
    choice_print_options();
    (void)printf("\nExit status: 0 ended as told, 1 refused by policy, 2 bad input, 3 a system "
                 "failure.\n");
}

/* ---- posture ---- */

static bool wants_text(const struct config *config)
{
    const struct config_log *log = &config->log;
    return log->format == CONFIG_LOG_FORMAT_TEXT ||
           (log->format == CONFIG_LOG_FORMAT_AUTO && isatty(STDERR_FILENO) == 1);
}

/* A violation ends it here in strict mode. */
static enum command_exit refuse_violations(const struct preparation *preparation, FILE *out)
{
    const struct posture *posture = preparation->posture;
    if (posture->violations > 0 && preparation->config->enforcement.mode == CONFIG_MODE_STRICT) {
        posture_print_violations(posture, out);
        return COMMAND_REFUSED;
    }
    return COMMAND_FINE;
}

/* People see the hops before anything starts. */
static enum command_exit show_posture(const struct preparation *preparation)
{
    if (wants_text(preparation->config)) {
        posture_print(preparation->posture, stderr);
    }
    return refuse_violations(preparation, stderr);
}

static struct run_plan *run_plan_of(const struct plan *plan)
{
    return (struct run_plan *)(uintptr_t)plan; /* its first member */
}

/* One event a hop, for whoever reads JSON; people have the table. */
static void tell_posture(void *self, const struct plan *plan, struct log *log)
{
    (void)self;
    const struct preparation *preparation = &run_plan_of(plan)->preparation;
    for (size_t i = 0; i < preparation->posture->count && !wants_text(plan->config); i++) {
        const struct judged_hop *judged = &preparation->posture->hops[i];
        LOG_EVENT(log, judged->verdict == VERDICT_OK ? LOG_INFO : LOG_WARN, "hop",
                  log_text("hop", judged->hop.name), log_text("from", judged->hop.from),
                  log_text("to", judged->hop.to),
                  log_text("protection", hop_protection_name(&judged->hop)),
                  log_text("verdict", verdict_name(judged->verdict)),
                  log_text("reason", judged->reason == NULL ? "" : judged->reason));
    }
    if (preparation->has_local) {
        LOG_EVENT(log, LOG_INFO, "local_ca", log_text("certificate", preparation->local.ca),
                  log_flag("new", preparation->local.is_new_ca));
    }
}

/* ---- plans ---- */

static size_t gather_notices(const struct config *config, const char **notices)
{
    size_t count = 0;
    if (config->listener_count > 0 && !tls_policy_is_post_quantum()) {
        notices[count++] =
            "this OpenSSL has no X25519MLKEM768: key exchange is not post-quantum (OpenSSL 3.5 "
            "has it)";
    }
    return count;
}

static void fill_plan(struct run_plan *made)
{
    const struct preparation *preparation = &made->preparation;
    made->plan = (struct plan){
        .config = preparation->config,
        .overlay = preparation->overlay,
        .hops = preparation->posture->count,
        .violations = preparation->posture->violations,
        .waived = preparation->posture->waived,
        .facts = preparation->inspection.facts,
        .fact_count = preparation->inspection.fact_count,
        .certificates = preparation->inspection.certificates,
        .certificate_count = preparation->inspection.fact_count,
        .dates = {.policy = &preparation->config->enforcement.expiry,
                  .dates = preparation->inspection.dates,
                  .count = preparation->inspection.date_count},
        .notices = made->notices,
        .notice_count = gather_notices(preparation->config, made->notices),
    };
}

static void free_plan(void *self, const struct plan *plan)
{
    (void)self;
    struct run_plan *made = run_plan_of(plan);
    preparation_fini(&made->preparation);
    free(made);
}

static enum plan_status make_plan(void *self, const struct bundle *yaml, FILE *complaints,
                                  const struct plan **out)
{
    struct run *run = self;
    struct run_plan *made = calloc(1, sizeof(*made));
    if (made == NULL) {
        (void)fprintf(complaints, "out of memory\n");
        return PLAN_SYSTEM;
    }
    enum command_exit status =
        preparation_repeat(&made->preparation, &run->choice, yaml, complaints);
    if (status == COMMAND_FINE) {
        status = refuse_violations(&made->preparation, complaints);
    }
    if (status != COMMAND_FINE) {
        free_plan(self, &made->plan);
        return (enum plan_status)status;
    }
    fill_plan(made);
    *out = &made->plan;
    return PLAN_FINE;
}

/* ---- the run ---- */

/* There is no way back to the former program, but its children are there. */
static enum command_exit hold(struct run *run, const char *reason)
{
    struct process_error error = {{0}};
    if (holding_run(&run->handover, run->has_invocation ? &run->invocation : NULL, reason,
                    &error) == STATUS_OK) {
        return COMMAND_FINE;
    }
    (void)fprintf(stderr, "%s\n%s\n", reason, error.text);
    return COMMAND_SYSTEM;
}

static enum command_exit run_master(struct run *run, struct run_plan *first, uint64_t begun_us)
{
    fill_plan(first);
    const struct master_start start = {
        .plan = &first->plan,
        .planner = {.self = run, .make = make_plan, .free = free_plan, .tell = tell_posture},
        .inherited = run->inherited,
        .begun_us = begun_us,
        .invocation = run->has_invocation ? &run->invocation : NULL,
        .handover = run->has_handover ? &run->handover : NULL,
    };
    struct process_error error = {{0}};
    if (master_run(&start, &error) == MASTER_STOPPED) {
        return COMMAND_FINE;
    }
    if (run->has_handover) {
        return hold(run, error.text);
    }
    (void)fprintf(stderr, "%s\n", error.text);
    return COMMAND_SYSTEM;
}

/* Plans as a reload does, so that what is wrong can be told by whoever holds our place. */
static enum command_exit run_after_another(struct run *run, uint64_t begun_us)
{
    const struct plan *first = NULL;
    char *text = NULL;
    size_t len = 0;
    FILE *complaints = open_memstream(&text, &len);
    bool is_planned = complaints != NULL && choice_settle(&run->choice) &&
                      make_plan(run, NULL, complaints, &first) == PLAN_FINE;
    if (complaints != NULL) {
        (void)fclose(complaints);
    }
    enum command_exit status =
        is_planned ? run_master(run, run_plan_of(first), begun_us)
                   : hold(run, text == NULL || len == 0 ? "no configuration" : text);
    free(text);
    return status;
}

/* Says which handovers we understand, if all is as it must be; see proxy/process/rehearsal.h. */
static enum command_exit rehearse(struct preparation *preparation)
{
    struct process_error error = {{0}};
    struct snapshot snapshot = {-1, -1};
    const struct config *config = preparation->config;
    enum command_exit status = refuse_violations(preparation, stderr);
    if (status != COMMAND_FINE) {
        return status;
    }
    int log = config->log.destination.path == NULL ? -1 : log_settings_open(&config->log, &error);
    if (log >= 0) {
        (void)close(log);
    }
    if (error.text[0] == '\0') {
        (void)!snapshot_open(&snapshot, config, preparation->overlay, NULL, &error);
        snapshot_close(&snapshot);
    }
    if (error.text[0] != '\0') {
        (void)fprintf(stderr, "%s\n", error.text);
        return COMMAND_BAD_INPUT;
    }
    (void)printf("sallyport-handover %d\n", HANDOVER_VERSION);
    return COMMAND_FINE;
}

static enum command_exit say_refused(enum status status, const struct process_error *error)
{
    (void)fprintf(stderr, "%s\n", error->text);
    return status == STATUS_REFUSED ? COMMAND_BAD_INPUT : COMMAND_SYSTEM;
}

/* Before anything else is executed, which must not get the sockets too. */
static enum command_exit inherit(struct run *run)
{
    struct process_error error = {{0}};
    enum status status = inherited_sockets_open(&run->inherited, &error);
    return status == STATUS_OK ? COMMAND_FINE : say_refused(status, &error);
}

static enum command_exit check_inherited(const struct run *run, const struct config *config)
{
    struct process_error error = {{0}};
    enum status status =
        inherited_sockets_check(run->inherited, config, foundation_count_workers(config), &error);
    return status == STATUS_OK ? COMMAND_FINE : say_refused(status, &error);
}

static enum command_exit run_all(struct run *run)
{
    uint64_t begun_us = clock_monotonic_us();
    if (run->has_handover) {
        return run_after_another(run, begun_us);
    }
    struct run_plan *first = calloc(1, sizeof(*first));
    if (first == NULL) {
        (void)fprintf(stderr, "sallyport run: out of memory\n");
        return COMMAND_SYSTEM;
    }
    struct preparation *preparation = &first->preparation;
    enum command_exit status = preparation_make(preparation, &run->choice, run->is_rehearsal);
    if (run->is_rehearsal) {
        status = status == COMMAND_FINE ? rehearse(preparation) : status;
        free_plan(run, &first->plan);
        return status;
    }
    if (status == COMMAND_FINE) {
        status = check_inherited(run, preparation->config);
    }
    if (status == COMMAND_FINE) {
        status = show_posture(preparation);
    }
    if (status != COMMAND_FINE) {
        free_plan(run, &first->plan);
        return status;
    }
    if (preparation->has_local && wants_text(preparation->config)) {
        local_certificate_print_advice(&preparation->local, stderr);
    }
    return run_master(run, first, begun_us);
}

/* False: told on standard error. */
static bool take_handover(struct run *run)
{
    struct process_error error = {{0}};
    enum status status = inheritance_take(&run->handover, &error);
    run->has_handover = status == STATUS_OK;
    if (status == STATUS_REFUSED) {
        (void)fprintf(stderr, "sallyport run: %s\n", error.text);
    }
    return status != STATUS_REFUSED;
}

/* The word is no option, since nobody but a running instance has a use for it. */
static bool take_rehearsal(struct run *run, int *argc, char ***argv)
{
    run->is_rehearsal = *argc > 1 && strcmp((*argv)[1], INVOCATION_REHEARSE) == 0;
    if (run->is_rehearsal) {
        (*argv)[1] = (*argv)[0];
        (*argv)++;
        (*argc)--;
    }
    return run->is_rehearsal;
}

static int start(struct run *run, int argc, char **argv)
{
    if (!choice_read(&run->choice, argc, argv)) {
        return run->has_handover ? (int)hold(run, "its options are not understood")
                                 : COMMAND_BAD_INPUT;
    }
    if (run->choice.is_help) {
        print_help();
        return COMMAND_FINE;
    }
    enum command_exit status = inherit(run);
    return status == COMMAND_FINE ? (int)run_all(run) : (int)status;
}

int command_run(int argc, char **argv)
{
    struct run run = {0};
    handover_init(&run.handover);
    if (!take_rehearsal(&run, &argc, &argv) && !take_handover(&run)) {
        return COMMAND_BAD_INPUT;
    }
    run.has_invocation = !run.is_rehearsal && invocation_open(&run.invocation) == STATUS_OK;
    int status = start(&run, argc, argv);
    inherited_sockets_close(run.inherited);
    invocation_close(&run.invocation);
    inheritance_close(&run.handover);
    return status;
}
