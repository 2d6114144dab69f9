/* config/expiry.c · SPDX-License-Identifier: Apache-2.0 */
#include "config/expiry.h"

#include <stdio.h>
#include <time.h>

enum { DAY_SECONDS = 86400, SECOND_MS = 1000 };

static int64_t whole_days(int64_t seconds)
{
    int64_t days = seconds / DAY_SECONDS;
    return seconds < 0 && seconds % DAY_SECONDS != 0 ? days - 1 : days;
}

struct expiry_view expiry_look(const struct config_expiry *policy, int64_t not_after, int64_t now)
{
    int64_t left = not_after - now;
    struct expiry_view view = {.days_left = whole_days(left),
                               .is_near = left < 0,
                               .is_urgent = left < 0,
                               .is_expired = left < 0};
    uint64_t shortest = UINT64_MAX;
    uint64_t within = UINT64_MAX;
    for (size_t i = 0; i < policy->warn_count && !view.is_expired; i++) {
        uint64_t span = policy->warn_ms[i] / SECOND_MS;
        shortest = span < shortest ? span : shortest;
        within = (uint64_t)left <= span && span < within ? span : within;
    }
    if (within != UINT64_MAX) {
        view.is_near = true;
        view.is_urgent = within == shortest;
        view.within_days = (within + DAY_SECONDS - 1) / DAY_SECONDS;
    }
    return view;
}

const char *expiry_kind_name(enum expiry_kind kind)
{
    switch (kind) {
    case EXPIRY_OWN:
        return "own";
    case EXPIRY_CLIENT_CA:
        return "client_ca";
    case EXPIRY_BACKEND_CA:
        return "backend_ca";
    case EXPIRY_BACKEND:
        break;
    }
    return "backend";
}

void expiry_day(int64_t not_after, char out[EXPIRY_DAY_BYTES])
{
    struct tm utc;
    time_t time = (time_t)not_after;
    out[0] = '\0';
    if (gmtime_r(&time, &utc) != NULL) {
        (void)strftime(out, EXPIRY_DAY_BYTES, "%Y-%m-%d", &utc);
    }
}

static void format_subject(const struct expiry_date *date, char *out, size_t size)
{
    switch (date->kind) {
    case EXPIRY_OWN:
        (void)snprintf(out, size, "our certificate '%s' (%s)", date->name, date->file);
        return;
    case EXPIRY_CLIENT_CA:
        (void)snprintf(out, size, "authority %s for clients of listener '%s' (%s)", date->subject,
                       date->name, date->file);
        return;
    case EXPIRY_BACKEND_CA:
        (void)snprintf(out, size, "authority %s for backend '%s' (%s)", date->subject, date->name,
                       date->file);
        return;
    case EXPIRY_BACKEND:
        break;
    }
    (void)snprintf(out, size, "the certificate of %s in backend '%s'", date->file, date->name);
}

void expiry_sentence(const struct expiry_date *date, const struct expiry_view *view,
                     char out[EXPIRY_SENTENCE_BYTES])
{
    char subject[EXPIRY_SENTENCE_BYTES - 100];
    char day[EXPIRY_DAY_BYTES];
    format_subject(date, subject, sizeof(subject));
    expiry_day(date->not_after, day);
    if (view->is_expired) {
        (void)snprintf(out, EXPIRY_SENTENCE_BYTES, "%s expired on %s", subject, day);
        return;
    }
    if (view->days_left == 0) {
        (void)snprintf(out, EXPIRY_SENTENCE_BYTES, "%s expires on %s, in less than a day", subject,
                       day);
        return;
    }
    (void)snprintf(out, EXPIRY_SENTENCE_BYTES, "%s expires on %s, in %lld day%s", subject, day,
                   (long long)view->days_left, view->days_left == 1 ? "" : "s");
}

json_t *expiry_to_json(const struct expiry_date *date, const struct expiry_view *view)
{
    char expires[EXPIRY_DAY_BYTES] = "";
    struct tm utc;
    time_t time = (time_t)date->not_after;
    if (gmtime_r(&time, &utc) != NULL) {
        (void)strftime(expires, sizeof(expires), "%Y-%m-%dT%H:%M:%SZ", &utc);
    }
    json_t *within = view->is_near ? json_integer((json_int_t)view->within_days) : json_null();
    return json_pack("{s:s, s:s, s:s, s:s, s:s, s:I, s:o}", "kind", expiry_kind_name(date->kind),
                     "name", date->name, "file", date->file, "subject", date->subject, "expires",
                     expires, "days_left", (json_int_t)view->days_left, "within_days", within);
}
