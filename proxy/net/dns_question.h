/* proxy/net/dns_question.h
 *
 * One question to one name server: over UDP, and over TCP when the answer did not fit (RFC 7766
 * §5). Each question has a socket of its own, so that its source port is as hard to guess as its
 * id (RFC 5452 §9.2).
 *
 * Owner: the lookup that embeds it. How long to wait is the owner's affair.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#pragma once

#include <sys/socket.h>

#include "proxy/net/buffer.h"
#include "proxy/net/dns_message.h"
#include "proxy/net/loop.h"
#include "proxy/net/stream.h"

/* Zero is valid: nothing asked. Fields private to dns_question.c but for the answer. */
struct dns_question {
    struct dns_answer answer; /* DNS_UNANSWERED until on_answer */
    struct loop *loop;
    const struct sockaddr_storage *server;
    void (*on_answer)(void *self);
    void *self;
    bool is_open; /* the socket is there */
    int descriptor;
    struct watch watch;
    struct stream *stream; /* TCP; NULL: not yet */
    struct buffer received;
    size_t query_len;
    char query[2 + DNS_QUERY_BYTES]; /* after its length, as TCP wants it */
};

/* Asks; on_answer is called once, later from the loop, unless dropped before. The server's address
 * must stay. False: it could not even be sent. */
bool dns_question_ask(struct dns_question *question, struct loop *loop,
                      const struct sockaddr_storage *server, slice name, enum dns_type type,
                      void (*on_answer)(void *self), void *self);

/* No more calls; the answer stays. Fine for one that was never asked. */
void dns_question_drop(struct dns_question *question);
