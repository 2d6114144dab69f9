/* proxy/commands/run.c
 *
 * sallyport run: reads the configuration (a file, or options and environment), looks at the
 * certificates, judges the hops, and becomes the master.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "config/arguments.h"
#include "config/bundle.h"
#include "config/enforcement.h"
#include "config/load.h"
#include "crypto/tls_policy.h"
#include "proxy/base/clock.h"
#include "proxy/commands/command.h"
#include "proxy/commands/inspection.h"
#include "proxy/commands/instance.h"
#include "proxy/commands/local_certificate.h"
#include "proxy/process/master.h"

enum { NOTICES_MAX = 4 };

/* Everything that one run holds. */
struct run {
    const char *file; /* -c; NULL: not given */
    struct arguments arguments;
    bool is_help;
    char admin[INSTANCE_PATH_BYTES];
    struct local_ca_files local;
    bool has_local;
    struct bundle *overlay;
    struct problem_list *problems;
    struct config *config;
    struct inspection inspection;
    struct posture *posture;
    const char *notices[NOTICES_MAX];
    size_t notice_count;
};

/* ---- options ---- */

static bool read_option(struct run *run, const char *option, const char *value)
{
    if (value == NULL) {
        (void)fprintf(stderr, "sallyport run: %s takes a value\n", option);
        return false;
    }
    if (strcmp(option, "-c") == 0 || strcmp(option, "--config") == 0) {
        run->file = value;
        return true;
    }
    enum argument argument = argument_find(option);
    if (argument == ARGUMENT_COUNT) {
        (void)fprintf(stderr, "sallyport run: there is no option `%s`; see --help\n", option);
        return false;
    }
    run->arguments.values[argument] = value;
    return true;
}

/* Options come in pairs, as `--to URL` or `--to=URL`. */
static bool read_options(struct run *run, int argc, char **argv)
{
    static char names[16][32];
    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], "--help") == 0 || strcmp(argv[i], "-h") == 0) {
            run->is_help = true;
            return true;
        }
        const char *equals = strncmp(argv[i], "--", 2) == 0 ? strchr(argv[i], '=') : NULL;
        if (equals != NULL) {
            char *name = names[i % 16];
            (void)snprintf(name, sizeof(names[0]), "%.*s", (int)(equals - argv[i]), argv[i]);
            if (!read_option(run, name, equals + 1)) {
                return false;
            }
            continue;
        }
        if (!read_option(run, argv[i], i + 1 < argc ? argv[i + 1] : NULL)) {
            return false;
        }
        i++;
    }
    return true;
}

static void print_help(void)
{
    (void)printf("Usage: sallyport run [-c FILE]\n"
                 "       sallyport run --to URL [OPTIONS]\n\n"
                 "Runs the proxy in the foreground. Without -c and --to it reads %s.\n"
                 "With --to there is no file: a local certificate authority and an RSA-2048\n"
                 "certificate are made once and used again.\n\n"
                 "  %-22s the configuration file\n",
                 INSTANCE_CONFIG_FILE, "-c FILE");
    for (enum argument argument = 0; argument < ARGUMENT_COUNT; argument++) {
        (void)printf("  %-22s %s (or %s)\n", argument_option(argument), argument_doc(argument),
                     argument_variable(argument));
    }
    (void)printf("\nExit status: 0 ended as told, 1 refused by policy, 2 bad input, 3 a system "
                 "failure.\n");
}

/* ---- configuration ---- */

/* What an instance without a file needs beyond its arguments: where it is administered, and a
 * certificate. */
static bool complete_arguments(struct run *run)
{
    const char **values = run->arguments.values;
    if (values[ARGUMENT_ADMIN] == NULL) {
        instance_default_admin(run->admin, sizeof(run->admin));
        values[ARGUMENT_ADMIN] = run->admin[0] == '\0' ? NULL : run->admin;
    }
    if (values[ARGUMENT_CERTIFICATE] != NULL || values[ARGUMENT_KEY] != NULL) {
        return true;
    }
    if (!local_certificate_make(&run->local, values[ARGUMENT_HOST])) {
        return false;
    }
    run->has_local = true;
    values[ARGUMENT_CERTIFICATE] = run->local.chain;
    values[ARGUMENT_KEY] = run->local.key;
    return true;
}

