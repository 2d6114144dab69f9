/* config/arguments.h
 *
 * A configuration without a file: from the options of `run` and from environment variables.
 *
 * Why it exists: zero configuration and the container sidecar are ordinary configurations. The
 * values are written as YAML and go through the ordinary loader, so there is one code path that
 * validates, one set of defaults, and `--print`able text that can be kept as the first file.
 *
 * Owner: the caller; a plain value that borrows its strings.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

#include "config/model.h"
#include "config/problem.h"

struct bundle;

/* The file name that the generated text goes by: in places, in config.file, in bundles. */
#define ARGUMENTS_FILE "(arguments)"

/* One row of arguments.c's table each; the order is the table's. */
enum argument {
    ARGUMENT_TO,              /* where requests go; several with commas */
    ARGUMENT_LISTEN,          /* default [::]:8443 */
    ARGUMENT_HOST,            /* names that are answered for, with commas; default: any */
    ARGUMENT_REDIRECT,        /* an address that redirects to https; default: none */
    ARGUMENT_CERTIFICATE,     /* PEM chain; the caller fills it in with a local one if left out */
    ARGUMENT_KEY,             /* PEM key */
    ARGUMENT_ENFORCEMENT,     /* strict or report */
    ARGUMENT_PLAINTEXT,       /* never, loopback or any */
    ARGUMENT_CIPHERS,         /* aes256 or modern */
    ARGUMENT_MINIMUM_TLS,     /* 1.2 or 1.3 */
    ARGUMENT_CLIENT_CA,       /* PEM file: client certificates are required */
    ARGUMENT_BACKEND_CA,      /* PEM file that TLS servers are verified by */
    ARGUMENT_TRUSTED_PROXIES, /* networks, with commas */
    ARGUMENT_SESSION_HEADER,  /* on or off: Sallyport-Session to the backend */
    ARGUMENT_BODY_LIMIT,      /* limits.body_bytes */
    ARGUMENT_DRAIN,           /* timeouts.drain */
    ARGUMENT_WORKERS,
    ARGUMENT_ADMIN, /* admin.address; default off */
    ARGUMENT_LOG_ACCESS,
    ARGUMENT_LOG_FORMAT,
    ARGUMENT_LOG_LEVEL,
    ARGUMENT_COUNT,
};

struct arguments {
    const char *values[ARGUMENT_COUNT];
    bool from_environment[ARGUMENT_COUNT];
};

/* "--to", "SALLYPORT_TO" */
const char *argument_option(enum argument argument);
const char *argument_variable(enum argument argument);
const char *argument_doc(enum argument argument);

/* The argument with that option's name; ARGUMENT_COUNT: there is none. */
enum argument argument_find(const char *option);

/* Fills each value that is not set from its environment variable; empty variables count as unset.
 */
void arguments_from_environment(struct arguments *arguments);

/* Whether the values ask for a configuration without a file. */
bool arguments_are_enough(const struct arguments *arguments);

/* The YAML, malloc'ed; NULL when out of memory. */
char *arguments_to_yaml(const struct arguments *arguments);

/* Loads the model. The YAML is added to `bundle` as ARGUMENTS_FILE, for children to load it too;
 * the places of problems are the options and variables. NULL after at least one problem. */
struct config *arguments_load(const struct arguments *arguments, struct bundle *bundle,
                              struct problem_list *problems) __attribute__((warn_unused_result));
