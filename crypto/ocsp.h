/* crypto/ocsp.h
 *
 * The pure part of OCSP (RFC 6960): what to ask a responder, and whether an answer is good enough
 * to be stapled. Who fetches it, and how, is not decided here.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#pragma once

#include <stdbool.h>
#include <time.h>

#include "crypto/bytes.h"

struct certificate;
struct crypto_error;

enum {
    OCSP_RESPONSE_BYTES_MAX = 64 * 1024,
    OCSP_CLOCK_SKEW_SECONDS = 300,
    OCSP_UNDATED_SECONDS = 24 * 3600, /* how long a response without next update is used */
};

enum ocsp_status { OCSP_GOOD, OCSP_REVOKED, OCSP_UNKNOWN };

struct ocsp_facts {
    enum ocsp_status status;
    time_t this_update;
    time_t next_update;  /* 0: the response names none */
    time_t refresh_at;   /* half way between the two: when to ask again */
    time_t usable_until; /* not stapled from then on: the next update, or a day after this one */
};

/* The request for the leaf, DER, malloc'ed: the body of a POST of application/ocsp-request. NULL
 * with a sentence: the chain does not hold the issuer. */
uint8_t *ocsp_request(const struct certificate *certificate, size_t *len,
                      struct crypto_error *error);

/* Verifies a response: well-formed, successful, about this leaf (by SHA-1 or SHA-256 of its
 * issuer's name and key, and by its serial), signed by its issuer or by whom the issuer delegated
 * (RFC 6960 §4.2.2.2: id-kp-OCSPSigning) with nothing weaker than SHA-2, current at `now`. False
 * with a sentence; a response that says "revoked" is a verified one: look at the status. */
bool ocsp_response_verify(const struct certificate *certificate, struct bytes response, time_t now,
                          struct ocsp_facts *facts, struct crypto_error *error);

/* Whether an answer may take the place of another about the same certificate: one that is older may
 * not, and of the same moment "revoked" wins. Who replays an old "good" does not undo what came
 * after it. */
bool ocsp_facts_may_replace(const struct ocsp_facts *next, const struct ocsp_facts *held);

/* "good", "revoked", "unknown" */
const char *ocsp_status_name(enum ocsp_status status);
