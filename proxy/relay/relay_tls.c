/* proxy/relay/relay_tls.c · SPDX-License-Identifier: Apache-2.0 */
#include "proxy/relay/relay_tls.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "crypto/cert_store.h"
#include "crypto/certificate.h"
#include "crypto/error.h"
#include "crypto/identity.h"
#include "crypto/tls_client.h"
#include "crypto/tls_server.h"
#include "crypto/trust.h"

struct relay_tls {
    const struct relay_start *start; /* only while opening */
    struct trust *system;            /* likewise; NULL: nobody has asked for it */
    const struct config *config;
    struct identity **identities; /* one a certificate of the configuration */
    struct tls_server **servers;  /* one a listener */
    struct tls_client ***clients; /* one array a backend, one entry a server */
    struct tls_client ***tunnel_clients;
};

static enum status refuse(struct relay_error *error, const struct place *place, const char *format,
                          ...) __attribute__((format(printf, 3, 4)));

static enum status refuse(struct relay_error *error, const struct place *place, const char *format,
                          ...)
{
    int len =
        snprintf(error->text, sizeof(error->text),
                 "%s:%u:%u: ", place->file != NULL ? place->file : "-", place->line, place->column);
    va_list arguments;
    va_start(arguments, format);
    if (len >= 0 && (size_t)len < sizeof(error->text)) {
        (void)vsnprintf(error->text + len, sizeof(error->text) - (size_t)len, format, arguments);
    }
    va_end(arguments);
    return STATUS_REFUSED;
}

/* ---- files of the bundle ---- */

/* Empty bytes for a word ("none", "system") and for a file that is not there. */
static struct bytes file_bytes(const struct relay_tls *tls, const struct config_file *file)
{
    const struct bundle_entry *entry =
        file->path != NULL ? bundle_find(tls->start->bundle, file->path) : NULL;
    return entry != NULL ? (struct bytes){.at = entry->bytes, .len = entry->len}
                         : (struct bytes){0};
}

static struct tls_policy policy_of(const struct config *config)
{
    const struct config_enforcement *enforcement = &config->enforcement;
    static const enum tls_suites suites[] = {
        [CONFIG_CIPHERS_AES256] = TLS_SUITES_AES256,
        [CONFIG_CIPHERS_MODERN] = TLS_SUITES_MODERN,
        [CONFIG_CIPHERS_LIST] = TLS_SUITES_LIST,
    };
    return (struct tls_policy){
        .minimum = enforcement->minimum_tls == CONFIG_TLS_1_3 ? TLS_VERSION_1_3 : TLS_VERSION_1_2,
        .suites = suites[enforcement->cipher_policy],
        .names = (const char *const *)enforcement->cipher_names,
        .name_count = enforcement->cipher_name_count,
        .minimum_rsa_bits = (unsigned)enforcement->minimum_rsa_bits,
    };
}

/* ---- identities ---- */

static enum status open_identity(struct relay_tls *tls, size_t index, struct relay_error *error)
{
    const struct config_certificate *config = &tls->config->certificates[index];
    struct crypto_error why = {{0}};
    struct certificate *certificate = certificate_read(file_bytes(tls, &config->chain), NULL, &why);
    if (certificate == NULL) {
        return refuse(error, &config->chain.place, "certificate %s: %s", config->name, why.text);
    }
    EVP_PKEY *public_key = X509_get0_pubkey(certificate_leaf(certificate));
    EVP_PKEY *key = key_provider_key(tls->start->key_provider, public_key,
                                     tls->start->key_base + (uint32_t)index, &why);
    if (key != NULL) {
        tls->identities[index] = identity_new(certificate, key, &why);
        EVP_PKEY_free(key);
    }
    certificate_unref(certificate);
    if (tls->identities[index] == NULL) {
        return refuse(error, &config->place, "certificate %s: %s", config->name, why.text);
    }
    struct bytes staple = file_bytes(tls, &config->ocsp);
    if (staple.len > 0 && !identity_staple(tls->identities[index], staple, time(NULL), &why)) {
        /* A response that has run out must not stop the start: clients do without one. */
        LOG_EVENT(tls->start->log, LOG_WARN, "ocsp_not_stapled",
                  log_text("certificate", config->name), log_text("reason", why.text));
    }
    return STATUS_OK;
}

/* ---- trust ---- */

static struct trust *read_trust(const struct relay_tls *tls, const struct config_file *ca,
                                const struct config_file *crl, struct relay_error *error)
{
    struct crypto_error why = {{0}};
    struct trust *trust = trust_read(file_bytes(tls, ca), file_bytes(tls, crl), &why);
    if (trust == NULL) {
        (void)refuse(error, &ca->place, "%s", why.text);
    }
    return trust;
}

/* `ca` without a path is the system's bundle, which the master has put in under its own name. Its
 * hundred and more certificates are read once for all who trust them. */
