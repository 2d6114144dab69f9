/* proxy/process/rehearsal.h
 *
 * Before an upgrade the new program is started beside us, once, to find out what it would say: it
 * reads the configuration, judges it, reads the files, and answers which texts of a handover it
 * understands. It opens no socket and changes nothing.
 *
 *     sallyport-handover 1 2        the answer, on standard output
 *
 * Why it exists: what replaces this process cannot be undone, so all that can go wrong should do so
 * before.
 *
 * Owner: an upgrade (proxy/process/upgrade.h). Embedded; zero is valid.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "proxy/base/slice.h"
#include "proxy/base/status.h"
#include "proxy/net/timer.h"
#include "proxy/process/error.h"
#include "proxy/process/invocation.h"

enum { REHEARSAL_ANSWER_BYTES = 256, REHEARSAL_SAID_BYTES = 2048 };

struct rehearsal {
    struct loop *loop;
    pid_t pid; /* 0: none runs */
    bool is_late;
    uint64_t allowed_ms;
    struct deadline deadline;
    int answer_end; /* of the pipe that is its standard output */
    int said_end;   /* of the one that is its standard error */
    struct watch answer_watch;
    struct watch said_watch;
    char answer[REHEARSAL_ANSWER_BYTES];
    size_t answer_len;
    char said[REHEARSAL_SAID_BYTES]; /* the first of it */
    size_t said_len;
    void (*on_done)(void *self, const char *fault);
    void *self;
};

/* Starts it. on_done is called once, from the loop or rehearsal_on_exit: `fault` says what is
 * wrong; NULL: nothing. SYS with a sentence. */
MUST_CHECK enum status rehearsal_begin(struct rehearsal *rehearsal, struct loop *loop,
                                       const struct invocation *invocation, uint64_t allowed_ms,
                                       void (*on_done)(void *self, const char *fault), void *self,
                                       struct process_error *error);

/* A child was waited for. False: it is not this one. */
bool rehearsal_on_exit(struct rehearsal *rehearsal, pid_t pid, int status);

/* Ends it, if it runs; nobody is told. */
void rehearsal_close(struct rehearsal *rehearsal);

/* Whether the answer is one, and has our version among its own. */
bool rehearsal_understands_us(slice answer);
