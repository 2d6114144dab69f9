/* proxy/process/staples.h
 *
 * The OCSP responses that workers staple: asked for at the start and again when the schedule says
 * (staple_schedule.h), for each certificate with `ocsp: auto` that names a responder, one at a
 * time, by a short-lived child without privilege. What comes back is verified here before any
 * worker sees it.
 *
 * Why it exists: a responder that is down, slow or lying must never delay a start, a handshake or
 * another certificate; the last good response is kept as long as it holds. What takes its place is
 * a later one only: "revoked" ends it at once (and is not stapled itself, identity.h), "unknown" is
 * a failure.
 *
 * Owner: the master.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#pragma once

#include "proxy/process/roster.h"
#include "proxy/process/staple.h"

struct staples;

/* Reads the certificates from the generation's snapshot; responses that `former` has for the same
 * ones are kept (NULL: there are none). *out is NULL when no certificate wants one. The config is
 * borrowed. */
MUST_CHECK enum status staples_open(struct staples **out, struct roster *roster,
                                    const struct live_generation *generation,
                                    const struct config *config, const struct staples *former);

/* From now on it asks. NULL is fine. */
void staples_start(struct staples *staples);

/* Ends a fetcher that runs. NULL is fine, here and below. */
void staples_close(struct staples *staples);

/* A worker has become ready: it gets what there is. */
void staples_give(struct staples *staples, struct child *worker);

/* What is known of a certificate of the configuration. */
struct staple_facts {
    enum staple_state state;
    unsigned failures; /* in a row */
    time_t ends_at;    /* of the response; 0: none */
};

struct staple_facts staples_facts(const struct staples *staples, size_t certificate, time_t now);

/* Whether `pid` is the fetcher's, which has ended; acts on it. */
bool staples_on_exit(struct staples *staples, pid_t pid);
