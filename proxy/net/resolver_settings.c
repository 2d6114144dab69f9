/* proxy/net/resolver_settings.c · SPDX-License-Identifier: Apache-2.0 */
#include "proxy/net/resolver_settings.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <net/if.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <unistd.h>

enum {
    FILE_BYTES_MAX = 1024 * 1024, /* lists of blocked names are long; more is no hosts file */
    ADDRESS_TEXT = 80,
    DOTS_MAX = 15, /* the C library's own bounds */
    ROUNDS_MAX = 5,
    ROUNDS_DEFAULT = 2,
    PATIENCE_DEFAULT_MS = 1500,
    PATIENCE_MAX_S = 5,
};

/* ---- text ---- */

static char *read_file(const char *path, size_t *len)
{
    *len = 0;
    int descriptor = open(path, O_RDONLY | O_CLOEXEC);
    char *text = descriptor >= 0 ? malloc(FILE_BYTES_MAX) : NULL;
    while (text != NULL && *len < FILE_BYTES_MAX) {
        ssize_t got = read(descriptor, text + *len, FILE_BYTES_MAX - *len);
        if (got <= 0) {
            break;
        }
        *len += (size_t)got;
    }
    if (descriptor >= 0) {
        (void)close(descriptor);
    }
    if (text == NULL || *len == 0) {
        free(text);
        return NULL;
    }
    char *fitting = realloc(text, *len);
    return fitting != NULL ? fitting : text;
}

static bool next_line(slice *rest, slice *line)
{
    if (rest->len == 0) {
        return false;
    }
    size_t end = slice_find(*rest, '\n');
    *line = slice_first(*rest, end);
    *rest = slice_from(*rest, end < rest->len ? end + 1 : end);
    line->len = slice_find(*line, '#');
    return true;
}

static bool is_space(char c)
{
    return c == ' ' || c == '\t' || c == '\r';
}

static bool next_word(slice *rest, slice *word)
{
    while (rest->len > 0 && is_space(rest->at[0])) {
        *rest = slice_from(*rest, 1);
    }
    size_t len = 0;
    while (len < rest->len && !is_space(rest->at[len])) {
        len++;
    }
    *word = slice_first(*rest, len);
    *rest = slice_from(*rest, len);
    return len > 0;
}

/* As if_nametoindex(3), which asks through a kind of socket that a worker's sandbox does not have.
 * 0: there is no such interface. */