static struct trust *trust_of(struct relay_tls *tls, const struct config_file *ca,
                              const struct config_file *crl, struct relay_error *error)
{
    if (ca->path != NULL) {
        return read_trust(tls, ca, crl, error);
    }
    struct config_file file = *ca;
    file.path = RELAY_SYSTEM_CA;
    if (file_bytes(tls, crl).len > 0) {
        return read_trust(tls, &file, crl, error);
    }
    if (tls->system == NULL) {
        tls->system = read_trust(tls, &file, crl, error);
    }
    return tls->system != NULL ? trust_ref(tls->system) : NULL;
}

/* ---- listeners ---- */

static struct cert_store *store_of(const struct relay_tls *tls,
                                   const struct config_listener_tls *config)
{
    struct cert_store *store = cert_store_new();
    for (size_t i = 0; store != NULL && i < config->certificate_count; i++) {
        if (!cert_store_add(store, tls->identities[config->certificates[i]])) {
            cert_store_unref(store);
            store = NULL;
        }
    }
    return store;
}

static enum status open_server(struct relay_tls *tls, size_t index, struct relay_error *error)
{
    const struct config_listener *listener = &tls->config->listeners[index];
    const struct config_listener_tls *config = &listener->tls;
    static const enum tls_client_auth auths[] = {
        [CONFIG_CLIENT_AUTH_NONE] = TLS_CLIENT_AUTH_NONE,
        [CONFIG_CLIENT_AUTH_OPTIONAL] = TLS_CLIENT_AUTH_OPTIONAL,
        [CONFIG_CLIENT_AUTH_REQUIRED] = TLS_CLIENT_AUTH_REQUIRED,
    };
    struct tls_server_settings settings = {
        .name = listener->name,
        .policy = policy_of(tls->config),
        .tickets = config->session_tickets ? tls->start->tickets : NULL,
        .single_use_tickets = tls->config->tickets.single_use,
        .session_seconds = tls->config->timeouts.session_ms / 1000,
        .alpn = (const char *const *)config->alpn,
        .alpn_count = config->alpn_count,
        .client_auth = auths[config->client_auth],
    };
    if (config->client_auth != CONFIG_CLIENT_AUTH_NONE) {
        settings.clients = trust_of(tls, &config->client_ca, &config->client_crl, error);
        if (settings.clients == NULL) {
            return STATUS_REFUSED;
        }
    }
    settings.certificates = store_of(tls, config);
    struct crypto_error why = {{0}};
    if (settings.certificates != NULL) {
        tls->servers[index] = tls_server_new(&settings, &why);
    }
    cert_store_unref(settings.certificates);
    trust_unref(settings.clients);
    return tls->servers[index] != NULL
               ? STATUS_OK
               : refuse(error, &config->place, "listener %s: %s", listener->name, why.text);
}

/* ---- backends ---- */

/* What is offered to a server, the preferred one first. */
struct offer {
    const char *const *ids;
    size_t count;
};

static const char *const PROTOCOLS[] = {"h2", "http/1.1"};
static const struct offer OFFER_BOTH = {PROTOCOLS, 2};
static const struct offer OFFER_H2 = {PROTOCOLS, 1};
static const struct offer OFFER_HTTP11 = {PROTOCOLS + 1, 1};

static enum status open_client(struct relay_tls *tls, const struct config_backend *backend,
                               struct trust *trust, const struct config_server *server,
                               struct offer offer, struct tls_client **out,
                               struct relay_error *error)
{
    const struct config_backend_tls *config = &backend->tls;
    struct identity *identities[TLS_CLIENT_IDENTITIES_MAX];
    uint8_t pins[TLS_PINS_MAX][TLS_PIN_BYTES];
    if (config->certificate_count > TLS_CLIENT_IDENTITIES_MAX || config->pin_count > TLS_PINS_MAX) {
        return refuse(error, &config->place, "too many certificates or pins");
    }
    for (size_t i = 0; i < config->certificate_count; i++) {
        identities[i] = tls->identities[config->certificates[i]];
    }
    for (size_t i = 0; i < config->pin_count; i++) {
        memcpy(pins[i], config->pins[i].sha256, sizeof(pins[i]));
    }
    const struct tls_client_settings settings = {
        .policy = policy_of(tls->config),
        .servers = trust,
        .skip_verification = !tls->config->enforcement.verify_backends,
        .pins = (const uint8_t(*)[TLS_PIN_BYTES])pins,
        .pin_count = config->pin_count,
        .identities = identities,
        .identity_count = config->certificate_count,
        .alpn = offer.ids,
        .alpn_count = offer.count,
    };
    struct crypto_error why = {{0}};
    *out = tls_client_new(&settings, &why);
    return *out != NULL ? STATUS_OK
                        : refuse(error, &server->place, "server %s: %s", server->url, why.text);
}

