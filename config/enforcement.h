/* config/enforcement.h
 *
 * Judges every hop of a configuration against its policy: configuration → hops → verdicts. The
 * result is the posture that `check` prints, that `run` in strict mode refuses to start with, and
 * that `status` and the logs repeat.
 *
 * Why it exists: "every hop is encrypted" is a claim about all of them at once, so one pure
 * function makes it: no files, no clock, no OpenSSL. What it needs to know of certificates and of
 * the time comes in from the caller.
 *
 * Owner: whoever called posture_new; it borrows the config.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#pragma once

#include <jansson.h>
#include <stdio.h>

#include "config/expiry.h"
#include "config/hop.h"
#include "config/model.h"

enum enforcement_key_type {
    ENFORCEMENT_KEY_RSA,
    ENFORCEMENT_KEY_EC, /* ECDSA and EdDSA */
    ENFORCEMENT_KEY_OTHER,
};

/* What the caller found in one of our certificates (the leaf). */
struct enforcement_facts {
    size_t certificate; /* index into config.certificates */
    enum enforcement_key_type key_type;
    unsigned key_bits;
    int64_t not_before; /* seconds since 1970, UTC */
    int64_t not_after;
    bool must_staple; /* it demands a stapled OCSP response (RFC 7633) */
    bool has_staple;  /* there is one, or will be as far as is known */
    bool is_revoked;  /* its responder says so */
};

/* What the caller found in the keyring of a cluster of gossip. */
struct enforcement_gossip_facts {
    size_t cluster;        /* index into config.gossip */
    unsigned primary_bits; /* of the key that encrypts */
    unsigned least_bits;   /* of the weakest one that decrypts */
    char primary_id[17];   /* the fingerprint of the key that encrypts; "": not known */
};

/* Everything that is not in the configuration and that the policy is about. */
struct enforcement_findings {
    const struct enforcement_facts *certificates;
    size_t certificate_count;
    const struct enforcement_gossip_facts *gossip;
    size_t gossip_count;
    const struct expiry_date
        *dates; /* of our certificates and of the authorities that we believe */
    size_t date_count;
    int64_t now; /* seconds since 1970 */
};

enum verdict { VERDICT_OK, VERDICT_VIOLATION, VERDICT_WAIVED };

struct judged_hop {
    struct hop hop;
    enum verdict verdict;
    const char *reason;                 /* one sentence: why this verdict */
    const struct config_waiver *waiver; /* the waiver for this hop, in force or not; or NULL */
    bool waiver_expired;
    const char *certificates; /* ours that are shown on it, with the days that are left; NULL: none,
                                 or nothing is known of them */
};

/* The end of a certificate, as it looks now. */
struct judged_date {
    struct expiry_date date;
    struct expiry_view view;
    const char *sentence;
};

struct posture {
    const struct config *config;
    struct judged_hop *hops; /* in the order of the configuration */
    size_t count;
    size_t violations; /* without those that are waived */
    size_t waived;
    struct judged_date *dates;
    size_t date_count;
    size_t near;           /* dates that are near, or past */
    struct memory *memory; /* private to enforcement.c */
};

/* Judges. A certificate or a keyring without facts is judged by nothing (its file could not be
 * read, which is reported elsewhere). The findings are not kept. NULL when out of memory. */
struct posture *posture_new(const struct config *config,
                            const struct enforcement_findings *findings)
    __attribute__((warn_unused_result));
void posture_free(struct posture *posture);

/* "ok", "violation", "waived" */
const char *verdict_name(enum verdict verdict);

/* {"hops": [{"name", "from", "to", "protection", "evidence", "verdict", "reason", "waiver"}],
 *  "violations": N, "waived": N, "mode": "strict", "certificates": [see expiry_to_json], "near":
 * N}; the caller decrefs it. NULL when out of memory. */
json_t *posture_to_json(const struct posture *posture);

/* One hop as in the above, for those who add what was really negotiated. */
json_t *judged_hop_to_json(const struct judged_hop *judged);

/* A table for people, and a line that sums it up. */
void posture_print(const struct posture *posture, FILE *out);

/* One line for each violation: `FILE:LINE:COLUMN: hop NAME: reason`. */
void posture_print_violations(const struct posture *posture, FILE *out);
