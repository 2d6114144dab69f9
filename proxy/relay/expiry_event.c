/* proxy/relay/expiry_event.c · SPDX-License-Identifier: Apache-2.0 */
#include "proxy/relay/expiry_event.h"

#include "proxy/relay/relay_shared.h"
#include "proxy/upstream/server.h"

void expiry_tell(struct log *log, const struct expiry_date *date, const struct expiry_view *view)
{
    char day[EXPIRY_DAY_BYTES];
    char sentence[EXPIRY_SENTENCE_BYTES];
    expiry_day(date->not_after, day);
    expiry_sentence(date, view, sentence);
    LOG_EVENT(log, view->is_urgent ? LOG_ERROR : LOG_WARN,
              view->is_expired ? "certificate_expired" : "certificate_expires",
              log_text("certificate", date->name), log_text("kind", expiry_kind_name(date->kind)),
              log_text("file", date->file), log_text("subject", date->subject),
              log_text("expires", day), log_number("days_left", view->days_left),
              log_number("within_days", (int64_t)view->within_days), log_text("text", sentence));
}

void expiry_note_server(const struct relay_shared *shared, const struct server *server,
                        int64_t not_after, int64_t now)
{
    struct expiry_view view = expiry_look(&shared->config->enforcement.expiry, not_after, now);
    if (!view.is_near) {
        return;
    }
    counter_add(shared->counters, COUNTER_SERVER_CERTIFICATES_NEAR, 1);
    const struct expiry_date date = {.kind = EXPIRY_BACKEND,
                                     .name = server->backend->name,
                                     .file = server->config->url,
                                     .subject = "",
                                     .not_after = not_after};
    expiry_tell(shared->log, &date, &view);
}
