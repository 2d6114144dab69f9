/* config/value_host.c: addresses, networks, servers and hosts · SPDX-License-Identifier: Apache-2.0
 */
#include <arpa/inet.h>
#include <stdio.h>
#include <string.h>
#include <sys/un.h>

#include "config/memory.h"
#include "config/value.h"

enum {
    HOST_NAME_MAX_LEN = 253,
    LABEL_MAX_LEN = 63,
};

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

static bool is_letter(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

static char lower(char c)
{
    return c >= 'A' && c <= 'Z' ? (char)(c - 'A' + 'a') : c;
}

static const char *lower_copy(struct memory *memory, const char *text, size_t len)
{
    char *copy = memory_copy(memory, text, len);
    for (size_t i = 0; copy != NULL && i < len; i++) {
        copy[i] = lower(copy[i]);
    }
    return copy;
}

/* Splits HOST:PORT or [IP6]:PORT. The port is optional when `port` holds a default already. */
static const char *split_port(const char *text, char *host, size_t size, uint16_t *port)
{
    const char *start = text;
    const char *end;
    if (*text == '[') {
        start = text + 1;
        end = strchr(text, ']');
        if (end == NULL) {
            return "has no closing bracket";
        }
    } else {
        end = text + strcspn(text, ":");
        if (strchr(end, ':') != strrchr(end, ':')) {
            return "is an IPv6 address without brackets";
        }
    }
    size_t len = (size_t)(end - start);
    if (len == 0 || len >= size) {
        return "has no usable host";
    }
    memcpy(host, start, len);
    host[len] = '\0';
    const char *after = *text == '[' ? end + 1 : end;
    if (*after == '\0') {
        return *port != 0 ? NULL : "has no port";
    }
    uint64_t number;
    if (*after != ':' || value_number(after + 1, &number) != NULL || number > 65535) {
        return "has a port that is not a number up to 65535";
    }
    *port = (uint16_t)number;
    return NULL;
}

static const char *value_unix_path(struct memory *memory, const char *path, const char **kept)
{
    if (*path != '/') {
        return "has a relative socket path";
    }
    if (strlen(path) >= sizeof(((struct sockaddr_un *)0)->sun_path)) {
        return "has a socket path of more than 107 characters";
    }
    *kept = memory_copy_text(memory, path);
    return NULL;
}

const char *value_address(struct memory *memory, const char *text, struct config_address *address)
{
    *address = (struct config_address){.text = memory_copy_text(memory, text)};
    if (strncmp(text, "unix:", 5) == 0) {
        address->kind = CONFIG_ADDRESS_UNIX;
        return value_unix_path(memory, text + 5, &address->path);
    }
    char host[INET6_ADDRSTRLEN];
    const char *wrong = split_port(text, host, sizeof(host), &address->port);
    if (wrong != NULL) {
        return wrong;
    }
    if (text[0] == '[') {
        address->kind = CONFIG_ADDRESS_IP6;
        return inet_pton(AF_INET6, host, address->ip) == 1 ? NULL : "is not an IPv6 address";
    }
    address->kind = CONFIG_ADDRESS_IP4;
    return inet_pton(AF_INET, host, address->ip) == 1 ? NULL : "is not an IP address";
}

const char *value_stand_in(struct memory *memory, const char *text, struct config_address *address)
{
    *address = (struct config_address){.text = memory_copy_text(memory, text)};
    char host[INET6_ADDRSTRLEN];
    const char *wrong = NULL;
    if (strchr(text, ':') != NULL) {
        wrong = split_port(text, host, sizeof(host), &address->port);
        wrong = wrong == NULL && address->port == 0 ? "has port 0" : wrong;
    } else if (snprintf(host, sizeof(host), "%s", text) >= (int)sizeof(host)) {
        wrong = "is not an IPv4 address";
    }
    if (wrong != NULL) {
        return wrong;
    }
    if (inet_pton(AF_INET, host, address->ip) != 1) {
        return "is not an IPv4 address";
    }
    static const uint8_t FIRST[4] = {127, 0, 0, 0};
    static const uint8_t OWN[4] = {127, 0, 0, 1};
    static const uint8_t LAST[4] = {127, 255, 255, 255};
    if (address->ip[0] != 127) {
        return "is not a loopback address";
    }
    if (memcmp(address->ip, FIRST, 4) == 0 || memcmp(address->ip, OWN, 4) == 0 ||
        memcmp(address->ip, LAST, 4) == 0) {
        return "cannot stand for a node";
    }
    address->kind = CONFIG_ADDRESS_IP4;
    return NULL;
}

static bool has_only_prefix(const struct config_network *network)
{
    for (unsigned bit = network->prefix_bits; bit < 128; bit++) {
        if ((network->ip[bit / 8] & (0x80U >> (bit % 8))) != 0) {
            return false;
        }
    }
    return true;
}

/* IPv4 goes behind the prefix ::ffff:0:0/96 (RFC 4291 §2.5.5.2). */
static bool read_ip(const char *text, struct config_network *network, unsigned *own_bits)
{
    if (inet_pton(AF_INET6, text, network->ip) == 1) {
        *own_bits = 128;
        return true;
    }
    uint8_t ip4[4];
    if (inet_pton(AF_INET, text, ip4) != 1) {
        return false;
    }
    memset(network->ip, 0, 10);
    memset(network->ip + 10, 0xff, 2);
    memcpy(network->ip + 12, ip4, sizeof(ip4));
    *own_bits = 32;
    return true;
}

const char *value_network(struct memory *memory, const char *text, struct config_network *network)
{
    *network = (struct config_network){.text = memory_copy_text(memory, text)};
    char ip[INET6_ADDRSTRLEN];
    size_t len = strcspn(text, "/");
    if (len >= sizeof(ip)) {
        return "is not an IP network";
    }
    memcpy(ip, text, len);
    ip[len] = '\0';
    unsigned own_bits;
    if (!read_ip(ip, network, &own_bits)) {
        return "is not an IP network";
    }
    uint64_t bits = own_bits;
    if (text[len] == '/' && (value_number(text + len + 1, &bits) != NULL || bits > own_bits)) {
        return "has a prefix length that does not fit";
    }
    network->prefix_bits = (unsigned)bits + (128 - own_bits);
    return has_only_prefix(network) ? NULL : "has bits set beyond its prefix";
}

bool value_is_host_name(const char *text)
{
    size_t len = strlen(text);
    if (len == 0 || len > HOST_NAME_MAX_LEN) {
        return false;
    }
    size_t label = 0;
    for (size_t i = 0; i < len; i++) {
        char c = text[i];
        if (c == '.') {
            if (label == 0 || text[i - 1] == '-') {
                return false;
            }
            label = 0;
            continue;
        }
        bool fits = is_letter(c) || is_digit(c) || c == '_' || (c == '-' && label > 0);
        if (!fits || ++label > LABEL_MAX_LEN) {
            return false;
        }
    }
    return label > 0 && text[len - 1] != '-';
}

/* All digits and points: meant as an IPv4 address, so it has to be one (a resolver would read
 * 127.1 or 2130706433 as an address as well). */
static bool looks_like_ip4(const char *text)
{
    return text[strspn(text, "0123456789.")] == '\0';
}

static const char *read_server_host(struct memory *memory, const char *authority,
                                    struct config_server *server)
{
    char host[HOST_NAME_MAX_LEN + 2];
    const char *wrong = split_port(authority, host, sizeof(host), &server->port);
    if (wrong != NULL) {
        return wrong;
    }
    if (server->port == 0) {
        return "has port 0";
    }
    uint8_t ip[16];
    int family = authority[0] == '[' ? AF_INET6 : AF_INET;
    server->host_is_ip = inet_pton(family, host, ip) == 1;
    if (!server->host_is_ip &&
        (family == AF_INET6 || looks_like_ip4(host) || !value_is_host_name(host))) {
        return "has a host that is neither a name nor an IP address";
    }
    server->host = lower_copy(memory, host, strlen(host));
    return NULL;
}

static bool is_word(const char *text, size_t len, const char *word)
{
    return strlen(word) == len && strncmp(word, text, len) == 0;
}

static bool is_later_scheme(const char *scheme, size_t len)
{
    static const char *const LATER[] = {"tcp", "tls", "udp"};
    for (size_t i = 0; i < sizeof(LATER) / sizeof(LATER[0]); i++) {
        if (is_word(scheme, len, LATER[i])) {
            return true;
        }
    }
    return false;
}

/* Stores the scheme with its default port. */
static const char *read_scheme(const char *text, size_t len, struct config_server *server)
{
    static const struct {
        const char *word;
        enum config_scheme scheme;
    } SCHEMES[] = {
        {"http", CONFIG_SCHEME_HTTP},
        {"https", CONFIG_SCHEME_HTTPS},
        {"h2c", CONFIG_SCHEME_H2C},
        {"h2", CONFIG_SCHEME_H2},
    };
    for (size_t i = 0; i < sizeof(SCHEMES) / sizeof(SCHEMES[0]); i++) {
        if (is_word(text, len, SCHEMES[i].word)) {
            server->scheme = SCHEMES[i].scheme;
            server->port = config_scheme_is_tls(server->scheme) ? 443 : 80;
            return NULL;
        }
    }
    return is_later_scheme(text, len) ? "has a scheme that is not available yet"
                                      : "has an unknown scheme";
}

const char *value_server(struct memory *memory, const char *text, struct config_server *server)
{
    *server = (struct config_server){.url = memory_copy_text(memory, text)};
    if (strncmp(text, "unix:", 5) == 0) {
        return value_unix_path(memory, text + 5, &server->unix_path);
    }
    const char *separator = strstr(text, "://");
    if (separator == NULL) {
        return "has no scheme";
    }
    const char *wrong = read_scheme(text, (size_t)(separator - text), server);
    if (wrong != NULL) {
        return wrong;
    }
    char authority[HOST_NAME_MAX_LEN + 16];
    const char *start = separator + 3;
    size_t len = strcspn(start, "/?#");
    if (start[len] != '\0' && strcmp(start + len, "/") != 0) {
        return "has a path or a query, which routes decide";
    }
    if (memchr(start, '@', len) != NULL) {
        return "holds a user name or password";
    }
    if (len >= sizeof(authority)) {
        return "has no usable host";
    }
    memcpy(authority, start, len);
    authority[len] = '\0';
    return read_server_host(memory, authority, server);
}

/* A literal: 10.0.0.1 or [2001:db8::1], kept in its canonical spelling. */
static const char *value_host_literal(struct memory *memory, const char *text, const char **host)
{
    uint8_t ip[16];
    char canonical[INET6_ADDRSTRLEN];
    if (text[0] != '[') {
        if (inet_pton(AF_INET, text, ip) != 1) {
            return "is not an IPv4 address";
        }
        *host = memory_copy_text(memory, text);
        return NULL;
    }
    size_t len = strlen(text);
    char inner[INET6_ADDRSTRLEN];
    if (len < 4 || len - 2 >= sizeof(inner) || text[len - 1] != ']') {
        return "is not an IPv6 address in brackets";
    }
    memcpy(inner, text + 1, len - 2);
    inner[len - 2] = '\0';
    if (inet_pton(AF_INET6, inner, ip) != 1 ||
        inet_ntop(AF_INET6, ip, canonical, sizeof(canonical)) == NULL) {
        return "is not an IPv6 address in brackets";
    }
    *host = memory_format(memory, "[%s]", canonical);
    return NULL;
}

const char *value_host(struct memory *memory, const char *text, enum config_host_kind *kind,
                       const char **host)
{
    *host = NULL;
    if (strcmp(text, "*") == 0) {
        *kind = CONFIG_HOST_ANY;
        return NULL;
    }
    *kind = CONFIG_HOST_EXACT;
    if (text[0] == '[' || (text[0] != '\0' && looks_like_ip4(text))) {
        return value_host_literal(memory, text, host);
    }
    const char *name = text;
    if (strncmp(text, "*.", 2) == 0) {
        *kind = CONFIG_HOST_WILDCARD;
        name = text + 2;
    }
    if (strchr(name, '*') != NULL) {
        return "has a * that is not its whole first label";
    }
    if (strchr(name, ':') != NULL || strchr(name, '/') != NULL) {
        return "is more than a host name";
    }
    if (!value_is_host_name(name)) {
        return "is not a host name";
    }
    const char *kept = *kind == CONFIG_HOST_WILDCARD ? name - 1 : name;
    *host = lower_copy(memory, kept, strlen(kept));
    return NULL;
}
