/* proxy/commands/run.c
 *
 * sallyport run: reads the configuration (a file, or options and environment), looks at the
 * certificates, judges the hops, and becomes the master.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include <stdio.h>
#include <unistd.h>

#include "crypto/tls_policy.h"
#include "proxy/base/clock.h"
#include "proxy/commands/command.h"
#include "proxy/commands/preparation.h"
#include "proxy/process/master.h"

enum { NOTICES_MAX = 4 };

/* Everything that one run holds. */
struct run {
    struct choice choice;
    struct preparation preparation;
    const char *notices[NOTICES_MAX];
    size_t notice_count;
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

static bool wants_text(const struct run *run)
{
    const struct config_log *log = &run->preparation.config->log;
    return log->format == CONFIG_LOG_FORMAT_TEXT ||
           (log->format == CONFIG_LOG_FORMAT_AUTO && isatty(STDERR_FILENO) == 1);
}

/* People see the hops before anything starts; a violation ends it here in strict mode. */
static enum command_exit show_posture(const struct run *run)
{
    const struct posture *posture = run->preparation.posture;
    if (wants_text(run)) {
        posture_print(posture, stderr);
    }
    if (posture->violations > 0 &&
        run->preparation.config->enforcement.mode == CONFIG_MODE_STRICT) {
        posture_print_violations(posture, stderr);
        return COMMAND_REFUSED;
    }
    return COMMAND_FINE;
}

/* One event a hop, for whoever reads JSON; people have the table. */
static void tell_posture(const void *self, struct log *log)
{
    const struct run *run = self;
    for (size_t i = 0; i < run->preparation.posture->count && !wants_text(run); i++) {
        const struct judged_hop *judged = &run->preparation.posture->hops[i];
        LOG_EVENT(log, judged->verdict == VERDICT_OK ? LOG_INFO : LOG_WARN, "hop",
                  log_text("hop", judged->hop.name), log_text("from", judged->hop.from),
                  log_text("to", judged->hop.to),
                  log_text("protection", hop_protection_name(&judged->hop)),
                  log_text("verdict", verdict_name(judged->verdict)),
                  log_text("reason", judged->reason == NULL ? "" : judged->reason));
    }
    if (run->preparation.has_local) {
        LOG_EVENT(log, LOG_INFO, "local_ca", log_text("certificate", run->preparation.local.ca),
                  log_flag("new", run->preparation.local.is_new_ca));
    }
}

static void gather_notices(struct run *run)
{
    if (run->preparation.config->listener_count > 0 && !tls_policy_is_post_quantum()) {
        run->notices[run->notice_count++] =
            "this OpenSSL has no X25519MLKEM768: key exchange is not post-quantum (OpenSSL 3.5 "
            "has it)";
    }
}

static enum command_exit run_master(struct run *run, uint64_t begun_us)
{
    const struct preparation *preparation = &run->preparation;
    gather_notices(run);
    const struct master_start start = {
        .config = preparation->config,
        .overlay = preparation->overlay,
        .begun_us = begun_us,
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
        .notices = run->notices,
        .notice_count = run->notice_count,
        .tell = tell_posture,
        .self = run,
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
    enum command_exit status = preparation_make(&run->preparation, &run->choice, false);
    if (status == COMMAND_FINE) {
        status = show_posture(run);
    }
    if (status == COMMAND_FINE && run->preparation.has_local && wants_text(run)) {
        local_certificate_print_advice(&run->preparation.local, stderr);
    }
    return status == COMMAND_FINE ? run_master(run, begun_us) : status;
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
    enum command_exit status = run_all(&run);
    preparation_fini(&run.preparation);
    return (int)status;
}
