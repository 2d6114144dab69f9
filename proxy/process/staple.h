/* proxy/process/staple.h
 *
 * One certificate that wants to be stapled: the response that it has, and when to ask for the next.
 *
 * Owner: staples.c. Embedded; fields are for reading, except for the schedule.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <time.h>

#include "crypto/certificate.h"
#include "crypto/ocsp.h"
#include "proxy/process/staple_schedule.h"

enum staple_state {
    STAPLE_OFF,     /* not asked for: `ocsp` is off or a file, or nobody can be asked */
    STAPLE_WAITING, /* for a response; the last one may have run out */
    STAPLE_GOOD,
    STAPLE_REVOKED,
};

struct staple {
    size_t index;                    /* of the configuration */
    struct certificate *certificate; /* its own reference */
    int response;                    /* sealed, verified, good or revoked; -1: none yet */
    struct ocsp_facts facts;         /* of the response */
    struct staple_schedule schedule;
};

/* Why a certificate cannot be asked for; NULL: it can. */
const char *staple_why_not(const struct certificate *certificate);

void staple_fini(struct staple *staple);

enum staple_state staple_state(const struct staple *staple, time_t now);

/* The question, sealed: a descriptor of the caller's. -1 with a sentence. */
int staple_request(const struct staple *staple, struct crypto_error *error);

/* Takes the descriptor of an answer, and keeps it if it is verified, says something, and is not
 * older than what is there. False with a sentence: nothing has changed. */
bool staple_take(struct staple *staple, int descriptor, time_t now, struct crypto_error *error);

/* The same certificate, perhaps at another index of another configuration, needs no new answer, and
 * its responder no new question before its time. False: it is another. */
bool staple_succeed(struct staple *staple, const struct staple *former);
