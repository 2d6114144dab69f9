/* crypto/tls_client.c · SPDX-License-Identifier: Apache-2.0 */
#include "crypto/tls_client.h"

#include <arpa/inet.h>
#include <ctype.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/x509v3.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "crypto/error.h"
#include "crypto/identity.h"
#include "crypto/tls_identity.h"
#include "crypto/trust.h"
#include "crypto/x509_text.h"

enum { NAME_MAX_BYTES = 253 };

/* Lives as long as its SSL_CTX, which lives as long as the last SSL made from it. */
struct tls_client {
    SSL_CTX *ctx;
    struct trust *servers;
    bool skip_verification;
    unsigned minimum_rsa_bits;
    uint8_t (*pins)[TLS_PIN_BYTES];
    size_t pin_count;
    struct identity *identities[TLS_CLIENT_IDENTITIES_MAX];
    size_t identity_count;
    struct cert_choice loaded;
    SSL_SESSION *session; /* the latest, or NULL */
    char session_name[NAME_MAX_BYTES + 1];
};

/* ---- verification ---- */

static bool is_pinned(const struct tls_client *client, const X509 *leaf)
{
    uint8_t sha256[TLS_PIN_BYTES];
    if (leaf == NULL || !x509_key_sha256(leaf, sha256)) {
        return false;
    }
    for (size_t i = 0; i < client->pin_count; i++) {
        if (memcmp(client->pins[i], sha256, TLS_PIN_BYTES) == 0) {
            return true;
        }
    }
    return false;
}

static int on_server_chain(X509_STORE_CTX *chain, void *self)
{
    const struct tls_client *client = self;
    bool is_accepted = tls_policy_verify_chain(chain, client->minimum_rsa_bits);
    /* Not verified means: verified and told (the error stays for the facts), but not refused. */
    is_accepted = is_accepted || client->skip_verification;
    if (is_accepted && client->pin_count > 0 &&
        !is_pinned(client, X509_STORE_CTX_get0_cert(chain))) {
        X509_STORE_CTX_set_error(chain, X509_V_ERR_APPLICATION_VERIFICATION);
        return 0;
    }
    return is_accepted ? 1 : 0;
}

/* ---- sessions ---- */

static int ex_index(void);

static void forget_session(struct tls_client *client)
{
    SSL_SESSION_free(client->session);
    client->session = NULL;
}

/* The name that the SSL verifies, as OpenSSL holds it; "" for none. */
static void name_of(SSL *ssl, char out[NAME_MAX_BYTES + 1])
{
    X509_VERIFY_PARAM *verified = SSL_get0_param(ssl);
    const char *host = X509_VERIFY_PARAM_get0_host(verified, 0);
    char *ip = host == NULL ? X509_VERIFY_PARAM_get1_ip_asc(verified) : NULL;
    const char *name = host != NULL ? host : ip;
    (void)snprintf(out, NAME_MAX_BYTES + 1, "%s", name != NULL ? name : "");
    OPENSSL_free(ip);
}

/* Kept and offered as copies: a conn that ends without close_notify makes OpenSSL mark the very
 * object as not resumable, which TLS has not asked for since 1.1 (RFC 4346 §7.2.1). */
static int on_session(SSL *ssl, SSL_SESSION *session)
{
    struct tls_client *client = SSL_CTX_get_ex_data(SSL_get_SSL_CTX(ssl), ex_index());
    SSL_SESSION *copy = SSL_SESSION_is_resumable(session) == 1 ? SSL_SESSION_dup(session) : NULL;
    if (copy != NULL) {
        forget_session(client);
        client->session = copy;
        name_of(ssl, client->session_name);
    }
    return 0;
}

/* Verified then is not verified now: the certificate, or the lists, may have run out since. */
static bool is_session_outdated(const struct tls_client *client)
{
    time_t now = time(NULL);
    const X509 *server = SSL_SESSION_get0_peer(client->session);
    time_t revoked_until = client->servers != NULL ? trust_revoked_until(client->servers) : 0;
    return server == NULL || x509_time(X509_get0_notAfter(server)) < now ||
           (revoked_until != 0 && revoked_until < now);
}

