/* proxy/process/gossip_process.h
 *
 * The main of a gossip process: one sidecar, with the keyring of its cluster and nothing else that
 * is secret. No TLS key, no HTTP; its only privilege is CAP_NET_RAW, in mode transparent.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#pragma once

#include <stddef.h>

/* Runs until the channel to the master ends. `index` of the cluster, from 1. Returns the exit
 * status. */
int gossip_process_run(size_t index);
