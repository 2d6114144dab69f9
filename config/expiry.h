/* config/expiry.h
 *
 * How near the end of a certificate is, by the policy's own measure (enforcement.expiry), and how
 * that is said: in the posture, in `status` and in the log.
 *
 * Why it exists: a certificate that ends is the outage that everybody could have seen coming. The
 * same few lines decide for our own certificates, for the authorities that we believe, and for what
 * servers show.
 *
 * Pure: no clock, no files. Owner: whoever has the date; strings are borrowed.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#pragma once

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "config/model.h"

enum expiry_kind {
    EXPIRY_OWN,        /* `name` is the certificate's */
    EXPIRY_CLIENT_CA,  /* `name` is the listener's */
    EXPIRY_BACKEND_CA, /* `name` is the backend's */
    EXPIRY_BACKEND,    /* what a server has shown; `name` is its backend's, `file` its URL */
};

/* When one certificate ends. */
struct expiry_date {
    enum expiry_kind kind;
    const char *name;
    const char *file;
    const char *subject; /* of an authority; "": the name says enough */
    int64_t not_after;   /* seconds since 1970 */
};

/* A date as seen at a moment. */
struct expiry_view {
    int64_t days_left; /* whole ones, rounded down; negative: expired */
    bool is_near;      /* within one of the policy's spans, or expired */
    bool is_urgent;    /* within the shortest of them, or expired */
    bool is_expired;
    uint64_t within_days; /* the shortest span that it is within; 0: expired, or not near */
};

struct expiry_view expiry_look(const struct config_expiry *policy, int64_t not_after, int64_t now);

/* "own", "client_ca", "backend_ca", "backend" */
const char *expiry_kind_name(enum expiry_kind kind);

enum { EXPIRY_SENTENCE_BYTES = 1024, EXPIRY_DAY_BYTES = 32 };

/* "2026-12-01" */
void expiry_day(int64_t not_after, char out[EXPIRY_DAY_BYTES]);

/* "our certificate 'web' (web.pem) expires on 2026-12-01, in 3 days" */
void expiry_sentence(const struct expiry_date *date, const struct expiry_view *view,
                     char out[EXPIRY_SENTENCE_BYTES]);

/* {"kind", "name", "file", "subject", "expires", "days_left", "within_days"}; within_days is null
 * while it is not near. The caller decrefs it. NULL: out of memory, or text that is not UTF-8. */
json_t *expiry_to_json(const struct expiry_date *date, const struct expiry_view *view);
