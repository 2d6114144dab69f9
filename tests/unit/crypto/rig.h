/* tests/unit/crypto/rig.h
 *
 * What the tests of keys apart share: keys and certificates made on the spot, a keyholder in a
 * forked process, and TLS handshakes over memory between a server and a client in this process.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#pragma once

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "crypto/error.h"
#include "crypto/key_client.h"
#include "crypto/key_provider.h"
#include "crypto/keyholder.h"
#include "crypto/secret.h"

#include <errno.h>
#include <fcntl.h>
#include <openssl/core_names.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

enum { RIG_RSA_ID = 7, RIG_EC_ID = 4000000000, RIG_STRANGER_ID = 9, RIG_PEM_MAX = 8192 };

/* A key as PEM, its certificate, and nothing else: the EVP_PKEY is gone. */
struct rig_identity {
    uint8_t pem[RIG_PEM_MAX];
    size_t pem_len;
    X509 *certificate;
};

static inline EVP_PKEY *rig_key_new(bool is_rsa)
{
    EVP_PKEY *key = is_rsa ? EVP_PKEY_Q_keygen(NULL, NULL, "RSA", (size_t)2048)
                           : EVP_PKEY_Q_keygen(NULL, NULL, "EC", "P-256");
    assert_non_null(key);
    return key;
}

static inline X509 *rig_certificate_new(EVP_PKEY *key)
{
    X509 *certificate = X509_new();
    assert_int_equal(X509_set_version(certificate, 2), 1);
    ASN1_INTEGER_set(X509_get_serialNumber(certificate), 1);
    X509_gmtime_adj(X509_getm_notBefore(certificate), -60);
    X509_gmtime_adj(X509_getm_notAfter(certificate), 3600);
    X509_NAME *name = X509_get_subject_name(certificate);
    X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_ASC, (const uint8_t *)"localhost", -1, -1, 0);
    X509_set_issuer_name(certificate, name);
    assert_int_equal(X509_set_pubkey(certificate, key), 1);
    X509_EXTENSION *san = X509V3_EXT_conf_nid(NULL, NULL, NID_subject_alt_name, "DNS:localhost");
    X509_add_ext(certificate, san, -1);
    X509_EXTENSION_free(san);
    assert_true(X509_sign(certificate, key, EVP_sha256()) > 0);
    return certificate;
}

static inline size_t rig_pem_of(EVP_PKEY *key, const char *password, uint8_t *out, size_t size)
{
    BIO *bio = BIO_new(BIO_s_mem());
    const EVP_CIPHER *cipher = password != NULL ? EVP_aes_256_cbc() : NULL;
    assert_int_equal(PEM_write_bio_PKCS8PrivateKey(bio, key, cipher, password,
                                                   password != NULL ? (int)strlen(password) : 0,
                                                   NULL, NULL),
                     1);
    int len = BIO_read(bio, out, (int)size);
    assert_true(len > 0);
    BIO_free(bio);
    return (size_t)len;
}

static inline void rig_identity_init(struct rig_identity *identity, bool is_rsa)
{
    EVP_PKEY *key = rig_key_new(is_rsa);
    identity->certificate = rig_certificate_new(key);
    identity->pem_len = rig_pem_of(key, NULL, identity->pem, sizeof(identity->pem));
    EVP_PKEY_free(key);
}

static inline void rig_identity_fini(struct rig_identity *identity)
{
    OPENSSL_cleanse(identity->pem, sizeof(identity->pem));
    X509_free(identity->certificate);
}

/* ---- the keyholder in a process of its own ---- */

struct rig_keyholder {
    pid_t pid;
    int master; /* closing it ends the keyholder */
    int worker; /* the worker's end; whoever takes it sets -1 */
};

