/* proxy/gossip/sidecar.h
 *
 * What stands beside one node of a gossip cluster (memberlist's protocol) and makes its plaintext
 * into what the cluster's members with a key send and read: packets and conns, both ways.
 *
 * Why it exists: apps that gossip cannot all encrypt, and those that can need an outage to begin
 * with it. Whoever opens this once with the ring that the operator keeps need not know how.
 *
 * Owner: the gossip process.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#pragma once

#include "config/model.h"
#include "crypto/bytes.h"
#include "proxy/base/log.h"
#include "proxy/base/status.h"
#include "proxy/gossip/peer_table.h"
#include "proxy/net/loop.h"

enum { SIDECAR_ERROR_BYTES = 512 };

struct sidecar;

struct sidecar_start {
    const struct config_gossip *settings;
    struct loop *loop;
    struct log *log;
    struct peer_pages *pages; /* where peers and keys are accounted for */
    struct bytes keyring;     /* its text */
};

/* Everything in `start` but the keyring's text is borrowed and must live longer. REFUSED, NOMEM or
 * SYS with a sentence. */
MUST_CHECK enum status sidecar_open(struct sidecar **out, const struct sidecar_start *start,
                                    char error[SIDECAR_ERROR_BYTES]);

/* Ends all conversations with resets. Outside of any callback. NULL is fine. */
void sidecar_close(struct sidecar *sidecar);

/* From now on this keyring; conversations that wait for an answer go on. What cannot be read leaves
 * the former one in use, which the log says. */
void sidecar_set_keyring(struct sidecar *sidecar, struct bytes text);
