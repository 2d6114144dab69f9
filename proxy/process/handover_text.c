/* proxy/process/handover_text.c · SPDX-License-Identifier: Apache-2.0 */
#include "proxy/process/handover_text.h"

#include <inttypes.h>
#include <limits.h>
#include <string.h>

static const char FIRST_LINE[] = "sallyport-handover 1";

enum { DESCRIPTOR_MAX = 1 << 24 };

/* ---- writing ---- */

static void write_asked(const struct config_address *asked, FILE *out)
{
    if (asked->kind == CONFIG_ADDRESS_UNIX) {
        (void)fprintf(out, "unix");
        return;
    }
    bool is_ip4 = asked->kind == CONFIG_ADDRESS_IP4;
    (void)fprintf(out, is_ip4 ? "4:" : "6:");
    for (size_t i = 0; i < (is_ip4 ? 4U : 16U); i++) {
        (void)fprintf(out, "%02x", asked->ip[i]);
    }
    (void)fprintf(out, ":%u", asked->port);
}

static void write_items(const struct handover *handover, FILE *out)
{
    for (size_t i = 0; i < handover->socket_count; i++) {
        const struct handover_socket *socket = &handover->sockets[i];
        (void)fprintf(out, "%s %d %" PRIu32 " ", socket->is_lent ? "lent" : "socket",
                      socket->descriptor, socket->row);
        write_asked(&socket->asked, out);
        (void)fprintf(out, " %s\n", socket->bound);
    }
    for (size_t i = 0; i < handover->child_count; i++) {
        const struct handover_child *child = &handover->children[i];
        if (child->channel >= 0) {
            (void)fprintf(out, "child %d %d %" PRIu32 " %" PRIu64 " %s\n", child->channel,
                          child->pid, child->crew, child->gone_ms, child->role);
        } else {
            (void)fprintf(out, "child - %d %" PRIu32 " %" PRIu64 " %s\n", child->pid, child->crew,
                          child->gone_ms, child->role);
        }
    }
    for (size_t i = 0; i < handover->rule_count; i++) {
        const struct handover_rules *rules = &handover->rules[i];
        (void)fprintf(out, "rules %u ", rules->own_port);
        for (size_t j = 0; j < rules->port_count; j++) {
            (void)fprintf(out, "%s%u", j == 0 ? "" : ",", rules->ports[j]);
        }
        (void)fprintf(out, " %s\n", rules->name);
    }
}

void handover_write(const struct handover *handover, FILE *out)
{
    (void)fprintf(out, "%s\npid %d\nbegun %" PRIu64 "\ncrew %" PRIu32 "\ndrain %" PRIu64 "\n",
                  FIRST_LINE, handover->pid, handover->begun_us, handover->crew,
                  handover->drain_ms);
    (void)fprintf(out, "log %d %d %d\n", handover->log, (int)handover->log_level,
                  (int)handover->log_format);
    if (handover->admin >= 0) {
        (void)fprintf(out, "admin %d %s\n", handover->admin, handover->admin_path);
    }
    if (handover->tickets >= 0) {
        (void)fprintf(out, "tickets %d\n", handover->tickets);
    }
    if (handover->spent >= 0) {
        (void)fprintf(out, "spent %d\n", handover->spent);
    }
    write_items(handover, out);
    (void)fprintf(out, "end\n");
}

/* ---- reading ---- */

/* What stands before the next space, which is taken too. */
static slice take_word(slice *rest)
{
    size_t end = slice_find(*rest, ' ');
    slice word = slice_first(*rest, end);
    *rest = slice_from(*rest, end < rest->len ? end + 1 : end);
    return word;
}

/* False: not a number, or above `most`. */
static bool take_number(slice *rest, uint64_t most, uint64_t *out)
{
    return slice_to_number(take_word(rest), out) && *out <= most;
}

static bool take_descriptor(slice *rest, int *out)
{
    uint64_t number = 0;
    if (!take_number(rest, DESCRIPTOR_MAX, &number)) {
        return false;
    }
    *out = (int)number;
    return true;
}

/* All that is left, which may have spaces. False: nothing, or too long. */
static bool take_text(slice rest, char *out, size_t size)
{
    if (rest.len == 0 || rest.len >= size || memchr(rest.at, '\0', rest.len) != NULL) {
        return false;
    }
    memcpy(out, rest.at, rest.len);
    out[rest.len] = '\0';
    return true;
}

