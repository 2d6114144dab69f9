/* deploy/demo/options.h
 *
 * What the command line of the demo app says. Exists so that main only starts and stops things.
 * Owned by main; the strings are those of argv.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

struct options {
    const char *address;   /* numeric address or interface to listen on */
    const char *unix_path; /* listen on this unix socket instead, NULL for TCP */
    uint16_t port;         /* 0: the kernel chooses */
    uint32_t tick_ms;      /* time between two pushed ticks, 0 for none */
    bool help;             /* print the usage and end */
};

/* Reads argv into the options. False after one line on stderr that says what is wrong. */
bool options_read(struct options *options, int argc, char **argv);

/* The text of --help. */
const char *options_usage(void);
