/* proxy/commands/gossip_probe_options.h
 *
 * What `sallyport gossip probe` is told, and what a configuration adds to it: keys, label, port and
 * version of a cluster.
 *
 * Owner: the command.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "config/model.h"
#include "crypto/keyring.h"

enum { GOSSIP_PROBE_HOST_BYTES = 256 };

struct gossip_probe_options {
    char host[GOSSIP_PROBE_HOST_BYTES];
    uint16_t port; /* 0: not given, until the settings are there */
    const char *keyring;
    const char *label; /* NULL: not given */
    const char *config;
    const char *cluster;
    unsigned timeout_ms;
    bool is_json;
    bool is_help;
};

/* What the probe goes by. */
struct gossip_probe_settings {
    struct config *config; /* NULL: none was named */
    struct keyring *ring;
    const char *label; /* NULL: none */
    unsigned version;
};

/* Reads the options. False: bad ones, which were told on standard error. */
bool gossip_probe_options_read(struct gossip_probe_options *options, int argc, char **argv);
void gossip_probe_options_help(void);

/* Reads configuration and keyring, and settles the port. False: told on standard error;
 * gossip_probe_settings_fini is due in any case. */
bool gossip_probe_settings_read(struct gossip_probe_settings *settings,
                                struct gossip_probe_options *options);
void gossip_probe_settings_fini(struct gossip_probe_settings *settings);