static enum command_exit load(struct run *run)
{
    run->problems = problem_list_new();
    if (run->problems == NULL) {
        return COMMAND_SYSTEM;
    }
    bool has_to = run->arguments.values[ARGUMENT_TO] != NULL;
    if (run->file != NULL && has_to) {
        (void)fprintf(stderr, "sallyport run: -c and --to exclude each other\n");
        return COMMAND_BAD_INPUT;
    }
    if (run->file == NULL) {
        arguments_from_environment(&run->arguments);
    }
    if (run->file != NULL || !arguments_are_enough(&run->arguments)) {
        struct source source = source_files(NULL);
        const char *file = run->file == NULL ? INSTANCE_CONFIG_FILE : run->file;
        run->config = config_load(&source, file, run->problems);
        return COMMAND_FINE;
    }
    if (!complete_arguments(run)) {
        return COMMAND_SYSTEM;
    }
    run->overlay = bundle_new();
    if (run->overlay == NULL) {
        return COMMAND_SYSTEM;
    }
    run->config = arguments_load(&run->arguments, run->overlay, run->problems);
    return COMMAND_FINE;
}

static enum command_exit inspect(struct run *run)
{
    struct source source = source_files(run->overlay);
    if (run->config != NULL &&
        !inspection_make(&run->inspection, run->config, &source, run->problems)) {
        return COMMAND_SYSTEM;
    }
    if (problem_count(run->problems) > 0 || run->config == NULL) {
        problem_list_print(run->problems, stderr);
        return COMMAND_BAD_INPUT;
    }
    return COMMAND_FINE;
}

/* ---- posture ---- */

static bool wants_text(const struct run *run)
{
    const struct config_log *log = &run->config->log;
    return log->format == CONFIG_LOG_FORMAT_TEXT ||
           (log->format == CONFIG_LOG_FORMAT_AUTO && isatty(STDERR_FILENO) == 1);
}

static enum command_exit judge(struct run *run)
{
    run->posture = posture_new(run->config, run->inspection.facts, run->inspection.fact_count,
                               (int64_t)time(NULL));
    if (run->posture == NULL) {
        return COMMAND_SYSTEM;
    }
    if (wants_text(run)) {
        posture_print(run->posture, stderr);
    }
    if (run->posture->violations > 0 && run->config->enforcement.mode == CONFIG_MODE_STRICT) {
        posture_print_violations(run->posture, stderr);
        return COMMAND_REFUSED;
    }
    return COMMAND_FINE;
}

/* One event a hop, for whoever reads JSON; people have the table. */
static void tell_posture(const void *self, struct log *log)
{
    const struct run *run = self;
    for (size_t i = 0; i < run->posture->count && !wants_text(run); i++) {
        const struct judged_hop *judged = &run->posture->hops[i];
        LOG_EVENT(log, judged->verdict == VERDICT_OK ? LOG_INFO : LOG_WARN, "hop",
                  log_text("hop", judged->hop.name), log_text("from", judged->hop.from),
                  log_text("to", judged->hop.to),
                  log_text("protection", hop_protection_name(judged->hop.protection)),
                  log_text("verdict", verdict_name(judged->verdict)),
                  log_text("reason", judged->reason == NULL ? "" : judged->reason));
    }
    if (run->has_local) {
        LOG_EVENT(log, LOG_INFO, "local_ca", log_text("certificate", run->local.ca),
                  log_flag("new", run->local.is_new_ca));
    }
}

static void gather_notices(struct run *run)
{
    if (!tls_policy_is_post_quantum()) {
        run->notices[run->notice_count++] =
            "this OpenSSL has no X25519MLKEM768: key exchange is not post-quantum (OpenSSL 3.5 "
            "has it)";
    }
}

static enum command_exit run_master(struct run *run, uint64_t begun_us)
{
    gather_notices(run);
    const struct master_start start = {
        .config = run->config,
        .overlay = run->overlay,
        .begun_us = begun_us,
        .hops = run->posture->count,
        .violations = run->posture->violations,
        .waived = run->posture->waived,
        .certificates = run->inspection.certificates,
        .certificate_count = run->inspection.fact_count,
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
    enum command_exit status = load(run);
    if (status == COMMAND_FINE) {
        status = inspect(run);
    }
    if (status == COMMAND_FINE) {
        status = judge(run);
    }
    if (status == COMMAND_FINE && run->has_local && wants_text(run)) {
        local_certificate_print_advice(&run->local, stderr);
    }
    return status == COMMAND_FINE ? run_master(run, begun_us) : status;
}

int command_run(int argc, char **argv)
{
    static struct run run;
    if (!read_options(&run, argc, argv)) {
        return COMMAND_BAD_INPUT;
    }
    if (run.is_help) {
        print_help();
        return COMMAND_FINE;
    }
    enum command_exit status = run_all(&run);
    posture_free(run.posture);
    inspection_fini(&run.inspection);
    config_free(run.config);
    problem_list_free(run.problems);
    bundle_free(run.overlay);
    return (int)status;
}
