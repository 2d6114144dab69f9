/* config/model.c · SPDX-License-Identifier: Apache-2.0 */
#include "config/model.h"

#include <stdlib.h>
#include <string.h>

#include "config/memory.h"

void config_free(struct config *config)
{
    if (config != NULL) {
        memory_free(config->memory);
    }
}

bool config_scheme_is_tls(enum config_scheme scheme)
{
    switch (scheme) {
    case CONFIG_SCHEME_HTTPS:
    case CONFIG_SCHEME_H2:
        return true;
    case CONFIG_SCHEME_HTTP:
    case CONFIG_SCHEME_H2C:
        break;
    }
    return false;
}

bool config_certificate_staples(const struct config_certificate *certificate)
{
    const struct config_file *ocsp = &certificate->ocsp;
    return ocsp->path != NULL || (ocsp->word != NULL && strcmp(ocsp->word, "auto") == 0);
}

bool config_file_kind_is_private(enum config_file_kind kind)
{
    switch (kind) {
    case CONFIG_FILE_KEY:
    case CONFIG_FILE_CHAIN_KEY:
    case CONFIG_FILE_PASSWORD:
    case CONFIG_FILE_KEYRING:
    case CONFIG_FILE_TICKET_SECRET:
        return true;
    case CONFIG_FILE_YAML:
    case CONFIG_FILE_CHAIN:
    case CONFIG_FILE_CA:
    case CONFIG_FILE_CRL:
    case CONFIG_FILE_OCSP:
        break;
    }
    return false;
}

/* --- listing files -----------------------------------------------------------------------------
 */

struct listed {
    enum config_file_kind kind;
    const char *path;
};

struct listing {
    config_file_callback *on_file;
    void *self;
    struct listed *known; /* NULL when memory is short: then repeats are not recognised */
    size_t count;
};

static bool is_known(const struct listing *listing, enum config_file_kind kind, const char *path)
{
    for (size_t i = 0; i < listing->count; i++) {
        if (listing->known[i].kind == kind && strcmp(listing->known[i].path, path) == 0) {
            return true;
        }
    }
    return false;
}

static void visit(struct listing *listing, enum config_file_kind kind, const char *path,
                  const struct place *place)
{
    if (path == NULL || is_known(listing, kind, path)) {
        return;
    }
    if (listing->known != NULL) {
        listing->known[listing->count++] = (struct listed){.kind = kind, .path = path};
    }
    listing->on_file(listing->self, kind, path, place);
}

static void visit_certificate(struct listing *listing, const struct config_certificate *certificate)
{
    if (certificate->key_in_chain) {
        visit(listing, CONFIG_FILE_CHAIN_KEY, certificate->chain.path, &certificate->chain.place);
    } else {
        visit(listing, CONFIG_FILE_CHAIN, certificate->chain.path, &certificate->chain.place);
        visit(listing, CONFIG_FILE_KEY, certificate->key.path, &certificate->key.place);
    }
    if (certificate->password.kind == CONFIG_SECRET_FILE) {
        visit(listing, CONFIG_FILE_PASSWORD, certificate->password.value,
              &certificate->password.place);
    }
    visit(listing, CONFIG_FILE_OCSP, certificate->ocsp.path, &certificate->ocsp.place);
}

static void visit_gossip(struct listing *listing, const struct config_gossip *gossip)
{
    visit(listing, CONFIG_FILE_KEYRING, gossip->keyring.path, &gossip->keyring.place);
    if (gossip->key.kind == CONFIG_SECRET_FILE) {
        visit(listing, CONFIG_FILE_KEYRING, gossip->key.value, &gossip->key.place);
    }
}

/* No more than this many calls of visit below. */
static size_t count_references(const struct config *config)
{
    return config->file_count + 4 * config->certificate_count + 2 * config->listener_count +
           2 * config->backend_count + 2 * config->gossip_count + 1;
}

void config_files(const struct config *config, config_file_callback *on_file, void *self)
{
    static const struct place NOWHERE;
    struct listing listing = {.on_file = on_file,
                              .self = self,
                              .known = calloc(count_references(config) + 1, sizeof(struct listed))};
    for (size_t i = 0; i < config->file_count; i++) {
        visit(&listing, CONFIG_FILE_YAML, config->files[i], &NOWHERE);
    }
    for (size_t i = 0; i < config->certificate_count; i++) {
        visit_certificate(&listing, &config->certificates[i]);
    }
    for (size_t i = 0; i < config->listener_count; i++) {
        const struct config_listener_tls *tls = &config->listeners[i].tls;
        visit(&listing, CONFIG_FILE_CA, tls->client_ca.path, &tls->client_ca.place);
        visit(&listing, CONFIG_FILE_CRL, tls->client_crl.path, &tls->client_crl.place);
    }
    for (size_t i = 0; i < config->backend_count; i++) {
        const struct config_backend_tls *tls = &config->backends[i].tls;
        visit(&listing, CONFIG_FILE_CA, tls->ca.path, &tls->ca.place);
        visit(&listing, CONFIG_FILE_CRL, tls->crl.path, &tls->crl.place);
    }
    for (size_t i = 0; i < config->gossip_count; i++) {
        visit_gossip(&listing, &config->gossip[i]);
    }
    if (config->tickets.secret.kind == CONFIG_SECRET_FILE) {
        visit(&listing, CONFIG_FILE_TICKET_SECRET, config->tickets.secret.value,
              &config->tickets.secret.place);
    }
    free(listing.known);
}

struct question {
    const char *path;
    bool is_private;
};

static void ask(void *self, enum config_file_kind kind, const char *path, const struct place *place)
{
    struct question *question = self;
    (void)place;
    if (config_file_kind_is_private(kind) && strcmp(path, question->path) == 0) {
        question->is_private = true;
    }
}

bool config_path_is_private(const struct config *config, const char *path)
{
    struct question question = {.path = path};
    config_files(config, ask, &question);
    return question.is_private;
}
