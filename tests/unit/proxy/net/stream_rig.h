/* tests/unit/proxy/net/stream_rig.h
 *
 * Two streams that face one another on one loop, plain or TLS with a certificate made for the
 * test, and what each of them saw.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#pragma once

#include "proxy/net/stream.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <openssl/evp.h>
#include <openssl/ssl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "crypto/tls_client.h"
#include "crypto/tls_server.h"
#include "proxy/net/stream_state.h"
#include "proxy/net/timer.h"

/* Stand-ins for crypto/tls_server.c and tls_client.c: a bare SSL_CTX is all that a stream needs,
 * and a test can bend it. */
struct tls_server {
    SSL_CTX *context;
};

struct tls_client {
    SSL_CTX *context;
};

SSL *tls_server_ssl_new(struct tls_server *server)
{
    SSL *ssl = SSL_new(server->context);
    SSL_set_accept_state(ssl);
    return ssl;
}

SSL *tls_client_ssl_new(struct tls_client *client, const char *name)
{
    (void)name;
    SSL *ssl = SSL_new(client->context);
    SSL_set_connect_state(ssl);
    return ssl;
}

struct rig;

struct end {
    struct rig *rig;
    struct stream *stream;
    char *got;
    size_t got_len;
    size_t got_room;
    size_t read_room;  /* per call; 0: do not read */
    size_t read_calls; /* that moved bytes */
    slice to_send;
    bool finishes; /* once all was sent */
    bool keeps;    /* does not close on failure */
    unsigned opens;
    unsigned writables;
    unsigned fails;
    unsigned unsendables;
    bool has_end;
    enum stream_failure failure;
    char reason[64];
};

struct rig {
    struct loop *loop;
    SSL_CTX *server_context;
    SSL_CTX *client_context;
    struct end server;
    struct end client;
    struct deadline give_up;
    bool (*is_done)(const struct rig *rig);
    bool gave_up;
};

static inline void end_failed(struct end *end)
{
    end->failure = stream_failure(end->stream);
    (void)snprintf(end->reason, sizeof(end->reason), "%s", stream_failure_reason(end->stream));
    end->fails++;
    if (!end->keeps) {
        stream_close(end->stream);
        end->stream = NULL;
    }
}

static inline void end_send(struct end *end)
{
    while (end->to_send.len > 0) {
        size_t taken = 0;
        enum status status = stream_write(end->stream, end->to_send, &taken);
        end->to_send = slice_from(end->to_send, taken);
        if (status == STATUS_AGAIN) {
            return;
        }
        if (status != STATUS_OK) {
            end->unsendables++; /* what can still be read says why */
            return;
        }
    }
    if (end->finishes) {
        stream_finish(end->stream);
    }
}

static inline void end_read(struct end *end)
{
    while (end->read_room > 0 && end->stream != NULL && !end->has_end) {
        if (end->got_room - end->got_len < end->read_room) {
            end->got_room = 2 * end->got_room + end->read_room;
            end->got = realloc(end->got, end->got_room);
            assert_non_null(end->got);
        }
        size_t moved = 0;
        enum status status =
            stream_read(end->stream, end->got + end->got_len, end->read_room, &moved);
        end->got_len += moved;
        end->read_calls += moved > 0;
        assert_true(moved <= end->read_room && (status == STATUS_OK) == (moved > 0));
        end->has_end = status == STATUS_END;
        if (status == STATUS_BROKEN) {
            end_failed(end);
        }
        if (status != STATUS_OK) {
            return;
        }
    }
}

static inline void on_end_open(void *self)
{
    struct end *end = self;
    end->opens++;
    end_send(end);
}

static inline void on_end_readable(void *self)
{
    end_read(self);
}

static inline void on_end_writable(void *self)
{
    struct end *end = self;
    end->writables++;
    end_send(end);
}

static inline void on_end_failed(void *self, enum stream_failure failure)
{
    struct end *end = self;
    assert_int_equal(failure, stream_failure(end->stream));
    end_failed(end);
}

static const struct stream_events end_events = {.on_open = on_end_open,
                                                .on_readable = on_end_readable,
                                                .on_writable = on_end_writable,
                                                .on_failed = on_end_failed};

/* ---- certificate ---- */

static inline void use_new_certificate(SSL_CTX *context)
{
    EVP_PKEY *key = EVP_EC_gen("P-256");
    X509 *certificate = X509_new();
    assert_non_null(key);
    (void)ASN1_INTEGER_set(X509_get_serialNumber(certificate), 1);
    (void)X509_gmtime_adj(X509_getm_notBefore(certificate), 0);
    (void)X509_gmtime_adj(X509_getm_notAfter(certificate), 3600);
    (void)X509_set_pubkey(certificate, key);
    (void)X509_sign(certificate, key, EVP_sha256());
    assert_int_equal(SSL_CTX_use_certificate(context, certificate), 1);
    assert_int_equal(SSL_CTX_use_PrivateKey(context, key), 1);
    X509_free(certificate);
    EVP_PKEY_free(key);
}

