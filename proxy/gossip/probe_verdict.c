/* proxy/gossip/probe_verdict.c · SPDX-License-Identifier: Apache-2.0 */
#include "proxy/gossip/probe_verdict.h"

#include <stdbool.h>

struct words {
    const char *name;
    const char *sentence;
};

#define WORDS(code, name, sentence) {name, sentence},
static const struct words answers[PROBE_ANSWERS] = {PROBE_ANSWER_TABLE(WORDS)};
static const struct words verdicts[PROBE_VERDICTS] = {PROBE_VERDICT_TABLE(WORDS)};
#undef WORDS

/* What an answer by itself says of the peer. NOTHING: not much. */
static enum probe_verdict verdict_of(enum probe_answer answer)
{
    switch (answer) {
    case PROBE_ACK:
        return PROBE_VERDICT_FINE;
    case PROBE_ACK_PLAIN:
    case PROBE_PLAINTEXT:
        return PROBE_VERDICT_PLAINTEXT;
    case PROBE_OTHER_KEY:
    case PROBE_LACKS_KEY:
        return PROBE_VERDICT_OTHER_KEY;
    case PROBE_OTHER_LABEL:
        return PROBE_VERDICT_OTHER_LABEL;
    case PROBE_FOREIGN:
    case PROBE_SILENT: /* over TCP, where a conn was taken; over UDP it says nothing */
        return PROBE_VERDICT_NOT_GOSSIP;
    case PROBE_CLOSED:
        return PROBE_VERDICT_CLOSED;
    case PROBE_UNTRIED:
    case PROBE_NO_CONN:
    case PROBE_REFUSED:
    case PROBE_UNREACHABLE:
    case PROBE_ANSWERS:
        break;
    }
    return PROBE_VERDICT_NOTHING;
}

enum probe_verdict probe_verdict(enum probe_answer tcp, enum probe_answer udp)
{
    enum probe_verdict by_tcp = verdict_of(tcp);
    enum probe_verdict by_udp = udp == PROBE_SILENT ? PROBE_VERDICT_NOTHING : verdict_of(udp);
    bool is_udp_of_gossip = by_udp != PROBE_VERDICT_NOTHING && by_udp != PROBE_VERDICT_NOT_GOSSIP;
    if (by_tcp == PROBE_VERDICT_FINE) {
        return is_udp_of_gossip ? by_udp : PROBE_VERDICT_UDP_BLOCKED;
    }
    /* Whatever is behind the TCP port then is not the peer that answers over UDP. */
    bool is_tcp_of_gossip = by_tcp != PROBE_VERDICT_NOTHING && by_tcp != PROBE_VERDICT_NOT_GOSSIP &&
                            by_tcp != PROBE_VERDICT_CLOSED;
    if (by_udp == PROBE_VERDICT_FINE) {
        return is_tcp_of_gossip ? by_tcp : PROBE_VERDICT_TCP_BLOCKED;
    }
    /* Gossip uses both, so where UDP is closed it is not. */
    if (by_tcp == PROBE_VERDICT_CLOSED && udp == PROBE_REFUSED) {
        return PROBE_VERDICT_NOT_GOSSIP;
    }
    return by_tcp != PROBE_VERDICT_NOTHING ? by_tcp : by_udp;
}

const char *probe_answer_name(enum probe_answer answer)
{
    return answers[answer].name;
}

const char *probe_answer_sentence(enum probe_answer answer)
{
    return answers[answer].sentence;
}

const char *probe_verdict_name(enum probe_verdict verdict)
{
    return verdicts[verdict].name;
}

const char *probe_verdict_sentence(enum probe_verdict verdict)
{
    return verdicts[verdict].sentence;
}
