/* proxy/process/former_crew.h
 *
 * The children of the program that this one has replaced. They are our children still, since the
 * process is the same, and serve until the new ones are ready; then they drain and end, the workers
 * first, and the keyholder with the last worker of its crew.
 *
 *     serving --drain--> draining --its exchanges are over, or its time is--> gone
 *        └──────end──────────┴──────────────────────────────────────────────► gone
 *
 * What they say is read and dropped: it is of another version, and nothing of it is needed. What is
 * said to them is as old as the channel: DRAIN and LOG. To end they need only lose it.
 *
 * Owner: the master, or whoever holds its place. The handover is what it works on: who is gone is
 * removed there.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "proxy/base/log.h"
#include "proxy/base/status.h"
#include "proxy/net/loop.h"
#include "proxy/process/channel.h"
#include "proxy/process/handover.h"

struct former_crew;

struct former_crew_place {
    struct loop *loop;
    struct log *log;
    struct handover *handover; /* borrowed; its children are ours to change */
};

/* All calls below but this one take NULL as "there is none". NOMEM, SYS. */
MUST_CHECK enum status former_crew_open(struct former_crew **out,
                                        const struct former_crew_place *place);

/* Lets go of them; those that are left run on, as the handover says. */
void former_crew_close(struct former_crew *crew);

/* A child was waited for. False: it is none of these. */
bool former_crew_on_exit(struct former_crew *crew, pid_t pid, int status);

/* Those that serve accept no more, and must be gone within `drain_ms` and a bit. Gently: conns that
 * are idle may have one more request. */
void former_crew_drain(struct former_crew *crew, uint64_t drain_ms, bool is_gentle);

/* Workers drop what they do; kills whoever is left after a second. */
void former_crew_end(struct former_crew *crew);

/* Ends the gossip processes and waits for them, a second at most: their ports are needed. */
void former_crew_end_gossip(struct former_crew *crew);

void former_crew_tell_workers(struct former_crew *crew, const struct channel_message *message);

/* Whether any worker accepts conns still. */
bool former_crew_serves(const struct former_crew *crew);

/* How many of their processes there are. */
size_t former_crew_count(const struct former_crew *crew);
