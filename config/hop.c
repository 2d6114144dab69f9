/* config/hop.c · SPDX-License-Identifier: Apache-2.0 */
#include "config/hop.h"

#include "config/address.h"
#include "config/memory.h"

static const char *minimum_tls_name(const struct config *config)
{
    return config->enforcement.minimum_tls == CONFIG_TLS_1_3 ? "TLS 1.3" : "TLS 1.2 or 1.3";
}

static const char *ciphers_name(const struct config *config)
{
    switch (config->enforcement.cipher_policy) {
    case CONFIG_CIPHERS_AES256:
        return "AES-256-GCM";
    case CONFIG_CIPHERS_MODERN:
        return "AEAD cipher";
    case CONFIG_CIPHERS_LIST:
        break;
    }
    return "listed cipher";
}

static const char *addresses_text(const struct config_listener *listener, struct memory *memory)
{
    const char *text = "";
    for (size_t i = 0; i < listener->address_count && text != NULL; i++) {
        const char *address = listener->addresses[i].text;
        text = memory_format(memory, "%s%s%s", text, i == 0 ? "" : ", ",
                             address != NULL ? address : "?");
    }
    return text;
}

static bool listener_is_loopback(const struct config_listener *listener)
{
    for (size_t i = 0; i < listener->address_count; i++) {
        if (!address_is_loopback(&listener->addresses[i])) {
            return false;
        }
    }
    return true;
}

static const char *listener_evidence(const struct config *config,
                                     const struct config_listener *listener, struct memory *memory)
{
    if (listener->mode == CONFIG_LISTENER_REDIRECT && !listener->tls.on) {
        return "answers with a redirect to https, nothing else";
    }
    if (!listener->tls.on) {
        return listener_is_loopback(listener) ? "loopback: never on a network"
                                              : "none: readable by whoever sees it";
    }
    static const char *const CLIENTS[] = {
        [CONFIG_CLIENT_AUTH_NONE] = "",
        [CONFIG_CLIENT_AUTH_OPTIONAL] = ", client certificate verified if shown",
        [CONFIG_CLIENT_AUTH_REQUIRED] = ", client certificate verified",
    };
    return memory_format(memory, "%s, %s, ECDHE%s", minimum_tls_name(config), ciphers_name(config),
                         CLIENTS[listener->tls.client_auth]);
}

static void listener_hop(const struct config *config, size_t index, struct memory *memory,
                         struct hop *hop)
{
    const struct config_listener *listener = &config->listeners[index];
    bool redirects = listener->mode == CONFIG_LISTENER_REDIRECT;
    *hop = (struct hop){
        .kind = redirects ? HOP_REDIRECT : HOP_LISTENER,
        .protection = listener->tls.on ? HOP_TLS : HOP_PLAINTEXT,
        .name = memory_format(memory, "listener/%s", listener->name != NULL ? listener->name : "?"),
        .from = "client",
        .to = addresses_text(listener, memory),
        .evidence = listener_evidence(config, listener, memory),
        .is_loopback = listener_is_loopback(listener),
        .listener = index,
        .certificates = listener->tls.on ? listener->tls.certificates : NULL,
        .certificate_count = listener->tls.on ? listener->tls.certificate_count : 0,
        .place = listener->place,
    };
}

static const char *server_evidence(const struct config *config,
                                   const struct config_backend *backend,
                                   const struct config_server *server, struct memory *memory)
{
    if (server->unix_path != NULL) {
        return "unix socket: never on a network";
    }
    if (!config_scheme_is_tls(server->scheme)) {
        return server_is_loopback(server) ? "loopback: never on a network"
                                          : "none: readable by whoever sees it";
    }
    if (!config->enforcement.verify_backends) {
        return memory_format(memory, "%s, %s, ECDHE, certificate not verified",
                             minimum_tls_name(config), ciphers_name(config));
    }
    const char *name = backend->tls.server_name != NULL ? backend->tls.server_name : server->host;
    return memory_format(
        memory, "%s, %s, ECDHE, chain to %s, name %s%s%s", minimum_tls_name(config),
        ciphers_name(config), backend->tls.ca.path != NULL ? backend->tls.ca.path : "a system CA",
        name != NULL ? name : "?", backend->tls.crl.path != NULL ? ", not revoked" : "",
        backend->tls.pin_count > 0 ? ", pinned key" : "");
}

static void backend_hop(const struct config *config, size_t index, size_t server_index,
                        struct memory *memory, struct hop *hop)
{
    const struct config_backend *backend = &config->backends[index];
    const struct config_server *server = &backend->servers[server_index];
    bool is_tls = server->unix_path == NULL && config_scheme_is_tls(server->scheme);
    *hop = (struct hop){
        .kind = HOP_BACKEND,
        .protection = is_tls ? HOP_TLS : HOP_PLAINTEXT,
        .name = memory_format(memory, "backend/%s/%zu", backend->name != NULL ? backend->name : "?",
                              server_index),
        .from = "sallyport",
        .to = server->url,
        .evidence = server_evidence(config, backend, server, memory),
        .is_loopback = server_is_loopback(server),
        .backend = index,
        .server = server_index,
        .certificates = is_tls ? backend->tls.certificates : NULL,
        .certificate_count = is_tls ? backend->tls.certificate_count : 0,
        .place = server->place,
    };
}

static void admin_hop(const struct config *config, struct hop *hop)
{
    const struct config_address *address = &config->admin.address;
    *hop = (struct hop){
        .kind = HOP_ADMIN,
        .protection = HOP_PLAINTEXT,
        .name = "admin",
        .from = "operator",
        .to = address->text,
        .evidence = address->kind == CONFIG_ADDRESS_UNIX ? "unix socket: never on a network"
                                                         : "loopback: never on a network",
        .is_loopback = address_is_loopback(address),
        .place = address->place,
    };
}

static size_t count_hops(const struct config *config)
{
    size_t count = config->listener_count + HOP_GOSSIP_HOPS * config->gossip_count + 1;
    for (size_t i = 0; i < config->backend_count; i++) {
        count += config->backends[i].server_count;
    }
    return count;
}

bool hop_list_make(const struct config *config, struct memory *memory, struct hop_list *list)
{
    *list = (struct hop_list){0};
    list->hops = memory_take_array(memory, count_hops(config), sizeof(*list->hops));
    if (list->hops == NULL) {
        return false;
    }
    for (size_t i = 0; i < config->listener_count; i++) {
        listener_hop(config, i, memory, &list->hops[list->count++]);
    }
    for (size_t i = 0; i < config->backend_count; i++) {
        for (size_t k = 0; k < config->backends[i].server_count; k++) {
            backend_hop(config, i, k, memory, &list->hops[list->count++]);
        }
    }
    for (size_t i = 0; i < config->gossip_count; i++) {
        hop_gossip_make(config, i, memory, &list->hops[list->count]);
        list->count += HOP_GOSSIP_HOPS;
    }
    if (config->admin.address.kind != CONFIG_ADDRESS_NONE) {
        admin_hop(config, &list->hops[list->count++]);
    }
    return !memory_failed(memory);
}

const char *hop_protection_name(const struct hop *hop)
{
    switch (hop->protection) {
    case HOP_PLAINTEXT:
        return "plaintext";
    case HOP_TLS:
        return "tls";
    case HOP_GOSSIP_AES:
        break;
    }
    switch (hop->key_bits) {
    case 128:
        return "gossip-aes-128-gcm";
    case 192:
        return "gossip-aes-192-gcm";
    case 256:
        return "gossip-aes-256-gcm";
    default:
        return "gossip-aes";
    }
}
