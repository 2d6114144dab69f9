/* proxy/commands/run.c
 *
 * sallyport run: reads the configuration (a file, or options and environment), looks at the
 * certificates, judges the hops, and becomes the master.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "crypto/tls_policy.h"
#include "proxy/base/clock.h"
#include "proxy/commands/command.h"
#include "proxy/commands/preparation.h"
#include "proxy/process/master.h"

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

static enum command_exit run_master(struct run *run, struct run_plan *first, uint64_t begun_us)
{
    fill_plan(first);
    const struct master_start start = {
        .plan = &first->plan,
        .planner = {.self = run, .make = make_plan, .free = free_plan, .tell = tell_posture},
        .begun_us = begun_us,
    };
    struct process_error error = {{0}};
    if (master_run(&start, &error) == MASTER_STOPPED) {
        return COMMAND_FINE;
    }
    (void)fprintf(stderr, "%s\n", error.text);
    return COMMAND_SYSTEM;
}

static enum command_exit run_all(struct run *run)
{
    uint64_t begun_us = clock_monotonic_us();
    struct run_plan *first = calloc(1, sizeof(*first));
    if (first == NULL) {
        (void)fprintf(stderr, "sallyport run: out of memory\n");
        return COMMAND_SYSTEM;
    }
    struct preparation *preparation = &first->preparation;
    enum command_exit status = preparation_make(preparation, &run->choice, false);
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

int command_run(int argc, char **argv)
{
    struct run run = {0};
    if (!choice_read(&run.choice, argc, argv)) {
        return COMMAND_BAD_INPUT;
    }
    if (run.choice.is_help) {
        print_help();
        return COMMAND_FINE;
    }
    return (int)run_all(&run);
}
