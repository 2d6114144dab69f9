/* crypto/tls_server.c · SPDX-License-Identifier: Apache-2.0 */
#include "crypto/tls_server.h"

#include <openssl/err.h>
#include <openssl/evp.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "crypto/agreement_provider.h"
#include "crypto/cert_store.h"
#include "crypto/error.h"
#include "crypto/identity.h"
#include "crypto/tickets.h"
#include "crypto/tls_identity.h"
#include "crypto/trust.h"
#include "crypto/x509_text.h"

/* Lives as long as its SSL_CTX, which lives as long as the last SSL made from it. */
struct tls_server {
    SSL_CTX *ctx;
    struct cert_store *certificates;
    struct cert_choice loaded; /* what each fresh SSL has */
    struct trust *clients;
    struct alpn_list alpn;
    unsigned minimum_rsa_bits;
    bool refuse_unknown_names;
    struct tickets *spending; /* NULL: a ticket may be used again */
    uint8_t scope[SSL_MAX_SID_CTX_LENGTH];
};

/* ---- callbacks ---- */

static int on_server_name(SSL *ssl, int *alert, void *self)
{
    const struct tls_server *server = self;
    const char *name = SSL_get_servername(ssl, TLSEXT_NAMETYPE_host_name);
    if (name == NULL) {
        return SSL_TLSEXT_ERR_NOACK;
    }
    struct cert_choice ignored;
    if (server->refuse_unknown_names &&
        !cert_store_choose(server->certificates, name, time(NULL), &ignored)) {
        *alert = SSL_AD_UNRECOGNIZED_NAME;
        return SSL_TLSEXT_ERR_ALERT_FATAL;
    }
    return SSL_TLSEXT_ERR_OK;
}

static int on_certificate(SSL *ssl, void *self)
{
    const struct tls_server *server = self;
    struct cert_choice choice;
    const char *name = SSL_get_servername(ssl, TLSEXT_NAMETYPE_host_name);
    (void)cert_store_choose(server->certificates, name, time(NULL), &choice);
    if (tls_identity_is_same(&choice, &server->loaded)) {
        return 1;
    }
    return tls_identity_replace(ssl, &choice) ? 1 : 0;
}

static int on_alpn(SSL *ssl, const unsigned char **chosen, unsigned char *chosen_len,
                   const unsigned char *offered, unsigned offered_len, void *self)
{
    (void)ssl;
    const struct tls_server *server = self;
    unsigned char *found = NULL;
    if (SSL_select_next_proto(&found, chosen_len, server->alpn.wire, server->alpn.len, offered,
                              offered_len) != OPENSSL_NPN_NEGOTIATED) {
        return SSL_TLSEXT_ERR_ALERT_FATAL;
    }
    *chosen = found;
    return SSL_TLSEXT_ERR_OK;
}

static const struct identity *identity_in_use(const struct tls_server *server, const SSL *ssl)
{
    const X509 *shown = SSL_get_certificate(ssl);
    for (size_t i = 0; i < cert_store_count(server->certificates); i++) {
        const struct identity *identity = cert_store_at(server->certificates, i);
        if (certificate_leaf(identity_certificate(identity)) == shown) {
            return identity;
        }
    }
    return NULL;
}

static int on_status_request(SSL *ssl, void *self)
{
    const struct identity *identity = identity_in_use(self, ssl);
    struct bytes staple = {0};
    if (identity != NULL) {
        staple = identity_staple_at(identity, time(NULL));
    }
    if (staple.len == 0) {
        return SSL_TLSEXT_ERR_NOACK;
    }
    unsigned char *copy = OPENSSL_memdup(staple.at, staple.len);
    if (copy == NULL || SSL_set_tlsext_status_ocsp_resp(ssl, copy, (long)staple.len) != 1) {
        OPENSSL_free(copy);
        return SSL_TLSEXT_ERR_NOACK;
    }
    return SSL_TLSEXT_ERR_OK;
}

static int on_client_chain(X509_STORE_CTX *chain, void *self)
{
    const struct tls_server *server = self;
    return tls_policy_verify_chain(chain, server->minimum_rsa_bits) ? 1 : 0;
}

/* A ticket remembers that a client's certificate was accepted, not that it still would be. */
static bool is_client_outdated(const struct tls_server *server, SSL_SESSION *session)
{
    const X509 *client = SSL_SESSION_get0_peer(session);
    if (server->clients == NULL || client == NULL) {
        return false;
    }
    time_t now = time(NULL);
    time_t revoked_until = trust_revoked_until(server->clients);
    return x509_time(X509_get0_notAfter(client)) < now ||
           (revoked_until != 0 && revoked_until < now);
}

/* A ticket of another listener is not spent by being shown to this one, which will not take it. */
static bool is_of_scope(const struct tls_server *server, const SSL_SESSION *session)
{
    unsigned len = 0;
    const unsigned char *scope = SSL_SESSION_get0_id_context(session, &len);
    return len == sizeof(server->scope) && memcmp(scope, server->scope, len) == 0;
}

