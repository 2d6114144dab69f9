/* proxy/gossip/probe_verdict.h
 *
 * What a probe of a peer found out over TCP and over UDP, and what that means together.
 *
 * Why it exists: an operator asks "why do these two not see each other?", and a key that does not
 * fit, a label, a firewall and a peer that is not there all look the same from inside a cluster:
 * nobody answers.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#pragma once

/* clang-format off */
#define PROBE_ANSWER_TABLE(X)                                                                      \
    X(UNTRIED,     "untried",         "was not tried")                                             \
    X(ACK,         "ack",             "answers")                                                   \
    X(ACK_PLAIN,   "plaintext_ack",   "understands, and answers in plaintext")                     \
    X(PLAINTEXT,   "plaintext",       "speaks plaintext gossip")                                   \
    X(OTHER_KEY,   "other_key",       "answers with a key that is not in the keyring")             \
    X(LACKS_KEY,   "lacks_key",       "has a key of the keyring, but not its first one")           \
    X(OTHER_LABEL, "other_label",     "does not take this label")                                 \
    X(FOREIGN,     "foreign",         "answers with what is no gossip")                            \
    X(CLOSED,      "closed",          "closes without a word")                                     \
    X(SILENT,      "silent",          "does not answer")                                           \
    X(NO_CONN,     "no_connection",   "takes no connection in time")                               \
    X(REFUSED,     "refused",         "refuses: the port is closed")                               \
    X(UNREACHABLE, "unreachable",     "cannot be reached from here")

#define PROBE_VERDICT_TABLE(X)                                                                     \
    X(FINE,        "fine",            "it reads what we encrypt, and we read its answers")         \
    X(UDP_BLOCKED, "udp_blocked",     "TCP works and UDP does not: look for a firewall, or for a translation of addresses or ports") \
    X(TCP_BLOCKED, "tcp_blocked",     "UDP works and TCP does not: look for a firewall, or for another service on the port") \
    X(OTHER_KEY,   "other_key",       "its keys are others: compare the fingerprints on both sides") \
    X(OTHER_LABEL, "other_label",     "its label is another one, or it has one and we do not, or the other way round") \
    X(PLAINTEXT,   "plaintext",       "it does not encrypt what it sends")                         \
    X(NOT_GOSSIP,  "not_gossip",      "something is there, and it is no gossip")                   \
    X(CLOSED,      "closed",          "it closes without a word: a Sallyport with another label does, and what is no gossip") \
    X(NOTHING,     "nothing_there",   "nobody answers: nothing is there, or a firewall lets neither through")
/* clang-format on */

#define PROBE_ANSWER_ENUM(code, name, sentence)  PROBE_##code,
#define PROBE_VERDICT_ENUM(code, name, sentence) PROBE_VERDICT_##code,
enum probe_answer { PROBE_ANSWER_TABLE(PROBE_ANSWER_ENUM) PROBE_ANSWERS };
enum probe_verdict { PROBE_VERDICT_TABLE(PROBE_VERDICT_ENUM) PROBE_VERDICTS };
#undef PROBE_ANSWER_ENUM
#undef PROBE_VERDICT_ENUM

enum probe_verdict probe_verdict(enum probe_answer tcp, enum probe_answer udp);

/* The stable name in JSON, and a sentence for people whose subject is the peer. */
const char *probe_answer_name(enum probe_answer answer);
const char *probe_answer_sentence(enum probe_answer answer);
const char *probe_verdict_name(enum probe_verdict verdict);
const char *probe_verdict_sentence(enum probe_verdict verdict);
