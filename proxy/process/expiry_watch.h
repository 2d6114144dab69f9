/* proxy/process/expiry_watch.h
 *
 * Tells, while the instance runs, that a certificate comes near its end: at the start, whenever it
 * comes within another of the policy's spans, when it has expired, and every day in between.
 *
 * Why it exists: an instance runs for months, and its last start is not when anybody should have
 * been told.
 *
 * Owner: the master.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#pragma once

#include <stddef.h>

#include "config/expiry.h"
#include "proxy/base/log.h"
#include "proxy/base/status.h"
#include "proxy/net/loop.h"

struct expiry_watch;

/* All borrowed, for as long as the watch lives. */
struct expiry_subjects {
    const struct config_expiry *policy;
    const struct expiry_date *dates;
    size_t count;
};

/* Tells what is near now, and goes on looking. STATUS_NOMEM. */
MUST_CHECK enum status expiry_watch_open(struct expiry_watch **out, struct loop *loop,
                                         struct log *log, const struct expiry_subjects *subjects);
void expiry_watch_close(struct expiry_watch *watch);

/* True once a certificate of our own has expired. */
bool expiry_has_own_expired(const struct expiry_subjects *subjects, int64_t now);