static void offer_session(struct tls_client *client, SSL *ssl)
{
    char name[NAME_MAX_BYTES + 1];
    name_of(ssl, name);
    if (client->session == NULL || strcmp(name, client->session_name) != 0) {
        return;
    }
    if (is_session_outdated(client)) {
        forget_session(client);
        return;
    }
    SSL_SESSION *copy = SSL_SESSION_dup(client->session);
    if (copy == NULL || SSL_set_session(ssl, copy) != 1) {
        ERR_clear_error();
    }
    SSL_SESSION_free(copy);
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
    struct tls_client *client = self;
    if (client == NULL) {
        return;
    }
    for (size_t i = 0; i < client->identity_count; i++) {
        identity_unref(client->identities[i]);
    }
    forget_session(client);
    trust_unref(client->servers);
    free(client->pins);
    free(client);
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

static bool set_servers(struct tls_client *client, const struct tls_client_settings *settings,
                        struct crypto_error *error)
{
    client->skip_verification = settings->skip_verification;
    client->minimum_rsa_bits = settings->policy.minimum_rsa_bits;
    SSL_CTX_set_verify(client->ctx, SSL_VERIFY_PEER, NULL);
    SSL_CTX_set_cert_verify_callback(client->ctx, on_server_chain, client);
    if (settings->servers == NULL) {
        if (!settings->skip_verification) {
            crypto_error_set(error, "no authority is given to verify the server with");
        }
        return settings->skip_verification;
    }
    client->servers = trust_ref(settings->servers);
    if (SSL_CTX_set1_verify_cert_store(client->ctx, trust_store(settings->servers)) != 1) {
        crypto_error_set_openssl(error, "out of memory");
        return false;
    }
    return true;
}

static bool set_pins(struct tls_client *client, const struct tls_client_settings *settings,
                     struct crypto_error *error)
{
    if (settings->pin_count > TLS_PINS_MAX) {
        crypto_error_set(error, "%zu pins; expected at most %d", settings->pin_count, TLS_PINS_MAX);
        return false;
    }
    client->pins = calloc(settings->pin_count + 1, TLS_PIN_BYTES);
    if (client->pins == NULL) {
        crypto_error_set(error, "out of memory");
        return false;
    }
    if (settings->pin_count > 0) {
        memcpy(client->pins, settings->pins, settings->pin_count * TLS_PIN_BYTES);
    }
    client->pin_count = settings->pin_count;
    return true;
}

/* One of each kind: the first that is valid now, else the first. */
static void choose_identities(const struct tls_client *client, struct cert_choice *out)
{
    *out = (struct cert_choice){{NULL}};
    time_t now = time(NULL);
    for (int pass = 0; pass < 2; pass++) {
        for (size_t i = 0; i < client->identity_count; i++) {
            const struct certificate *certificate = identity_certificate(client->identities[i]);
            enum certificate_key key = certificate_facts(certificate)->key;
            if (out->of[key] == NULL && (pass > 0 || certificate_is_valid_at(certificate, now))) {
                out->of[key] = client->identities[i];
            }
        }
    }
}

static bool set_identities(struct tls_client *client, const struct tls_client_settings *settings,
                           struct crypto_error *error)
{
    if (settings->identity_count > TLS_CLIENT_IDENTITIES_MAX) {
        crypto_error_set(error, "%zu client certificates; expected at most %d",
                         settings->identity_count, TLS_CLIENT_IDENTITIES_MAX);
        return false;
    }
    for (size_t i = 0; i < settings->identity_count; i++) {
        client->identities[client->identity_count++] = identity_ref(settings->identities[i]);
    }
    choose_identities(client, &client->loaded);
    return tls_identity_load(client->ctx, &client->loaded, error);
}

static bool set_alpn(struct tls_client *client, const struct tls_client_settings *settings,
                     struct crypto_error *error)
{
    struct alpn_list list;
    if (!alpn_list_init(&list, settings->alpn, settings->alpn_count, error)) {
        return false;
    }
    /* Here, and here alone, OpenSSL returns 0 for fine. */
    if (list.len > 0 && SSL_CTX_set_alpn_protos(client->ctx, list.wire, list.len) != 0) {
        crypto_error_set_openssl(error, "out of memory");
        return false;
    }
    return true;
}

static bool set_up(struct tls_client *client, const struct tls_client_settings *settings,
                   struct crypto_error *error)
{
    (void)SSL_CTX_set_session_cache_mode(client->ctx,
                                         SSL_SESS_CACHE_CLIENT | SSL_SESS_CACHE_NO_INTERNAL);
    SSL_CTX_sess_set_new_cb(client->ctx, on_session);
    return tls_policy_apply(&settings->policy, client->ctx, error) &&
           set_servers(client, settings, error) && set_pins(client, settings, error) &&
           set_identities(client, settings, error) && set_alpn(client, settings, error);
}

/* ---- life ---- */

struct tls_client *tls_client_new(const struct tls_client_settings *settings,
                                  struct crypto_error *error)
{
    struct tls_client *client = calloc(1, sizeof(*client));
    SSL_CTX *ctx = SSL_CTX_new(TLS_client_method());
    if (client == NULL || ctx == NULL || SSL_CTX_set_ex_data(ctx, ex_index(), client) != 1) {
        free(client);
        SSL_CTX_free(ctx);
        crypto_error_set_openssl(error, "out of memory");
        return NULL;
    }
    client->ctx = ctx;
    if (!set_up(client, settings, error)) {
        tls_client_free(client);
        return NULL;
    }
    return client;
}

void tls_client_free(struct tls_client *client)
{
    if (client != NULL) {
        SSL_CTX_free(client->ctx);
    }
}

static bool is_ip(const char *name)
{
    unsigned char ip[16];
    return inet_pton(AF_INET, name, ip) == 1 || inet_pton(AF_INET6, name, ip) == 1;
}

static bool is_host(const char *name, size_t len)
{
    for (size_t i = 0; i < len; i++) {
        if (!isalnum((unsigned char)name[i]) && strchr("-._", name[i]) == NULL) {
            return false;
        }
    }
    return len > 0 && name[0] != '.';
}

static bool set_host(SSL *ssl, const char *name)
{
    char host[NAME_MAX_BYTES + 1];
    size_t len = strnlen(name, sizeof(host));
    if (len > 0 && name[len - 1] == '.') {
        len--; /* RFC 6066 §3: without the dot */
    }
    if (len > NAME_MAX_BYTES || !is_host(name, len)) {
        return false;
    }
    memcpy(host, name, len);
    host[len] = '\0';
    SSL_set_hostflags(ssl,
                      X509_CHECK_FLAG_NEVER_CHECK_SUBJECT | X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS);
    return SSL_set1_host(ssl, host) == 1 && SSL_set_tlsext_host_name(ssl, host) == 1;
}

static bool set_name(const struct tls_client *client, SSL *ssl, const char *name)
{
    if (name == NULL) {
        return client->skip_verification;
    }
    if (is_ip(name)) {
        return X509_VERIFY_PARAM_set1_ip_asc(SSL_get0_param(ssl), name) == 1;
    }
    return set_host(ssl, name);
}

static bool set_identity_of_now(const struct tls_client *client, SSL *ssl)
{
    struct cert_choice choice;
    choose_identities(client, &choice);
    return tls_identity_is_same(&choice, &client->loaded) || tls_identity_replace(ssl, &choice);
}

SSL *tls_client_ssl_new(struct tls_client *client, const char *name)
{
    SSL *ssl = SSL_new(client->ctx);
    if (ssl == NULL || !set_name(client, ssl, name) || !set_identity_of_now(client, ssl)) {
        SSL_free(ssl);
        ERR_clear_error();
        return NULL;
    }
    offer_session(client, ssl);
    SSL_set_connect_state(ssl);
    return ssl;
}