static inline void rig_keyholder_child(int master, int worker, const struct rig_identity *rsa,
                                       const struct rig_identity *ec)
{
    struct keyholder_settings settings = {.master_descriptor = master};
    static const uint32_t granted[] = {RIG_RSA_ID, RIG_EC_ID};
    struct keyholder *keyholder = keyholder_new(&settings, NULL);
    if (keyholder == NULL ||
        !keyholder_add_key(keyholder, RIG_RSA_ID, rsa->pem, rsa->pem_len, NULL, NULL) ||
        !keyholder_add_key(keyholder, RIG_EC_ID, ec->pem, ec->pem_len, NULL, NULL) ||
        !keyholder_add_key(keyholder, RIG_STRANGER_ID, rsa->pem, rsa->pem_len, NULL, NULL) ||
        !keyholder_add_worker(keyholder, 0, worker, granted, 2, NULL)) {
        _exit(1);
    }
    keyholder_run(keyholder);
    keyholder_free(keyholder);
    _exit(0);
}

static inline void rig_keyholder_start(struct rig_keyholder *keyholder,
                                       const struct rig_identity *rsa,
                                       const struct rig_identity *ec)
{
    int master[2];
    int worker[2];
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, master), 0);
    assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, worker), 0);
    keyholder->pid = fork();
    assert_true(keyholder->pid >= 0);
    if (keyholder->pid == 0) {
        close(master[0]);
        close(worker[0]);
        rig_keyholder_child(master[1], worker[1], rsa, ec);
    }
    close(master[1]);
    close(worker[1]);
    keyholder->master = master[0];
    keyholder->worker = worker[0];
}

/* The keyholder ends because its master's descriptor closed, with status 0. */
static inline void rig_keyholder_stop(struct rig_keyholder *keyholder)
{
    if (keyholder->worker >= 0) {
        close(keyholder->worker);
    }
    close(keyholder->master);
    int status = 0;
    assert_int_equal(waitpid(keyholder->pid, &status, 0), keyholder->pid);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 0);
}

static inline void rig_keyholder_kill(struct rig_keyholder *keyholder)
{
    assert_int_equal(kill(keyholder->pid, SIGKILL), 0);
    assert_int_equal(waitpid(keyholder->pid, NULL, 0), keyholder->pid);
    close(keyholder->master);
}

/* ---- handshakes ---- */

/* One server and its client, over a BIO pair. The server's side is what a TLS stream does. */
struct rig_pair {
    SSL *server;
    SSL *client;
    struct key_waiter waiter;
    int parks;
    int wakes;
    int jobless; /* how often the pool was used up */
    bool parked;
    bool no_job;
    bool server_done;
    bool client_done;
    bool failed;
};

static inline int rig_on_wake(SSL *ssl, void *self)
{
    struct rig_pair *pair = self;
    assert_ptr_equal(ssl, pair->server);
    assert_true(pair->parked);
    pair->wakes++;
    pair->parked = false;
    return 1;
}

static inline void rig_on_room(void *self)
{
    struct rig_pair *pair = self;
    pair->no_job = false;
}

static inline void rig_pair_init(struct rig_pair *pair, SSL_CTX *server, SSL_CTX *client,
                                 bool is_async)
{
    *pair = (struct rig_pair){0};
    pair->waiter.on_room = rig_on_room;
    pair->waiter.self = pair;
    pair->server = SSL_new(server);
    pair->client = SSL_new(client);
    BIO *server_end = NULL;
    BIO *client_end = NULL;
    assert_int_equal(BIO_new_bio_pair(&server_end, 0, &client_end, 0), 1);
    SSL_set_bio(pair->server, server_end, server_end);
    SSL_set_bio(pair->client, client_end, client_end);
    SSL_set_accept_state(pair->server);
    SSL_set_connect_state(pair->client);
    assert_int_equal(SSL_set1_host(pair->client, "localhost"), 1);
    SSL_set_tlsext_host_name(pair->client, "localhost");
    if (is_async) {
        SSL_set_mode(pair->server, SSL_MODE_ASYNC);
        SSL_set_async_callback(pair->server, rig_on_wake);
        SSL_set_async_callback_arg(pair->server, pair);
    }
}

static inline void rig_pair_fini(struct rig_pair *pair)
{
    assert_false(SSL_waiting_for_async(pair->server));
    SSL_free(pair->server);
    SSL_free(pair->client);
}

