/* proxy/net/resolver_settings.h
 *
 * What the system says about names: the hosts file (hosts(5)) and the name servers and search
 * domains of resolv.conf(5). Read once: the process that resolves may lose its files afterwards.
 *
 * Owner: the resolver.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#pragma once

#include <netinet/in.h>
#include <stdbool.h>
#include <sys/socket.h>

#include "proxy/base/slice.h"
#include "proxy/net/dns_message.h"

enum {
    RESOLVER_SERVERS_MAX = 3, /* as the C library has it */
    RESOLVER_DOMAINS_MAX = 6,
};

struct resolver_settings {
    struct sockaddr_storage servers[RESOLVER_SERVERS_MAX];
    size_t server_count; /* at least one: 127.0.0.1 when none is named */
    char domains[RESOLVER_DOMAINS_MAX][DNS_NAME_TEXT];
    size_t domain_count;
    unsigned dots;        /* a name with as many dots is first asked as it is */
    unsigned rounds;      /* how often each server is asked */
    unsigned patience_ms; /* for one server's answer */
    char *hosts;          /* the text of the hosts file; NULL: none */
    size_t hosts_len;
};

/* Reads both files; one that is missing or unreadable counts as empty. Name servers are asked at
 * `port`. */
void resolver_settings_read(struct resolver_settings *settings, const char *resolv_conf,
                            const char *hosts, uint16_t port);
void resolver_settings_fini(struct resolver_settings *settings);

/* The addresses of a name in the hosts file, and of localhost (RFC 6761 §6.3) also without; IPv6
 * first. Returns how many were written. */
size_t resolver_settings_find(const struct resolver_settings *settings, slice name,
                              struct sockaddr_storage *out, size_t room);

/* An IP address as text to a socket address without a port. */
bool resolver_parse_address(slice text, struct sockaddr_storage *out);
