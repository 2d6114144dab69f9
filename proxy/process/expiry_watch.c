/* proxy/process/expiry_watch.c · SPDX-License-Identifier: Apache-2.0 */
#include "proxy/process/expiry_watch.h"

#include <stdlib.h>
#include <time.h>

#include "proxy/net/timer.h"
#include "proxy/relay/expiry_event.h"

enum { TICK_MS = 5000, AGAIN_SECONDS = 86400 };

/* What was last told of one certificate. */
struct told {
    bool is_told;
    bool is_expired;
    uint64_t within_days;
    int64_t at;
};

struct expiry_watch {
    struct loop *loop;
    struct log *log;
    struct expiry_subjects subjects;
    struct told *told; /* one a date */
    struct deadline tick;
};

static bool is_news(const struct told *told, const struct expiry_view *view, int64_t now)
{
    return view->is_near &&
           (!told->is_told || told->is_expired != view->is_expired ||
            told->within_days != view->within_days || now - told->at >= AGAIN_SECONDS);
}

static void look(struct expiry_watch *watch, int64_t now)
{
    for (size_t i = 0; i < watch->subjects.count; i++) {
        const struct expiry_date *date = &watch->subjects.dates[i];
        struct expiry_view view = expiry_look(watch->subjects.policy, date->not_after, now);
        if (is_news(&watch->told[i], &view, now)) {
            expiry_tell(watch->log, date, &view);
            watch->told[i] = (struct told){true, view.is_expired, view.within_days, now};
        }
    }
}

/* The clock may be set, so the moments of change are not waited for but looked for. */
static void on_tick(void *self)
{
    struct expiry_watch *watch = self;
    look(watch, (int64_t)time(NULL));
    deadline_arm(&watch->tick, watch->loop, TICK_MS, on_tick, watch);
}

enum status expiry_watch_open(struct expiry_watch **out, struct loop *loop, struct log *log,
                              const struct expiry_subjects *subjects)
{
    struct expiry_watch *watch = calloc(1, sizeof(*watch));
    struct told *told = calloc(subjects->count + 1, sizeof(*told));
    if (watch == NULL || told == NULL) {
        free(watch);
        free(told);
        return STATUS_NOMEM;
    }
    *watch = (struct expiry_watch){.loop = loop, .log = log, .subjects = *subjects, .told = told};
    on_tick(watch);
    *out = watch;
    return STATUS_OK;
}

void expiry_watch_close(struct expiry_watch *watch)
{
    if (watch != NULL) {
        deadline_disarm(&watch->tick);
        free(watch->told);
        free(watch);
    }
}

bool expiry_has_own_expired(const struct expiry_subjects *subjects, int64_t now)
{
    for (size_t i = 0; i < subjects->count; i++) {
        if (subjects->dates[i].kind == EXPIRY_OWN && subjects->dates[i].not_after < now) {
            return true;
        }
    }
    return false;
}
