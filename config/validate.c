/* config/validate.c · SPDX-License-Identifier: Apache-2.0 */
#include "config/validate.h"

#include <string.h>

#include "config/address.h"
#include "config/hop.h"
#include "config/memory.h"
#include "config/spelling.h"

/* A group that was left out has no line: what is wrong with it is shown at its owner. */
static const struct place *place_or(const struct place *place, const struct place *owner)
{
    return place->line != 0 ? place : owner;
}

static bool is_same(const char *a, const char *b)
{
    return a != NULL && b != NULL && strcmp(a, b) == 0;
}

static const char *shown(const char *name)
{
    return name != NULL ? name : "?";
}

/* --- certificates ------------------------------------------------------------------------------
 */

static void validate_certificates(struct config *config, bool is_complete,
                                  struct problem_list *problems)
{
    for (size_t i = 0; i < config->certificate_count; i++) {
        struct config_certificate *certificate = &config->certificates[i];
        if (certificate->chain.path == NULL) {
            if (!is_complete) {
                continue;
            }
            problem_add(problems, &certificate->place,
                        "'chain' is missing in a certificate; expected a PEM or PKCS#12 file");
            continue;
        }
        if (certificate->key.path == NULL) {
            certificate->key = certificate->chain;
        }
        certificate->key_in_chain = is_same(certificate->key.path, certificate->chain.path);
    }
}

/* --- listeners ---------------------------------------------------------------------------------
 */

static void use_all_certificates(struct config *config, struct config_listener *listener,
                                 bool is_complete, struct problem_list *problems)
{
    struct config_listener_tls *tls = &listener->tls;
    if (config->certificate_count == 0 && !is_complete) {
        return;
    }
    if (config->certificate_count == 0) {
        problem_add(problems, place_or(&tls->place, &listener->place),
                    "listener '%s' has TLS but no certificate; expected one under 'certificates', "
                    "or 'tls: off'",
                    shown(listener->name));
        return;
    }
    tls->certificates =
        memory_take_array(config->memory, config->certificate_count, sizeof(size_t));
    for (size_t i = 0; i < config->certificate_count && tls->certificates != NULL; i++) {
        tls->certificates[i] = i;
        tls->certificate_count = i + 1;
    }
}

static void validate_client_auth(const struct config_listener *listener,
                                 struct problem_list *problems)
{
    const struct config_listener_tls *tls = &listener->tls;
    bool has_ca = tls->client_ca.word == NULL;
    if (tls->client_auth != CONFIG_CLIENT_AUTH_NONE && !has_ca) {
        problem_add(problems, &tls->place,
                    "client_auth asks for certificates that nobody could have signed; expected a "
                    "file as client_ca");
    }
    if (tls->client_auth == CONFIG_CLIENT_AUTH_NONE && has_ca) {
        problem_add(problems, &tls->client_ca.place,
                    "client_ca has no effect without client_auth; expected 'client_auth: required' "
                    "or 'optional' beside it");
    }
    if (tls->client_crl.word == NULL && !has_ca) {
        problem_add(problems, &tls->client_crl.place,
                    "client_crl has no effect without client_ca; expected client_ca beside it");
    }
}

static void validate_listener_tls(struct config *config, struct config_listener *listener,
                                  bool is_complete, struct problem_list *problems)
{
    struct config_listener_tls *tls = &listener->tls;
    if (listener->mode == CONFIG_LISTENER_REDIRECT && tls->place.line == 0) {
        tls->on = false;
    }
    if (!tls->on) {
        return;
    }
    if (tls->certificates == NULL) {
        use_all_certificates(config, listener, is_complete, problems);
    }
    validate_client_auth(listener, problems);
}

static bool is_same_route(const struct config_route *a, const struct config_route *b)
{
    bool same_host = a->host_kind == b->host_kind &&
                     (a->host_kind == CONFIG_HOST_ANY || is_same(a->host, b->host));
    return same_host && is_same(a->path, b->path);
}