static inline void rig_step_client(struct rig_pair *pair)
{
    if (pair->client_done || pair->failed) {
        return;
    }
    ERR_clear_error();
    int result = SSL_do_handshake(pair->client);
    if (result == 1) {
        pair->client_done = true;
    } else {
        int error = SSL_get_error(pair->client, result);
        pair->failed = error != SSL_ERROR_WANT_READ && error != SSL_ERROR_WANT_WRITE;
    }
}

static inline void rig_step_server(struct rig_pair *pair, struct key_client *keys)
{
    if (pair->server_done || pair->parked || pair->no_job || pair->failed) {
        return;
    }
    ERR_clear_error();
    int result = SSL_do_handshake(pair->server);
    int error = result == 1 ? SSL_ERROR_NONE : SSL_get_error(pair->server, result);
    if (error == SSL_ERROR_NONE) {
        pair->server_done = true;
        SSL_clear_mode(pair->server, SSL_MODE_ASYNC);
    } else if (error == SSL_ERROR_WANT_ASYNC) {
        pair->parked = true;
        pair->parks++;
    } else if (error == SSL_ERROR_WANT_ASYNC_JOB) {
        pair->no_job = true;
        pair->jobless++;
        key_client_wait(keys, &pair->waiter);
    } else {
        pair->failed = error != SSL_ERROR_WANT_READ && error != SSL_ERROR_WANT_WRITE;
    }
}

static inline bool rig_pair_is_over(const struct rig_pair *pair)
{
    return pair->failed || (pair->server_done && pair->client_done);
}

/* Whether there is nothing to do but wait for the keyholder. */
static inline bool rig_all_wait(const struct rig_pair *pairs, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        if (!rig_pair_is_over(&pairs[i]) && !pairs[i].parked && !pairs[i].no_job) {
            return false;
        }
    }
    return true;
}

/* One turn of a worker's loop. */
static inline void rig_turn(struct rig_pair *pairs, size_t count, struct key_client *keys)
{
    for (size_t i = 0; i < count; i++) {
        rig_step_client(&pairs[i]);
        rig_step_server(&pairs[i], keys);
    }
    key_client_flush(keys);
    bool sleeps = key_client_waiting(keys) > 0 && rig_all_wait(pairs, count);
    struct pollfd polled = {.fd = key_client_descriptor(keys), .events = POLLIN};
    if (polled.fd >= 0 && poll(&polled, 1, sleeps ? 1000 : 0) > 0) {
        key_client_on_readable(keys);
    }
}

/* Turns until all are over; fails the test when that takes absurdly long. */
static inline void rig_run(struct rig_pair *pairs, size_t count, struct key_client *keys)
{
    for (int turn = 0; turn < 10000; turn++) {
        size_t over = 0;
        for (size_t i = 0; i < count; i++) {
            over += rig_pair_is_over(&pairs[i]) ? 1 : 0;
        }
        if (over == count) {
            return;
        }
        rig_turn(pairs, count, keys);
    }
    fail_msg("handshakes do not end");
}

static inline SSL_CTX *rig_server_new(X509 *certificate, EVP_PKEY *key, int version)
{
    SSL_CTX *server = SSL_CTX_new(TLS_server_method());
    assert_non_null(server);
    assert_int_equal(SSL_CTX_set_min_proto_version(server, version), 1);
    assert_int_equal(SSL_CTX_set_max_proto_version(server, version), 1);
    assert_int_equal(SSL_CTX_use_certificate(server, certificate), 1);
    assert_int_equal(SSL_CTX_use_PrivateKey(server, key), 1);
    assert_int_equal(SSL_CTX_check_private_key(server), 1);
    return server;
}

/* Verifies chain and name: the RSA and EC code that verifies must be OpenSSL's own. */
static inline SSL_CTX *rig_client_new(X509 *trusted)
{
    SSL_CTX *client = SSL_CTX_new(TLS_client_method());
    assert_non_null(client);
    SSL_CTX_set_verify(client, SSL_VERIFY_PEER, NULL);
    assert_int_equal(X509_STORE_add_cert(SSL_CTX_get_cert_store(client), trusted), 1);
    return client;
}