/* ---- the pair ---- */

static inline void tcp_pair(int pair[2])
{
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}};
    socklen_t len = sizeof(at);
    int listener = socket(AF_INET, SOCK_STREAM, 0);
    pair[1] = socket(AF_INET, SOCK_STREAM, 0);
    /* Small, so that a writer meets their end whatever the system grows them to. */
    const int bytes = 64 * 1024;
    const int sockets[] = {listener, pair[1]};
    for (int i = 0; i < 2; i++) {
        (void)setsockopt(sockets[i], SOL_SOCKET, SO_SNDBUF, &bytes, sizeof(bytes));
        (void)setsockopt(sockets[i], SOL_SOCKET, SO_RCVBUF, &bytes, sizeof(bytes));
    }
    assert_int_equal(bind(listener, (struct sockaddr *)&at, len), 0);
    assert_int_equal(listen(listener, 1), 0);
    assert_int_equal(getsockname(listener, (struct sockaddr *)&at, &len), 0);
    assert_int_equal(connect(pair[1], (struct sockaddr *)&at, len), 0);
    pair[0] = accept(listener, NULL, NULL);
    assert_true(pair[0] >= 0);
    (void)close(listener);
    for (int i = 0; i < 2; i++) {
        assert_int_equal(fcntl(pair[i], F_SETFL, O_NONBLOCK), 0);
    }
}

static inline void end_adopt(struct rig *rig, struct end *end, int descriptor)
{
    if (end->stream != NULL) {
        stream_close(end->stream);
    }
    free(end->got);
    *end = (struct end){.rig = rig, .read_room = 65536};
    assert_int_equal(stream_adopt(&end->stream, rig->loop, descriptor, &end_events, end),
                     STATUS_OK);
}

static inline void end_start_tls(struct end *end)
{
    struct rig *rig = end->rig;
    struct tls_server server = {rig->server_context};
    struct tls_client client = {rig->client_context};
    assert_int_equal(end == &rig->server ? stream_start_tls_server(end->stream, &server)
                                         : stream_start_tls_client(end->stream, &client, "test"),
                     STATUS_OK);
}

/* A fresh pair; an older one is closed. */
static inline void rig_pair(struct rig *rig, bool is_tls)
{
    int pair[2];
    tcp_pair(pair);
    end_adopt(rig, &rig->server, pair[0]);
    end_adopt(rig, &rig->client, pair[1]);
    if (is_tls) {
        end_start_tls(&rig->server);
        end_start_tls(&rig->client);
    }
}

static inline void on_rig_turn_end(void *self)
{
    struct rig *rig = self;
    if (rig->is_done != NULL && rig->is_done(rig)) {
        loop_stop(rig->loop);
    }
}

static inline void on_rig_give_up(void *self)
{
    struct rig *rig = self;
    rig->gave_up = true;
    loop_stop(rig->loop);
}

/* Runs until is_done, or for `limit_ms`. True: is_done. */
static inline bool rig_run(struct rig *rig, uint64_t limit_ms,
                           bool (*is_done)(const struct rig *rig))
{
    rig->is_done = is_done;
    rig->gave_up = false;
    deadline_arm(&rig->give_up, rig->loop, limit_ms, on_rig_give_up, rig);
    loop_run(rig->loop);
    deadline_disarm(&rig->give_up);
    return !rig->gave_up;
}

static inline int rig_set_up(void **state)
{
    struct rig *rig = calloc(1, sizeof(*rig));
    rig->loop = loop_new();
    rig->server_context = SSL_CTX_new(TLS_server_method());
    rig->client_context = SSL_CTX_new(TLS_client_method());
    use_new_certificate(rig->server_context);
    loop_at_turn_end(rig->loop, on_rig_turn_end, rig);
    *state = rig;
    return 0;
}

static inline int rig_tear_down(void **state)
{
    struct rig *rig = *state;
    struct end *ends[] = {&rig->server, &rig->client};
    for (size_t i = 0; i < 2; i++) {
        if (ends[i]->stream != NULL) {
            stream_close(ends[i]->stream);
        }
        free(ends[i]->got);
    }
    (void)rig_run(rig, 1, NULL); /* the reaper */
    SSL_CTX_free(rig->server_context);
    SSL_CTX_free(rig->client_context);
    loop_free(rig->loop);
    free(rig);
    return 0;
}