static void validate_routes(const struct config_listener *listener, bool is_complete,
                            struct problem_list *problems)
{
    for (size_t i = 1; i < listener->route_count; i++) {
        for (size_t k = 0; k < i; k++) {
            if (is_same_route(&listener->routes[i], &listener->routes[k])) {
                problem_add(problems, &listener->routes[i].place,
                            "this route has the same host and path as the one at line %u; "
                            "expected each once",
                            listener->routes[k].place.line);
                break;
            }
        }
    }
    if (listener->mode == CONFIG_LISTENER_REDIRECT) {
        if (listener->route_count > 0 || listener->has_default_backend) {
            problem_add(problems, &listener->place,
                        "listener '%s' redirects everything, so its routes would never be used; "
                        "expected 'mode: http', or no routes",
                        shown(listener->name));
        }
        return;
    }
    if (is_complete && listener->route_count == 0 && !listener->has_default_backend) {
        problem_add(problems, &listener->place,
                    "listener '%s' leads nowhere; expected 'routes' or 'default_backend'",
                    shown(listener->name));
    }
}

static void validate_listener(struct config *config, size_t index, bool is_complete,
                              struct problem_list *problems)
{
    struct config_listener *listener = &config->listeners[index];
    for (size_t i = 0; i < index; i++) {
        if (is_same(config->listeners[i].name, listener->name)) {
            problem_add(problems, &listener->place,
                        "a second listener is called '%s'; expected each name once, the first is "
                        "at line %u",
                        listener->name, config->listeners[i].place.line);
        }
    }
    if (listener->proxy_protocol == CONFIG_PROXY_PROTOCOL_ACCEPT &&
        listener->trusted_proxy_count == 0) {
        problem_add(problems, &listener->place,
                    "proxy_protocol is accepted from nobody; expected networks as "
                    "'trusted_proxies'");
    }
    validate_listener_tls(config, listener, is_complete, problems);
    validate_routes(listener, is_complete, problems);
}

/* --- addresses ---------------------------------------------------------------------------------
 */

/* The number-th address that a relay or its node binds: the node's own, its stand-in, those of its
 * peers. */
static const struct config_address *relay_address_at(const struct config_gossip *gossip,
                                                     size_t number)
{
    if (number < 2) {
        return number == 0 ? &gossip->node.address : &gossip->node.stand_in;
    }
    return &gossip->peers[number - 2].stand_in;
}

/* The number-th address of all listeners, of all relays of gossip, then the admin address; NULL
 * past the end. */
static const struct config_address *address_at(const struct config *config, size_t number,
                                               const char **owner)
{
    for (size_t i = 0; i < config->listener_count; i++) {
        const struct config_listener *listener = &config->listeners[i];
        if (number < listener->address_count) {
            *owner = shown(listener->name);
            return &listener->addresses[number];
        }
        number -= listener->address_count;
    }
    for (size_t i = 0; i < config->gossip_count; i++) {
        const struct config_gossip *gossip = &config->gossip[i];
        size_t count = gossip->mode == CONFIG_GOSSIP_RELAY ? gossip->peer_count + 2 : 0;
        if (number < count) {
            *owner = shown(gossip->name);
            return relay_address_at(gossip, number);
        }
        number -= count;
    }
    *owner = "admin";
    return number == 0 ? &config->admin.address : NULL;
}

static void validate_addresses(const struct config *config, struct problem_list *problems)
{
    const char *owner;
    const char *other_owner;
    for (size_t i = 1; address_at(config, i, &owner) != NULL; i++) {
        const struct config_address *address = address_at(config, i, &owner);
        for (size_t k = 0; k < i; k++) {
            const struct config_address *other = address_at(config, k, &other_owner);
            if (address_clashes(address, other)) {
                problem_add(problems, place_or(&address->place, &other->place),
                            "'%s' clashes with '%s' of '%s' at line %u; expected another address "
                            "or port",
                            shown(address->text), shown(other->text), other_owner,
                            other->place.line);
                break;
            }
        }
    }
    if (!address_is_loopback(&config->admin.address)) {
        problem_add(problems, &config->admin.address.place,
                    "the admin socket would be open to the network; expected unix:/PATH or a "
                    "loopback address");
    }
}

/* --- backends ----------------------------------------------------------------------------------
 */

static bool has_tls_server(const struct config_backend *backend)
{
    for (size_t i = 0; i < backend->server_count; i++) {
        if (config_scheme_is_tls(backend->servers[i].scheme)) {
            return true;
        }
    }
    return false;
}

static bool is_same_server(const struct config_server *a, const struct config_server *b)
{
    if (a->unix_path != NULL || b->unix_path != NULL) {
        return is_same(a->unix_path, b->unix_path);
    }
    return is_same(a->host, b->host) && a->port == b->port;
}

