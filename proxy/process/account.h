/* proxy/process/account.h
 *
 * The users that children run as when the master is root, and what every child gives up.
 *
 * Workers are the user of the configuration, else `sallyport`, else nobody. The keyholder is
 * `sallyport-keys`, else a number that no account has, so that a broken worker can neither trace
 * nor signal it; gossip processes alike, as `sallyport-gossip`.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#pragma once

#include <stdbool.h>
#include <sys/types.h>

#include "proxy/base/status.h"
#include "proxy/process/error.h"

struct account {
    bool is_own;        /* stay who we are: not root, or root without the right to change */
    bool keeps_net_raw; /* CAP_NET_RAW stays, if we have it: raw and transparent sockets */
    uid_t uid;
    gid_t gid;
    char name[32];
};

struct accounts {
    struct account worker;
    struct account keyholder;
};

/* `user` is the configuration's; NULL: choose. REFUSED: there is no such user. */
MUST_CHECK enum status accounts_choose(struct accounts *accounts, const char *user,
                                       struct process_error *error);

/* The account of a gossip process. `user` is its cluster's; NULL: choose. REFUSED: there is no such
 * user. */
MUST_CHECK enum status account_choose_gossip(struct account *account, const char *user,
                                             const struct accounts *others,
                                             struct process_error *error);

/* Becomes the account and gives up all capabilities (but one, if it keeps that) and the way back,
 * for good. Between fork and exec: async-signal-safe. */
MUST_CHECK enum status account_become(const struct account *account);