/* The last question that is asked of a ticket, as its answer uses it up. */
static bool is_used_up(const struct tls_server *server, SSL *ssl, const SSL_SESSION *session)
{
    return server->spending != NULL && SSL_version(ssl) == TLS1_3_VERSION &&
           !(is_of_scope(server, session) && tickets_spend(server->spending, ssl, session));
}

static SSL_TICKET_RETURN on_ticket(SSL *ssl, SSL_SESSION *session, const unsigned char *key_name,
                                   size_t key_name_len, SSL_TICKET_STATUS status, void *self)
{
    (void)key_name;
    (void)key_name_len;
    if (status != SSL_TICKET_SUCCESS && status != SSL_TICKET_SUCCESS_RENEW) {
        return SSL_TICKET_RETURN_IGNORE_RENEW;
    }
    if (is_client_outdated(self, session) || is_used_up(self, ssl, session)) {
        return SSL_TICKET_RETURN_IGNORE_RENEW;
    }
    return status == SSL_TICKET_SUCCESS ? SSL_TICKET_RETURN_USE : SSL_TICKET_RETURN_USE_RENEW;
}

/* ---- setting up ---- */

static void on_ctx_free(void *ctx, void *self, CRYPTO_EX_DATA *all, int index, long number,
                        void *pointer)
{
    (void)ctx;
    (void)all;
    (void)index;
    (void)number;
    (void)pointer;
    struct tls_server *server = self;
    if (server != NULL) {
        cert_store_unref(server->certificates);
        trust_unref(server->clients);
        free(server);
    }
}

/* One index for the process: OpenSSL hands them out and never takes them back. */
static int ex_index(void)
{
    static int index = -1;
    if (index < 0) {
        index = SSL_CTX_get_ex_new_index(0, NULL, NULL, NULL, on_ctx_free);
    }
    return index;
}

/* A session is resumed only where the same things would be asked of the client again: the same
 * listener, policy, authorities and revocation lists. */
static bool set_session_scope(struct tls_server *server, const struct tls_server_settings *settings)
{
    uint8_t scope[EVP_MAX_MD_SIZE];
    const struct tls_policy *policy = &settings->policy;
    const uint32_t numbers[] = {(uint32_t)settings->client_auth, (uint32_t)policy->minimum,
                                (uint32_t)policy->suites, policy->minimum_rsa_bits};
    EVP_MD_CTX *hash = EVP_MD_CTX_new();
    bool hashed = hash != NULL && EVP_DigestInit_ex(hash, EVP_sha256(), NULL) == 1 &&
                  EVP_DigestUpdate(hash, settings->name, strlen(settings->name) + 1) == 1 &&
                  EVP_DigestUpdate(hash, numbers, sizeof(numbers)) == 1;
    for (size_t i = 0; hashed && i < policy->name_count; i++) {
        hashed = EVP_DigestUpdate(hash, policy->names[i], strlen(policy->names[i]) + 1) == 1;
    }
    if (hashed && settings->clients != NULL) {
        hashed = EVP_DigestUpdate(hash, trust_sha256(settings->clients), X509_SHA256_BYTES) == 1;
    }
    hashed = hashed && EVP_DigestFinal_ex(hash, scope, NULL) == 1;
    EVP_MD_CTX_free(hash);
    if (hashed) {
        memcpy(server->scope, scope, sizeof(server->scope));
    }
    return hashed &&
           SSL_CTX_set_session_id_context(server->ctx, server->scope, sizeof(server->scope)) == 1;
}

/* The ticket keys' own lifetime, which is installed before, is never exceeded. */
static void limit_sessions(SSL_CTX *ctx, uint64_t seconds)
{
    if (seconds > 0 && seconds < (uint64_t)SSL_CTX_get_timeout(ctx)) {
        (void)SSL_CTX_set_timeout(ctx, (long)seconds);
    }
}

static bool set_resumption(struct tls_server *server, const struct tls_server_settings *settings,
                           struct crypto_error *error)
{
    SSL_CTX *ctx = server->ctx;
    (void)SSL_CTX_set_session_cache_mode(ctx, SSL_SESS_CACHE_OFF);
    bool is_set = set_session_scope(server, settings);
    if (settings->tickets == NULL) {
        (void)SSL_CTX_set_options(ctx, SSL_OP_NO_TICKET);
        is_set = is_set && SSL_CTX_set_num_tickets(ctx, 0) == 1;
    } else {
        is_set = is_set && SSL_CTX_set_num_tickets(ctx, 1) == 1 &&
                 SSL_CTX_set_session_ticket_cb(ctx, NULL, on_ticket, server) == 1 &&
                 tickets_install(settings->tickets, ctx);
        limit_sessions(ctx, settings->session_seconds);
        server->spending = settings->single_use_tickets ? settings->tickets : NULL;
    }
    if (!is_set) {
        crypto_error_set_openssl(error, "session tickets cannot be set up");
    }
    return is_set;
}

