/* proxy/process/invocation.h
 *
 * How this program was started: under which path, with which words. An upgrade starts it again in
 * the same way, and so gets whatever stands at that path by then.
 *
 * Owner: whoever starts it again. Environment and working folder stay as they are.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#pragma once

#include <limits.h>
#include <stdbool.h>
#include <stddef.h>

#include "proxy/base/status.h"

struct invocation {
    char path[PATH_MAX]; /* absolute; links in it are followed when it is started again */
    char **words;        /* argv, with its NULL */
    char *text;          /* of the words */
};

/* Finds both out. Must be called before the program can have been replaced. SYS or NOMEM: nothing
 * stays. */
MUST_CHECK enum status invocation_open(struct invocation *invocation);
void invocation_close(struct invocation *invocation);

/* The path under which `word` (argv[0]) was found: as it is, below `folder`, or in one of the
 * places of `search` ("/usr/local/bin:/usr/bin"). Only a file that is `program` itself counts, so a
 * name that lies is not believed. False: none. */
bool invocation_find(const char *word, const char *folder, const char *search, const char *program,
                     char path[PATH_MAX]);

/* argv for starting `run` as a rehearsal: one word more, behind the verb. calloc'ed, the words are
 * the invocation's; NULL: no memory. */
char **invocation_rehearsal(const struct invocation *invocation);

/* The word that is added. */
#define INVOCATION_REHEARSE "--rehearse"
