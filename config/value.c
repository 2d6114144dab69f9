/* config/value.c · SPDX-License-Identifier: Apache-2.0 */
#include "config/value.h"

#include <arpa/inet.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/un.h>

#include "config/memory.h"

enum {
    HOST_NAME_MAX_LEN = 253,
    LABEL_MAX_LEN = 63,
    NAME_MAX_LEN = 64,
    PATH_MAX_LEN = 4096,
};

struct unit {
    const char *name;
    uint64_t factor;
};

static const struct unit DURATIONS[] = {
    {"d", 86400000}, {"h", 3600000}, {"m", 60000}, {"s", 1000}, {"ms", 1}, {NULL, 0},
};
static const struct unit SIZES[] = {
    {"GiB", 1 << 30}, {"MiB", 1 << 20}, {"KiB", 1 << 10}, {"B", 1}, {NULL, 0},
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

const char *value_flag(const char *text, bool *flag)
{
    static const struct {
        const char *text;
        bool flag;
    } WORDS[] = {{"true", true},   {"on", true},   {"yes", true},
                 {"false", false}, {"off", false}, {"no", false}};
    for (size_t i = 0; i < sizeof(WORDS) / sizeof(WORDS[0]); i++) {
        if (strcmp(text, WORDS[i].text) == 0) {
            *flag = WORDS[i].flag;
            return NULL;
        }
    }
    return "is neither yes nor no";
}

/* Reads digits; *end is what follows them. False: no digit, or more than 15 of them. */
static bool read_digits(const char *text, uint64_t *number, const char **end)
{
    uint64_t sum = 0;
    size_t len = 0;
    while (is_digit(text[len]) && len < 16) {
        sum = sum * 10 + (uint64_t)(text[len] - '0');
        len++;
    }
    *number = sum;
    *end = text + len;
    return len > 0 && len < 16;
}

const char *value_number(const char *text, uint64_t *number)
{
    const char *end;
    if (!read_digits(text, number, &end) || *end != '\0') {
        return "is not a whole number";
    }
    return NULL;
}

static const struct unit *find_unit(const struct unit *units, const char *name)
{
    for (const struct unit *unit = units; unit->name != NULL; unit++) {
        if (strcmp(unit->name, name) == 0) {
            return unit;
        }
    }
    return NULL;
}

/* Up to three digits after a point, as thousandths. */
static const char *read_thousandths(const char *text, uint64_t *thousandths)
{
    uint64_t sum = 0;
    size_t len = 0;
    while (is_digit(text[len]) && len < 3) {
        sum = sum * 10 + (uint64_t)(text[len] - '0');
        len++;
    }
    for (size_t i = len; i < 3; i++) {
        sum *= 10;
    }
    *thousandths = sum;
    return len == 0 ? NULL : text + len;
}

static const char *value_with_unit(const char *text, const struct unit *units, uint64_t *value)
{
    uint64_t whole;
    uint64_t thousandths = 0;
    const char *end;
    if (!read_digits(text, &whole, &end)) {
        return "is not a number with a unit";
    }
    if (*end == '.') {
        end = read_thousandths(end + 1, &thousandths);
    }
    if (end == NULL) {
        return "is not a number with a unit";
    }
    if (*end == '\0') {
        return "has no unit";
    }
    const struct unit *unit = find_unit(units, end);
    if (unit == NULL) {
        return "has an unknown unit";
    }
    uint64_t fraction = thousandths * unit->factor;
    if (fraction % 1000 != 0) {
        return "is finer than can be kept";
    }
    if (__builtin_mul_overflow(whole, unit->factor, value) ||
        __builtin_add_overflow(*value, fraction / 1000, value)) {
        return "is too large";
    }
    return NULL;
}

const char *value_duration(const char *text, uint64_t *ms)
{
    return value_with_unit(text, DURATIONS, ms);
}

const char *value_size(const char *text, uint64_t *bytes)
{
    return value_with_unit(text, SIZES, bytes);
}

const char *value_rate(const char *text, uint64_t *bytes_per_second)
{
    size_t len = strlen(text);
    if (len < 2 || strcmp(text + len - 2, "/s") != 0) {
        return "has no /s at its end";
    }
    char size[64];
    if (len - 2 >= sizeof(size)) {
        return "is not a number with a unit";
    }
    memcpy(size, text, len - 2);
    size[len - 2] = '\0';
    return value_with_unit(size, SIZES, bytes_per_second);
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

static bool is_leap_year(int year)
{
    return (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
}

static int days_of_month(int year, int month)
{
    static const int DAYS[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    return month == 2 && is_leap_year(year) ? 29 : DAYS[month - 1];
}

const char *value_day(const char *text, config_day *day)
{
    static const char SHAPE[] = "0000-00-00";
    if (strlen(text) != sizeof(SHAPE) - 1) {
        return "is not a date";
    }
    int fields[3] = {0};
    size_t field = 0;
    for (size_t i = 0; SHAPE[i] != '\0'; i++) {
        if (SHAPE[i] == '-') {
            field++;
        }
        if ((SHAPE[i] == '-') != (text[i] == '-') || (SHAPE[i] == '0' && !is_digit(text[i]))) {
            return "is not a date";
        }
        if (SHAPE[i] == '0') {
            fields[field] = fields[field] * 10 + (text[i] - '0');
        }
    }
    if (fields[0] < 1970 || fields[1] < 1 || fields[1] > 12 || fields[2] < 1 ||
        fields[2] > days_of_month(fields[0], fields[1])) {
        return "is not a day of the calendar";
    }
    *day = fields[0] * 10000 + fields[1] * 100 + fields[2];
    return NULL;
}

static int base64_value(char c)
{
    static const char DIGITS[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    const char *at = c == '\0' ? NULL : strchr(DIGITS, c);
    return at == NULL ? -1 : (int)(at - DIGITS);
}

const char *value_pin(const char *text, uint8_t sha256[32])
{
    static const char PREFIX[] = "sha256/";
    const char *digits = text + sizeof(PREFIX) - 1;
    if (strncmp(text, PREFIX, sizeof(PREFIX) - 1) != 0 || strlen(digits) != 44 ||
        digits[43] != '=') {
        return "is not a pin";
    }
    unsigned bits = 0;
    unsigned held = 0;
    size_t len = 0;
    for (size_t i = 0; i < 43; i++) {
        int value = base64_value(digits[i]);
        if (value < 0) {
            return "is not a pin";
        }
        bits = (bits << 6 | (unsigned)value) & 0xffff;
        held += 6;
        if (held >= 8) {
            held -= 8;
            sha256[len++] = (uint8_t)(bits >> held);
        }
    }
    return (bits & ((1U << held) - 1)) == 0 ? NULL : "is not a pin";
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

static bool is_later_scheme(const char *scheme, size_t len)
{
    static const char *const LATER[] = {"h2", "h2c", "tcp", "tls", "udp"};
    for (size_t i = 0; i < sizeof(LATER) / sizeof(LATER[0]); i++) {
        if (strlen(LATER[i]) == len && strncmp(LATER[i], scheme, len) == 0) {
            return true;
        }
    }
    return false;
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
    size_t scheme_len = (size_t)(separator - text);
    if (is_later_scheme(text, scheme_len)) {
        return "has a scheme that is not available yet";
    }
    bool is_https = scheme_len == 5 && strncmp(text, "https", 5) == 0;
    if (!is_https && (scheme_len != 4 || strncmp(text, "http", 4) != 0)) {
        return "has an unknown scheme";
    }
    server->scheme = is_https ? CONFIG_SCHEME_HTTPS : CONFIG_SCHEME_HTTP;
    server->port = is_https ? 443 : 80;
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

static bool has_dot_segment(const char *path)
{
    for (const char *at = path; at != NULL; at = strchr(at + 1, '/')) {
        size_t len = strcspn(at + 1, "/");
        if ((len == 1 && at[1] == '.') || (len == 2 && at[1] == '.' && at[2] == '.')) {
            return true;
        }
    }
    return false;
}

const char *value_path(struct memory *memory, const char *text, const char **path)
{
    if (text[0] != '/') {
        return "does not start with a slash";
    }
    size_t len = strlen(text);
    if (len > PATH_MAX_LEN) {
        return "is longer than 4096 characters";
    }
    for (size_t i = 0; i < len; i++) {
        if (text[i] <= ' ' || text[i] > '~' || strchr("?#\"<>\\^`{|}", text[i]) != NULL) {
            return "holds a character that a path cannot have";
        }
    }
    if (has_dot_segment(text)) {
        return "has a dot segment";
    }
    *path = memory_copy(memory, text, len);
    return NULL;
}

const char *value_name(struct memory *memory, const char *text, const char **name)
{
    size_t len = strlen(text);
    if (len == 0 || len > NAME_MAX_LEN) {
        return "is not between 1 and 64 characters long";
    }
    for (size_t i = 0; i < len; i++) {
        if (!is_letter(text[i]) && !is_digit(text[i]) && strchr("-_.", text[i]) == NULL) {
            return "holds something else than letters, digits, '-', '_' and '.'";
        }
    }
    *name = memory_copy(memory, text, len);
    return NULL;
}

static void print_unit(uint64_t value, const struct unit *units, char *buffer, size_t size)
{
    for (const struct unit *unit = units; unit->name != NULL; unit++) {
        if (value % unit->factor == 0 && (value != 0 || unit->factor <= 1000)) {
            (void)snprintf(buffer, size, "%" PRIu64 "%s", value / unit->factor, unit->name);
            return;
        }
    }
}

void value_print_duration(uint64_t ms, char *buffer, size_t size)
{
    print_unit(ms, DURATIONS, buffer, size);
}

void value_print_size(uint64_t bytes, char *buffer, size_t size)
{
    print_unit(bytes, SIZES, buffer, size);
}
