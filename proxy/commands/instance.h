/* proxy/commands/instance.h
 *
 * Where the running instance's admin socket is, for the commands that talk to it, and for `run`,
 * which must choose the same place.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#pragma once

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

#define INSTANCE_CONFIG_FILE "/etc/sallyport/sallyport.yaml"

enum { INSTANCE_PATH_BYTES = 128 };

/* What the commands that talk to an instance take. */
struct instance_options {
    const char *verb;
    const char *config; /* -c; NULL: not given */
    const char *admin;  /* --admin unix:PATH; NULL: not given */
    bool is_json;       /* --json */
    bool is_metrics;    /* --metrics, of `status` alone */
    long timeout_ms;    /* --timeout SECONDS; -1: not given */
    bool is_help;
};

/* Reads the options. False: bad ones, which were told on standard error. */
bool instance_options_read(struct instance_options *options, int argc, char **argv);

/* Prints what the command does and its options. */
void instance_options_help(const char *verb, const char *what);

/* Finds the path of the admin socket: that of --admin, or of the file that -c names, or of the
 * environment (SALLYPORT_ADMIN, SALLYPORT_TO), or of the file at its usual place. False: told on
 * standard error. */
bool instance_find(const struct instance_options *options, char *path);

/* The admin address of an instance without a file, as `unix:PATH`; empty: there is no folder that
 * is ours alone. */
void instance_default_admin(char *address, size_t size);

/* A line for each child that keeps failing, from the array of an answer. */
void instance_print_failing(const json_t *failing);

/* Says on standard error that nobody answers at `path`, with what errno tells. */
void instance_tell_silence(const char *path);