static unsigned interface_index(const char *name)
{
    struct ifreq request = {.ifr_ifindex = 0};
    size_t len = strlen(name);
    if (len == 0 || len >= sizeof(request.ifr_name)) {
        return 0;
    }
    memcpy(request.ifr_name, name, len);
    int descriptor = socket(AF_INET6, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (descriptor < 0) {
        return 0;
    }
    bool is_found = ioctl(descriptor, SIOCGIFINDEX, &request) == 0 && request.ifr_ifindex > 0;
    (void)close(descriptor);
    return is_found ? (unsigned)request.ifr_ifindex : 0;
}

bool resolver_parse_address(slice text, struct sockaddr_storage *out)
{
    char copy[ADDRESS_TEXT];
    if (text.len == 0 || text.len >= sizeof(copy)) {
        return false;
    }
    memcpy(copy, text.at, text.len);
    copy[text.len] = '\0';
    *out = (struct sockaddr_storage){0};
    struct sockaddr_in *v4 = (struct sockaddr_in *)out;
    if (inet_pton(AF_INET, copy, &v4->sin_addr) == 1) {
        out->ss_family = AF_INET;
        return true;
    }
    struct sockaddr_in6 *v6 = (struct sockaddr_in6 *)out;
    char *zone = strchr(copy, '%');
    if (zone != NULL) {
        *zone = '\0';
        v6->sin6_scope_id = interface_index(zone + 1);
    }
    if (inet_pton(AF_INET6, copy, &v6->sin6_addr) != 1) {
        return false;
    }
    out->ss_family = AF_INET6;
    return zone == NULL || v6->sin6_scope_id != 0;
}

/* ---- resolv.conf ---- */

static void add_server(struct resolver_settings *settings, slice text, uint16_t port)
{
    struct sockaddr_storage *server = &settings->servers[settings->server_count];
    if (settings->server_count == RESOLVER_SERVERS_MAX || !resolver_parse_address(text, server)) {
        return;
    }
    if (server->ss_family == AF_INET6) {
        ((struct sockaddr_in6 *)server)->sin6_port = htons(port);
    } else {
        ((struct sockaddr_in *)server)->sin_port = htons(port);
    }
    settings->server_count++;
}

/* "search" and "domain" replace one another: the last one counts. */
static void set_domains(struct resolver_settings *settings, slice rest)
{
    settings->domain_count = 0;
    slice word;
    while (settings->domain_count < RESOLVER_DOMAINS_MAX && next_word(&rest, &word)) {
        if (word.at[word.len - 1] == '.') {
            word.len--;
        }
        if (dns_name_is_valid(word)) {
            char *domain = settings->domains[settings->domain_count++];
            memcpy(domain, word.at, word.len);
            domain[word.len] = '\0';
        }
    }
}

static void set_option(struct resolver_settings *settings, slice word)
{
    size_t colon = slice_find(word, ':');
    uint64_t number = 0;
    if (colon == word.len || !slice_to_number(slice_from(word, colon + 1), &number)) {
        return;
    }
    slice name = slice_first(word, colon);
    if (slice_equal(name, SLICE("ndots"))) {
        settings->dots = number < DOTS_MAX ? (unsigned)number : (unsigned)DOTS_MAX;
    } else if (slice_equal(name, SLICE("attempts")) && number > 0) {
        settings->rounds = number < ROUNDS_MAX ? (unsigned)number : (unsigned)ROUNDS_MAX;
    } else if (slice_equal(name, SLICE("timeout")) && number > 0) {
        settings->patience_ms =
            1000U * (number < PATIENCE_MAX_S ? (unsigned)number : (unsigned)PATIENCE_MAX_S);
    }
}

static void read_line(struct resolver_settings *settings, slice line, uint16_t port)
{
    slice word;
    if (line.len == 0 || line.at[0] == ';' || !next_word(&line, &word)) {
        return;
    }
    if (slice_equal(word, SLICE("nameserver"))) {
        if (next_word(&line, &word)) {
            add_server(settings, word, port);
        }
    } else if (slice_equal(word, SLICE("search")) || slice_equal(word, SLICE("domain"))) {
        set_domains(settings, line);
    } else if (slice_equal(word, SLICE("options"))) {
        while (next_word(&line, &word)) {
            set_option(settings, word);
        }
    }
}

void resolver_settings_read(struct resolver_settings *settings, const char *resolv_conf,
                            const char *hosts, uint16_t port)
{
    *settings = (struct resolver_settings){
        .dots = 1, .rounds = ROUNDS_DEFAULT, .patience_ms = PATIENCE_DEFAULT_MS};
    size_t len = 0;
    char *text = read_file(resolv_conf, &len);
    slice rest = {text, len};
    slice line;
    while (next_line(&rest, &line)) {
        read_line(settings, line, port);
    }
    free(text);
    if (settings->server_count == 0) {
        add_server(settings, SLICE("127.0.0.1"), port);
    }
    settings->hosts = read_file(hosts, &settings->hosts_len);
}

void resolver_settings_fini(struct resolver_settings *settings)
{
    free(settings->hosts);
    settings->hosts = NULL;
}

/* ---- hosts ---- */

static bool line_names(slice line, slice name)
{
    slice word;
    while (next_word(&line, &word)) {
        if (slice_equal_nocase(word, name)) {
            return true;
        }
    }
    return false;
}

static size_t find_in_hosts(const struct resolver_settings *settings, slice name,
                            sa_family_t family, struct sockaddr_storage *out, size_t room)
{
    slice rest = {settings->hosts, settings->hosts_len};
    slice line;
    size_t count = 0;
    while (count < room && next_line(&rest, &line)) {
        slice address;
        if (next_word(&line, &address) && line_names(line, name) &&
            resolver_parse_address(address, &out[count]) && out[count].ss_family == family) {
            count++;
        }
    }
    return count;
}

static bool is_localhost(slice name)
{
    slice last = SLICE("localhost");
    if (name.len < last.len || !slice_equal_nocase(slice_from(name, name.len - last.len), last)) {
        return false;
    }
    return name.len == last.len || name.at[name.len - last.len - 1] == '.';
}

size_t resolver_settings_find(const struct resolver_settings *settings, slice name,
                              struct sockaddr_storage *out, size_t room)
{
    size_t count = find_in_hosts(settings, name, AF_INET6, out, room);
    count += find_in_hosts(settings, name, AF_INET, out + count, room - count);
    if (count == 0 && room >= 2 && is_localhost(name)) {
        (void)resolver_parse_address(SLICE("::1"), &out[0]);
        (void)resolver_parse_address(SLICE("127.0.0.1"), &out[1]);
        return 2;
    }
    return count;
}