static void validate_backend(const struct config_backend *backend, struct problem_list *problems)
{
    for (size_t i = 1; i < backend->server_count; i++) {
        for (size_t k = 0; k < i; k++) {
            if (is_same_server(&backend->servers[i], &backend->servers[k])) {
                problem_add(problems, &backend->servers[i].place,
                            "'%s' is the same server as '%s'; expected each once",
                            shown(backend->servers[i].url), shown(backend->servers[k].url));
                break;
            }
        }
    }
    /* Somebody who writes TLS settings believes that the hop is encrypted. */
    if (backend->tls.place.line != 0 && backend->server_count > 0 && !has_tls_server(backend)) {
        problem_add(problems, &backend->tls.place,
                    "no server of backend '%s' speaks TLS; expected an https:// or h2:// server, "
                    "or no 'tls'",
                    shown(backend->name));
    }
}

/* --- enforcement -------------------------------------------------------------------------------
 */

static bool has_tls_1_3_cipher(const struct config_enforcement *enforcement)
{
    for (size_t i = 0; i < enforcement->cipher_name_count; i++) {
        if (strncmp(enforcement->cipher_names[i], "TLS_", 4) == 0) {
            return true;
        }
    }
    return false;
}

static void validate_waiver(const struct config_enforcement *enforcement, size_t index,
                            const struct hop_list *hops, struct problem_list *problems)
{
    const struct config_waiver *waiver = &enforcement->waivers[index];
    if (waiver->hop == NULL) {
        return;
    }
    for (size_t i = 0; i < index; i++) {
        if (is_same(enforcement->waivers[i].hop, waiver->hop)) {
            problem_add(problems, &waiver->place,
                        "a second waiver for hop '%s'; expected one, the first is at line %u",
                        waiver->hop, enforcement->waivers[i].place.line);
            return;
        }
    }
    const char *meant = NULL;
    for (size_t i = 0; i < hops->count; i++) {
        if (is_same(hops->hops[i].name, waiver->hop)) {
            return;
        }
        spelling_consider(waiver->hop, hops->hops[i].name, &meant);
    }
    problem_add(problems, &waiver->place,
                "there is no hop '%s'; expected a name that `sallyport check` prints%s%s%s",
                waiver->hop, meant != NULL ? "; did you mean '" : "", meant != NULL ? meant : "",
                meant != NULL ? "'?" : "");
}

static void validate_enforcement(const struct config *config, struct problem_list *problems)
{
    const struct config_enforcement *enforcement = &config->enforcement;
    if (enforcement->minimum_tls == CONFIG_TLS_1_3 &&
        enforcement->cipher_policy == CONFIG_CIPHERS_LIST && !has_tls_1_3_cipher(enforcement)) {
        problem_add(problems, &enforcement->place,
                    "minimum_tls is 1.3, but none of the ciphers is one of TLS 1.3; expected "
                    "TLS_AES_256_GCM_SHA384 among them");
    }
    struct hop_list hops;
    if (!hop_list_make(config, config->memory, &hops)) {
        return; /* the loader sees that memory has run out */
    }
    for (size_t i = 0; i < enforcement->waiver_count; i++) {
        validate_waiver(enforcement, i, &hops, problems);
    }
}

void validate_config(struct config *config, bool is_complete, struct problem_list *problems)
{
    if (is_complete && config->listener_count == 0 && config->gossip_count == 0) {
        problem_add(problems, &(struct place){.file = config->file},
                    "no listener; expected at least one under 'listeners', or a cluster under "
                    "'gossip'");
    }
    if (config->limits.uri_bytes > config->limits.header_bytes) {
        problem_add(problems, &(struct place){.file = config->file},
                    "limits: uri_bytes is larger than header_bytes, which counts it; expected it "
                    "to be smaller");
    }
    validate_certificates(config, is_complete, problems);
    for (size_t i = 0; i < config->listener_count; i++) {
        validate_listener(config, i, is_complete, problems);
    }
    for (size_t i = 0; i < config->backend_count; i++) {
        validate_backend(&config->backends[i], problems);
    }
    validate_gossip(config, is_complete, problems);
    validate_addresses(config, problems);
    validate_enforcement(config, problems);
}
