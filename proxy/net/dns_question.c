/* proxy/net/dns_question.c · SPDX-License-Identifier: Apache-2.0 */
#include "proxy/net/dns_question.h"

#include <errno.h>
#include <netinet/in.h>
#include <openssl/rand.h>
#include <unistd.h>

enum {
    LENGTH_BYTES = 2,
    DEAD_SERVER_MS = 10000, /* the question itself gives up before */
};

static slice query_of(const struct dns_question *question)
{
    return (slice){question->query + LENGTH_BYTES, question->query_len};
}

static socklen_t address_len(const struct sockaddr_storage *address)
{
    return address->ss_family == AF_INET6 ? (socklen_t)sizeof(struct sockaddr_in6)
                                          : (socklen_t)sizeof(struct sockaddr_in);
}

static void close_udp(struct dns_question *question)
{
    if (question->is_open) {
        watch_close(&question->watch);
        (void)close(question->descriptor);
        question->is_open = false;
    }
}

void dns_question_drop(struct dns_question *question)
{
    close_udp(question);
    if (question->stream != NULL) {
        stream_close(question->stream);
        question->stream = NULL;
    }
    if (question->loop != NULL) {
        buffer_clear(&question->received, loop_buffer_pool(question->loop));
    }
}

static void answered(struct dns_question *question)
{
    dns_question_drop(question);
    question->on_answer(question->self);
}

static void failed(struct dns_question *question)
{
    question->answer = (struct dns_answer){.outcome = DNS_FAILED};
    answered(question);
}

/* ---- TCP ---- */

static void on_tcp_open(void *self)
{
    struct dns_question *question = self;
    size_t taken = 0;
    slice whole = {question->query, LENGTH_BYTES + question->query_len};
    if (stream_write(question->stream, whole, &taken) != STATUS_OK) {
        failed(question);
    }
}

/* The message, once all of it is here. */
static bool whole_message(const struct dns_question *question, slice *message)
{
    slice received = buffer_bytes(&question->received);
    if (received.len < LENGTH_BYTES) {
        return false;
    }
    size_t len = (size_t)(unsigned char)received.at[0] << 8 | (unsigned char)received.at[1];
    *message = (slice){received.at + LENGTH_BYTES, len};
    return received.len - LENGTH_BYTES >= len;
}

static void on_tcp_readable(void *self)
{
    struct dns_question *question = self;
    struct buffer_pool *pool = loop_buffer_pool(question->loop);
    slice message = {NULL, 0};
    while (!whole_message(question, &message)) {
        size_t moved = 0;
        if (!buffer_reserve(&question->received, pool, BUFFER_SMALL_BYTES / 2)) {
            failed(question);
            return;
        }
        enum status status = stream_read(question->stream, buffer_room_at(&question->received),
                                         buffer_room(&question->received), &moved);
        if (status == STATUS_AGAIN) {
            return;
        }
        if (status != STATUS_OK) {
            failed(question);
            return;
        }
        buffer_commit(&question->received, moved);
    }
    dns_answer_parse(message, query_of(question), &question->answer);
    if (question->answer.outcome == DNS_UNANSWERED || question->answer.outcome == DNS_TRUNCATED) {
        failed(question);
        return;
    }
    answered(question);
}

static void on_tcp_failed(void *self, enum stream_failure failure)
{
    (void)failure;
    failed(self);
}

static void on_tcp_writable(void *self)
{
    (void)self;
}

static const struct stream_events tcp_events = {.on_open = on_tcp_open,
                                                .on_readable = on_tcp_readable,
                                                .on_writable = on_tcp_writable,
                                                .on_failed = on_tcp_failed};

static void ask_over_tcp(struct dns_question *question)
{
    close_udp(question);
    question->answer = (struct dns_answer){.outcome = DNS_UNANSWERED};
    if (stream_connect(&question->stream, question->loop, (const struct sockaddr *)question->server,
                       address_len(question->server), DEAD_SERVER_MS, &tcp_events,
                       question) != STATUS_OK) {
        failed(question);
    }
}

/* ---- UDP ---- */

static void on_datagram(void *self, unsigned events)
{
    (void)events;
    struct dns_question *question = self;
    char message[DNS_UDP_BYTES];
    ssize_t got = recv(question->descriptor, message, sizeof(message), MSG_TRUNC);
    if (got < 0) {
        if (errno != EAGAIN && errno != EINTR) {
            failed(question); /* nobody listens there */
        }
        return;
    }
    bool is_cut = (size_t)got > sizeof(message);
    slice whole = {message, is_cut ? sizeof(message) : (size_t)got};
    dns_answer_parse(whole, query_of(question), &question->answer);
    if (question->answer.outcome == DNS_UNANSWERED) {
        return;
    }
    if (is_cut || question->answer.outcome == DNS_TRUNCATED) {
        ask_over_tcp(question);
        return;
    }
    answered(question);
}

static bool open_udp(struct dns_question *question)
{
    int descriptor =
        socket(question->server->ss_family, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (descriptor < 0) {
        return false;
    }
    if (connect(descriptor, (const struct sockaddr *)question->server,
                address_len(question->server)) != 0 ||
        watch_open_level(&question->watch, question->loop, descriptor, WATCH_READ, on_datagram,
                         question) != STATUS_OK) {
        (void)close(descriptor);
        return false;
    }
    question->descriptor = descriptor;
    question->is_open = true;
    return true;
}

bool dns_question_ask(struct dns_question *question, struct loop *loop,
                      const struct sockaddr_storage *server, slice name, enum dns_type type,
                      void (*on_answer)(void *self), void *self)
{
    *question =
        (struct dns_question){.loop = loop, .server = server, .on_answer = on_answer, .self = self};
    uint16_t id = 0;
    if (RAND_bytes((unsigned char *)&id, sizeof(id)) != 1) {
        return false;
    }
    question->query_len = dns_query_write(question->query + LENGTH_BYTES, id, name, type);
    question->query[0] = (char)(question->query_len >> 8);
    question->query[1] = (char)(question->query_len & 0xff);
    if (question->query_len == 0 || !open_udp(question)) {
        return false;
    }
    slice query = query_of(question);
    if (send(question->descriptor, query.at, query.len, MSG_NOSIGNAL) != (ssize_t)query.len) {
        dns_question_drop(question);
        return false;
    }
    return true;
}
