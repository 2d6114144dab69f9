/* proxy/process/announcement.c · SPDX-License-Identifier: Apache-2.0 */
#include "proxy/process/announcement.h"

#include <unistd.h>

#include "proxy/base/clock.h"

void announcement_start(const struct master_start *start, const struct foundation *foundation)
{
    if (foundation->accounts.worker.is_own && geteuid() == 0) {
        LOG_EVENT(foundation->log, LOG_WARN, "privileges_kept",
                  log_text("reason", "root without CAP_SETUID and CAP_SETGID"));
    }
    if (start->plan->config->enforcement.mode == CONFIG_MODE_REPORT) {
        LOG_EVENT(foundation->log, LOG_WARN, "report_mode",
                  log_number("violations", (int64_t)start->plan->violations),
                  log_text("effect", "violations are reported and not refused"));
    }
    for (size_t i = 0; i < start->plan->notice_count; i++) {
        LOG_EVENT(foundation->log, LOG_WARN, "notice", log_text("text", start->plan->notices[i]));
    }
    announcement_must_staple(start->plan, foundation->log);
    start->planner.tell(start->planner.self, start->plan, foundation->log);
}

void announcement_must_staple(const struct plan *plan, struct log *log)
{
    for (size_t i = 0; i < plan->fact_count; i++) {
        const struct enforcement_facts *facts = &plan->facts[i];
        if (facts->must_staple && !facts->has_staple) {
            LOG_EVENT(log, LOG_ERROR, "must_staple_unmet",
                      log_text("certificate", plan->config->certificates[facts->certificate].name),
                      log_text("effect", "it demands a stapled response (RFC 7633), `ocsp` is off, "
                                         "and clients that heed it refuse it without"));
        }
    }
}

void announcement_ready(const struct master_start *start, const struct foundation *foundation)
{
    for (size_t i = 0; i < listen_sockets_count(foundation->sockets); i++) {
        LOG_EVENT(foundation->log, LOG_INFO, "listener_open",
                  log_text("listener", listen_sockets_name(foundation->sockets, i)),
                  log_text("address", listen_sockets_address(foundation->sockets, i)));
    }
    bool is_report = start->plan->config->enforcement.mode == CONFIG_MODE_REPORT;
    LOG_EVENT(foundation->log, LOG_INFO, "ready", log_text("version", SALLYPORT_VERSION),
              log_number("pid", getpid()), log_number("workers", (int64_t)foundation->worker_count),
              log_text("mode", is_report ? "report" : "strict"),
              log_number("hops", (int64_t)start->plan->hops),
              log_number("violations", (int64_t)start->plan->violations),
              log_number("waived", (int64_t)start->plan->waived),
              log_number("start_ms", (int64_t)((clock_monotonic_us() - start->begun_us) / 1000U)));
}
