/* proxy/process/gossip_rules.c · SPDX-License-Identifier: Apache-2.0 */
#include "proxy/process/gossip_rules.h"

#include <fcntl.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "proxy/gossip/intercept_rules.h"
#include "proxy/process/system_program.h"

enum { TIMEOUT_MS = 10000 };

/* ---- one program ---- */

static const char *package_of(const char *program)
{
    return strcmp(program, "nft") == 0 ? "nftables" : "iproute2";
}

/* The sentence for what a program said. */
static void tell(struct process_error *error, const struct config_gossip *gossip,
                 const char *program, const char *said)
{
    char path[SYSTEM_PROGRAM_PATH_BYTES];
    if (!system_program_find(program, path)) {
        process_error_set(error,
                          "gossip cluster '%s': %s is not installed; expected the package %s",
                          gossip->name, program, package_of(program));
        return;
    }
    process_error_set(error,
                      "gossip cluster '%s': its rules cannot be installed: %s: %s; expected root "
                      "or CAP_NET_ADMIN, or 'rules: external'",
                      gossip->name, program, said);
}

static enum status run_nft(const struct config_gossip *gossip, enum intercept_step step,
                           char said[SYSTEM_PROGRAM_SAID_BYTES])
{
    char *script = NULL;
    size_t len = 0;
    FILE *out = open_memstream(&script, &len);
    if (out == NULL) {
        return STATUS_NOMEM;
    }
    intercept_rules_write(gossip, step, out);
    enum status status = STATUS_NOMEM;
    if (fclose(out) == 0) {
        const struct system_program_run run = {.words = {"nft", "-f", "-"},
                                               .input = script,
                                               .input_len = len,
                                               .timeout_ms = TIMEOUT_MS};
        status = system_program_run(&run, said);
    }
    free(script);
    return status;
}

/* Runs a line of words with one space between two. */
static enum status run_line(const char *line, char said[SYSTEM_PROGRAM_SAID_BYTES])
{
    char copy[INTERCEPT_COMMAND_BYTES];
    struct system_program_run run = {.timeout_ms = TIMEOUT_MS};
    (void)snprintf(copy, sizeof(copy), "%s", line);
    char *rest = NULL;
    size_t count = 0;
    for (char *word = strtok_r(copy, " ", &rest);
         word != NULL && count + 1 < SYSTEM_PROGRAM_WORDS_MAX; word = strtok_r(NULL, " ", &rest)) {
        run.words[count++] = word;
    }
    return system_program_run(&run, said);
}

/* ---- routing ---- */

static bool can_bind_ip6(void)
{
    const struct sockaddr_in6 loopback = {.sin6_family = AF_INET6,
                                          .sin6_addr = IN6ADDR_LOOPBACK_INIT};
    int descriptor = socket(AF_INET6, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (descriptor < 0) {
        return false;
    }
    bool is_bound = bind(descriptor, (const struct sockaddr *)&loopback, sizeof(loopback)) == 0;
    (void)close(descriptor);
    return is_bound;
}

/* Where the kernel has no IPv6, or a container may not use it, its half is neither possible nor
 * needed; should it be switched on later, the guards of the table keep it closed. A service manager
 * may hide all of /proc that is not about processes. */
static bool has_ip6(void)
{
    char byte = '1';
    int file = open("/proc/sys/net/ipv6/conf/lo/disable_ipv6", O_RDONLY | O_CLOEXEC);
    if (file < 0) {
        return can_bind_ip6();
    }
    bool is_read = read(file, &byte, 1) == 1;
    (void)close(file);
    return is_read && byte == '0';
}

static enum status run_commands(const struct config_gossip *gossip, enum intercept_step step,
                                char said[SYSTEM_PROGRAM_SAID_BYTES])
{
    struct intercept_command commands[INTERCEPT_COMMANDS_MAX];
    size_t count = intercept_rules_commands(gossip, step, commands);
    bool is_ip6_due = has_ip6();
    for (size_t i = 0; i < count; i++) {
        if (commands[i].is_ip6 && !is_ip6_due) {
            continue;
        }
        enum status status = run_line(commands[i].text, said);
        if (status != STATUS_OK && !commands[i].may_fail) {
            return status;
        }
    }
    return STATUS_OK;
}

/* ---- conns of old ---- */

/* NAT looks at the first packet of a conn alone: without this, one that is older than the rules
 * (or than their end) keeps what it had, until it is silent for minutes. The guards close it in the
 * meantime, so it is no failure when the program is missing. */
static void forget_conns(const struct config_gossip *gossip)
{
    static const char *const PROTOCOLS[] = {"udp", "tcp"};
    static const char *const FAMILIES[] = {"ipv4", "ipv6"};
    char path[SYSTEM_PROGRAM_PATH_BYTES];
    if (!system_program_find("conntrack", path)) {
        return;
    }
    for (size_t i = 0; i < gossip->port_count * 4; i++) {
        char line[INTERCEPT_COMMAND_BYTES];
        char said[SYSTEM_PROGRAM_SAID_BYTES];
        (void)snprintf(line, sizeof(line), "conntrack -D -f %s -p %s --dport %u",
                       FAMILIES[i / 2 % 2], PROTOCOLS[i % 2], gossip->ports[i / 4]);
        enum status status = run_line(line, said);
        (void)status; /* 1: there was none */
    }
}

/* ---- all ---- */

enum status gossip_rules_install(const struct config_gossip *gossip, struct process_error *error)
{
    char said[SYSTEM_PROGRAM_SAID_BYTES] = "out of memory";
    enum status status = run_nft(gossip, INTERCEPT_INSTALL, said);
    if (status != STATUS_OK) {
        tell(error, gossip, "nft", said);
        return status;
    }
    status = run_commands(gossip, INTERCEPT_INSTALL, said);
    if (status != STATUS_OK) {
        tell(error, gossip, "ip", said);
        return status;
    }
    forget_conns(gossip);
    return STATUS_OK;
}

void gossip_rules_remove(const struct config_gossip *gossip)
{
    char said[SYSTEM_PROGRAM_SAID_BYTES];
    enum status status = run_commands(gossip, INTERCEPT_REMOVE, said);
    status = run_nft(gossip, INTERCEPT_REMOVE, said);
    (void)status; /* nobody could do anything about it */
    forget_conns(gossip);
}