static int hex_digit(char c)
{
    if (c >= '0' && c <= '9') {
        return c - '0';
    }
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* "4:7f000001:8443", "6:...:8443" or "unix" */
static bool parse_asked(slice word, struct config_address *asked)
{
    *asked = (struct config_address){.kind = CONFIG_ADDRESS_UNIX};
    if (slice_equal(word, SLICE("unix"))) {
        return true;
    }
    bool is_ip4 = slice_starts_with(word, SLICE("4:"));
    size_t digits = is_ip4 ? 8 : 32;
    if ((!is_ip4 && !slice_starts_with(word, SLICE("6:"))) || word.len < digits + 4 ||
        word.at[digits + 2] != ':') {
        return false;
    }
    asked->kind = is_ip4 ? CONFIG_ADDRESS_IP4 : CONFIG_ADDRESS_IP6;
    for (size_t i = 0; i < digits / 2; i++) {
        int high = hex_digit(word.at[2 + 2 * i]);
        int low = hex_digit(word.at[3 + 2 * i]);
        if (high < 0 || low < 0) {
            return false;
        }
        asked->ip[i] = (uint8_t)(high << 4 | low);
    }
    uint64_t port = 0;
    if (!slice_to_number(slice_from(word, digits + 3), &port) || port > UINT16_MAX) {
        return false;
    }
    asked->port = (uint16_t)port;
    return true;
}

static bool read_pid(struct handover *handover, slice rest)
{
    uint64_t number = 0;
    bool is_read = take_number(&rest, INT_MAX, &number) && number > 0 && rest.len == 0;
    handover->pid = (pid_t)number;
    return is_read;
}

static bool read_begun(struct handover *handover, slice rest)
{
    return take_number(&rest, UINT64_MAX, &handover->begun_us) && rest.len == 0;
}

static bool read_crew(struct handover *handover, slice rest)
{
    uint64_t number = 0;
    bool is_read = take_number(&rest, UINT32_MAX, &number) && rest.len == 0;
    handover->crew = (uint32_t)number;
    return is_read;
}

static bool read_drain(struct handover *handover, slice rest)
{
    return take_number(&rest, UINT32_MAX, &handover->drain_ms) && rest.len == 0;
}

static bool read_log(struct handover *handover, slice rest)
{
    uint64_t level = 0;
    uint64_t format = 0;
    bool is_read = handover->log < 0 && take_descriptor(&rest, &handover->log) &&
                   take_number(&rest, LOG_DEBUG, &level) && take_number(&rest, LOG_AUTO, &format) &&
                   rest.len == 0;
    handover->log_level = (enum log_level)level;
    handover->log_format = (enum log_format)format;
    return is_read;
}

static bool read_admin(struct handover *handover, slice rest)
{
    return handover->admin < 0 && take_descriptor(&rest, &handover->admin) &&
           take_text(rest, handover->admin_path, sizeof(handover->admin_path));
}

static bool read_tickets(struct handover *handover, slice rest)
{
    return handover->tickets < 0 && take_descriptor(&rest, &handover->tickets) && rest.len == 0;
}

static bool read_spent(struct handover *handover, slice rest)
{
    return handover->spent < 0 && take_descriptor(&rest, &handover->spent) && rest.len == 0;
}

static bool read_any_socket(struct handover *handover, slice rest, bool is_lent)
{
    struct handover_socket socket = {.descriptor = -1, .is_lent = is_lent};
    uint64_t row = 0;
    if (!take_descriptor(&rest, &socket.descriptor) ||
        !take_number(&rest, HANDOVER_ITEMS_MAX, &row) ||
        !parse_asked(take_word(&rest), &socket.asked) ||
        !take_text(rest, socket.bound, sizeof(socket.bound))) {
        return false;
    }
    bool is_unix = strncmp(socket.bound, HANDOVER_UNIX_PREFIX, strlen(HANDOVER_UNIX_PREFIX)) == 0;
    socket.row = (uint32_t)row;
    return is_unix == (socket.asked.kind == CONFIG_ADDRESS_UNIX) &&
           handover_add_socket(handover, &socket) == STATUS_OK;
}

static bool read_socket(struct handover *handover, slice rest)
{
    return read_any_socket(handover, rest, false);
}

static bool read_lent(struct handover *handover, slice rest)
{
    return read_any_socket(handover, rest, true);
}

static bool read_child(struct handover *handover, slice rest)
{
    struct handover_child child = {.channel = -1};
    uint64_t pid = 0;
    uint64_t crew = 0;
    if (slice_starts_with(rest, SLICE("- "))) {
        rest = slice_from(rest, 2); /* it has none any more */
    } else if (!take_descriptor(&rest, &child.channel)) {
        return false;
    }
    if (!take_number(&rest, INT_MAX, &pid) || pid < 1 || !take_number(&rest, UINT32_MAX, &crew) ||
        !take_number(&rest, UINT64_MAX, &child.gone_ms) ||
        !take_text(rest, child.role, sizeof(child.role))) {
        return false;
    }
    child.pid = (pid_t)pid;
    child.crew = (uint32_t)crew;
    return handover_add_child(handover, &child) == STATUS_OK;
}

static bool read_ports(struct handover_rules *rules, slice list)
{
    while (list.len > 0 && rules->port_count < HANDOVER_PORTS_MAX) {
        size_t end = slice_find(list, ',');
        uint64_t port = 0;
        if (!slice_to_number(slice_first(list, end), &port) || port == 0 || port > UINT16_MAX) {
            return false;
        }
        rules->ports[rules->port_count++] = (uint16_t)port;
        list = slice_from(list, end < list.len ? end + 1 : end);
    }
    return list.len == 0 && rules->port_count > 0;
}

/* The name becomes part of a script for nft. */
static bool is_plain_name(const char *name)
{
    static const char LETTERS[] =
        "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_.";
    return name[0] != '\0' && name[strspn(name, LETTERS)] == '\0';
}

static bool read_rules(struct handover *handover, slice rest)
{
    struct handover_rules rules = {0};
    uint64_t port = 0;
    if (!take_number(&rest, UINT16_MAX, &port) || !read_ports(&rules, take_word(&rest)) ||
        !take_text(rest, rules.name, sizeof(rules.name)) || !is_plain_name(rules.name)) {
        return false;
    }
    rules.own_port = (uint16_t)port;
    return handover_add_rules(handover, &rules) == STATUS_OK;
}

static bool read_line(struct handover *handover, slice line)
{
    static const struct {
        const char *word;
        bool (*read)(struct handover *handover, slice rest);
    } LINES[] = {
        {"pid", read_pid},         {"begun", read_begun},   {"crew", read_crew},
        {"drain", read_drain},     {"log", read_log},       {"admin", read_admin},
        {"tickets", read_tickets}, {"socket", read_socket}, {"lent", read_lent},
        {"child", read_child},     {"rules", read_rules},   {"spent", read_spent},
    };
    slice word = take_word(&line);
    for (size_t i = 0; i < sizeof(LINES) / sizeof(LINES[0]); i++) {
        if (slice_equal(word, slice_of(LINES[i].word))) {
            return LINES[i].read(handover, line);
        }
    }
    return false;
}

/* The next line without its line feed. False: there is no whole one. */
static bool take_line(slice *text, slice *line)
{
    size_t end = slice_find(*text, '\n');
    if (end == text->len) {
        return false;
    }
    *line = slice_first(*text, end);
    *text = slice_from(*text, end + 1);
    return true;
}

static bool parse(struct handover *handover, slice text)
{
    slice line = {0};
    if (!take_line(&text, &line) || !slice_equal(line, slice_of(FIRST_LINE))) {
        return false;
    }
    while (take_line(&text, &line)) {
        if (slice_equal(line, SLICE("end"))) {
            return text.len == 0 && handover->pid > 0 && handover->log >= 0;
        }
        if (!read_line(handover, line)) {
            return false;
        }
    }
    return false;
}

enum status handover_parse(struct handover *handover, slice text)
{
    handover_init(handover);
    if (text.len > HANDOVER_BYTES_MAX || !parse(handover, text)) {
        handover_fini(handover);
        return STATUS_REFUSED;
    }
    return STATUS_OK;
}