static enum status open_clients_of_server(struct relay_tls *tls, size_t backend_index, size_t index,
                                          struct trust *trust, struct relay_error *error)
{
    const struct config_backend *backend = &tls->config->backends[backend_index];
    const struct config_server *server = &backend->servers[index];
    bool speaks_both = server->scheme == CONFIG_SCHEME_HTTPS;
    enum status status =
        open_client(tls, backend, trust, server, speaks_both ? OFFER_BOTH : OFFER_H2,
                    &tls->clients[backend_index][index], error);
    if (status != STATUS_OK || !speaks_both) {
        return status;
    }
    return open_client(tls, backend, trust, server, OFFER_HTTP11,
                       &tls->tunnel_clients[backend_index][index], error);
}

static enum status open_clients(struct relay_tls *tls, size_t index, struct relay_error *error)
{
    const struct config_backend *backend = &tls->config->backends[index];
    struct trust *trust = NULL;
    enum status status = STATUS_OK;
    tls->clients[index] = calloc(backend->server_count + 1, sizeof(struct tls_client *));
    tls->tunnel_clients[index] = calloc(backend->server_count + 1, sizeof(struct tls_client *));
    if (tls->clients[index] == NULL || tls->tunnel_clients[index] == NULL) {
        return STATUS_NOMEM;
    }
    for (size_t i = 0; i < backend->server_count && status == STATUS_OK; i++) {
        if (!config_scheme_is_tls(backend->servers[i].scheme)) {
            continue;
        }
        if (trust == NULL) {
            trust = trust_of(tls, &backend->tls.ca, &backend->tls.crl, error);
        }
        status =
            trust != NULL ? open_clients_of_server(tls, index, i, trust, error) : STATUS_REFUSED;
    }
    trust_unref(trust);
    return status;
}

/* ---- all of it ---- */

static enum status open_all(struct relay_tls *tls, struct relay_error *error)
{
    const struct config *config = tls->config;
    enum status status = STATUS_OK;
    for (size_t i = 0; i < config->certificate_count && status == STATUS_OK; i++) {
        status = open_identity(tls, i, error);
    }
    for (size_t i = 0; i < config->listener_count && status == STATUS_OK; i++) {
        status = config->listeners[i].tls.on ? open_server(tls, i, error) : STATUS_OK;
    }
    for (size_t i = 0; i < config->backend_count && status == STATUS_OK; i++) {
        status = open_clients(tls, i, error);
    }
    return status;
}

enum status relay_tls_open(struct relay_tls **out, const struct relay_start *start,
                           struct relay_error *error)
{
    const struct config *config = start->config;
    struct relay_tls *tls = calloc(1, sizeof(*tls));
    *out = NULL;
    if (tls == NULL) {
        return STATUS_NOMEM;
    }
    tls->start = start;
    tls->config = config;
    tls->identities = calloc(config->certificate_count + 1, sizeof(struct identity *));
    tls->servers = calloc(config->listener_count + 1, sizeof(struct tls_server *));
    tls->clients = calloc(config->backend_count + 1, sizeof(struct tls_client **));
    tls->tunnel_clients = calloc(config->backend_count + 1, sizeof(struct tls_client **));
    bool has_room = tls->identities != NULL && tls->servers != NULL && tls->clients != NULL &&
                    tls->tunnel_clients != NULL;
    enum status status = has_room ? open_all(tls, error) : STATUS_NOMEM;
    tls->start = NULL;
    trust_unref(tls->system);
    tls->system = NULL;
    if (status != STATUS_OK) {
        relay_tls_close(tls);
        return status;
    }
    *out = tls;
    return STATUS_OK;
}

static void close_clients(const struct config *config, struct tls_client ***clients)
{
    for (size_t i = 0; clients != NULL && i < config->backend_count; i++) {
        size_t count = clients[i] != NULL ? config->backends[i].server_count : 0;
        for (size_t j = 0; j < count; j++) {
            tls_client_free(clients[i][j]);
        }
        free(clients[i]);
    }
    free(clients);
}

void relay_tls_close(struct relay_tls *tls)
{
    if (tls == NULL) {
        return;
    }
    close_clients(tls->config, tls->clients);
    close_clients(tls->config, tls->tunnel_clients);
    for (size_t i = 0; tls->servers != NULL && i < tls->config->listener_count; i++) {
        tls_server_free(tls->servers[i]);
    }
    free(tls->servers);
    for (size_t i = 0; tls->identities != NULL && i < tls->config->certificate_count; i++) {
        identity_unref(tls->identities[i]);
    }
    free(tls->identities);
    free(tls);
}

struct tls_server *relay_tls_server(const struct relay_tls *tls, size_t listener)
{
    return tls->servers[listener];
}

struct tls_client *const *relay_tls_clients(const struct relay_tls *tls, size_t backend)
{
    return tls->clients[backend];
}

struct tls_client *const *relay_tls_tunnel_clients(const struct relay_tls *tls, size_t backend)
{
    return tls->tunnel_clients[backend];
}

void relay_tls_staple(struct relay_tls *tls, size_t certificate, slice der)
{
    if (certificate < tls->config->certificate_count) {
        const struct bytes response = {.at = (const uint8_t *)der.at, .len = der.len};
        (void)!identity_staple(tls->identities[certificate], response, time(NULL), NULL);
    }
}
