/* proxy/route/claims.h
 *
 * What a request says about its own origin: taken out of its fields, so that nothing a client
 * claims reaches a backend, and remembered as far as it may be believed.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#pragma once

#include <stdbool.h>

#include "proxy/base/arena.h"
#include "proxy/base/status.h"
#include "proxy/http/field.h"

/* Zero is a valid "nothing was claimed". */
struct claims {
    /* of a trusted proxy only */
    slice forwarded_for; /* all fields joined */
    slice forwarded;     /* all fields joined */
    slice proto;         /* the first member, not validated; so are the next three */
    slice host;
    slice port;
    slice real_ip;

    /* of anybody */
    slice id;              /* X-Request-Id, of harmless characters and length */
    unsigned traceparents; /* how many fields */
    slice traceparent;     /* the last, not validated */
};

/* Removes the fields that request_rules.h lists. STATUS_NOMEM: the arena is full; the fields are
 * as they were. */
MUST_CHECK enum status claims_take(struct fields *fields, bool is_trusted, struct arena *arena,
                                   struct claims *out);
