/* proxy/gossip/complaints.c · SPDX-License-Identifier: Apache-2.0 */
#include "proxy/gossip/complaints.h"

enum { QUIET_MS = 10000, LINES_PER_SECOND = 20 };

/* FNV-1a. Nobody gains by a collision: it costs or gives one log line. */
static uint64_t hash(uint64_t seed, const void *bytes, size_t len)
{
    const uint8_t *at = bytes;
    for (size_t i = 0; i < len; i++) {
        seed = (seed ^ at[i]) * 0x100000001b3U;
    }
    return seed;
}

static uint64_t identify(const struct complaint *complaint)
{
    uint64_t about = 0xcbf29ce484222325U;
    about = hash(about, complaint->peer->ip, sizeof(complaint->peer->ip));
    about = hash(about, complaint->direction, strlen(complaint->direction));
    about = hash(about, complaint->transport, strlen(complaint->transport));
    about = hash(about, complaint->cause, strlen(complaint->cause));
    return about == 0 ? 1 : about;
}

static bool may_speak(struct complaints *complaints, uint64_t now_ms)
{
    if (complaints->second != now_ms / 1000) {
        complaints->second = now_ms / 1000;
        complaints->said = 0;
    }
    return complaints->said++ < LINES_PER_SECOND;
}

void complaints_make(struct complaints *complaints, struct log *log, uint64_t now_ms,
                     const struct complaint *complaint)
{
    uint64_t about = identify(complaint);
    size_t place = about % COMPLAINTS_REMEMBERED;
    bool is_known = complaints->at[place].about == about;
    if ((is_known && now_ms < complaints->at[place].quiet_until_ms) ||
        !may_speak(complaints, now_ms)) {
        complaints->at[place].unsaid += is_known;
        return;
    }
    uint64_t unsaid = is_known ? complaints->at[place].unsaid : 0;
    complaints->at[place].about = about;
    complaints->at[place].quiet_until_ms = now_ms + QUIET_MS;
    complaints->at[place].unsaid = 0;
    char peer[ENDPOINT_TEXT_BYTES];
    endpoint_format(complaint->peer, peer);
    LOG_EVENT(log, LOG_WARN, "gossip_refused", log_text("cluster", complaint->cluster),
              log_text("direction", complaint->direction),
              log_text("transport", complaint->transport), log_text("peer", peer),
              log_text("cause", complaint->cause), log_text("reason", complaint->sentence),
              log_number("times", (int64_t)unsaid + 1));
}