static bool set_client_auth(struct tls_server *server, const struct tls_server_settings *settings,
                            struct crypto_error *error)
{
    if (settings->client_auth == TLS_CLIENT_AUTH_NONE) {
        SSL_CTX_set_verify(server->ctx, SSL_VERIFY_NONE, NULL);
        return true;
    }
    if (settings->clients == NULL) {
        crypto_error_set(error, "client certificates are asked for, and no authority is given to "
                                "verify them");
        return false;
    }
    server->clients = trust_ref(settings->clients);
    STACK_OF(X509_NAME) *names = SSL_dup_CA_list(trust_names(settings->clients));
    if (names == NULL ||
        SSL_CTX_set1_verify_cert_store(server->ctx, trust_store(settings->clients)) != 1) {
        sk_X509_NAME_pop_free(names, X509_NAME_free);
        crypto_error_set_openssl(error, "out of memory");
        return false;
    }
    SSL_CTX_set_client_CA_list(server->ctx, names);
    int mode = SSL_VERIFY_PEER;
    if (settings->client_auth == TLS_CLIENT_AUTH_REQUIRED) {
        mode |= SSL_VERIFY_FAIL_IF_NO_PEER_CERT;
    }
    SSL_CTX_set_verify(server->ctx, mode, NULL);
    SSL_CTX_set_cert_verify_callback(server->ctx, on_client_chain, server);
    return true;
}

static bool set_certificates(struct tls_server *server, const struct tls_server_settings *settings,
                             struct crypto_error *error)
{
    if (cert_store_count(settings->certificates) == 0) {
        crypto_error_set(error, "no certificate to show");
        return false;
    }
    server->certificates = cert_store_ref(settings->certificates);
    (void)cert_store_choose(server->certificates, NULL, time(NULL), &server->loaded);
    if (!tls_identity_load(server->ctx, &server->loaded, error)) {
        return false;
    }
    SSL_CTX_set_cert_cb(server->ctx, on_certificate, server);
    (void)SSL_CTX_set_tlsext_servername_callback(server->ctx, on_server_name);
    (void)SSL_CTX_set_tlsext_servername_arg(server->ctx, server);
    (void)SSL_CTX_set_tlsext_status_cb(server->ctx, on_status_request);
    (void)SSL_CTX_set_tlsext_status_arg(server->ctx, server);
    return true;
}

/* Each certificate has to be one that a handshake will take: found out now, not by a client. */
static bool try_all(const struct tls_server *server, struct crypto_error *error)
{
    for (size_t i = 0; i < cert_store_count(server->certificates); i++) {
        struct cert_choice one = {{NULL}};
        struct identity *identity = cert_store_at(server->certificates, i);
        const struct certificate_facts *facts = certificate_facts(identity_certificate(identity));
        one.of[facts->key] = identity;
        SSL *ssl = SSL_new(server->ctx);
        bool is_taken = ssl != NULL && tls_identity_replace(ssl, &one);
        SSL_free(ssl);
        if (!is_taken) {
            crypto_error_set_openssl(error, "the certificate of %.200s cannot be used",
                                     facts->subject);
            return false;
        }
    }
    return true;
}

static bool set_up(struct tls_server *server, const struct tls_server_settings *settings,
                   struct crypto_error *error)
{
    server->minimum_rsa_bits = settings->policy.minimum_rsa_bits;
    server->refuse_unknown_names = settings->refuse_unknown_names;
    if (!tls_policy_apply(&settings->policy, server->ctx, error) ||
        !alpn_list_init(&server->alpn, settings->alpn, settings->alpn_count, error) ||
        !set_resumption(server, settings, error) || !set_client_auth(server, settings, error) ||
        !set_certificates(server, settings, error)) {
        return false;
    }
    if (server->alpn.len > 0) {
        SSL_CTX_set_alpn_select_cb(server->ctx, on_alpn, server);
    }
    return try_all(server, error);
}

/* ---- life ---- */

struct tls_server *tls_server_new(const struct tls_server_settings *settings,
                                  struct crypto_error *error)
{
    struct tls_server *server = calloc(1, sizeof(*server));
    SSL_CTX *ctx = SSL_CTX_new_ex(NULL, AGREEMENT_PROPERTIES, TLS_server_method());
    if (server == NULL || ctx == NULL || SSL_CTX_set_ex_data(ctx, ex_index(), server) != 1) {
        free(server);
        SSL_CTX_free(ctx);
        crypto_error_set_openssl(error, "out of memory");
        return NULL;
    }
    server->ctx = ctx;
    if (!set_up(server, settings, error)) {
        tls_server_free(server);
        return NULL;
    }
    return server;
}

void tls_server_free(struct tls_server *server)
{
    if (server != NULL) {
        SSL_CTX_free(server->ctx);
    }
}

bool tls_server_asks_the_same(const struct tls_server *left, const struct tls_server *right)
{
    return memcmp(left->scope, right->scope, sizeof(left->scope)) == 0;
}

SSL *tls_server_ssl_new(struct tls_server *server)
{
    SSL *ssl = SSL_new(server->ctx);
    if (ssl == NULL) {
        ERR_clear_error();
        return NULL;
    }
    SSL_set_accept_state(ssl);
    return ssl;
}
