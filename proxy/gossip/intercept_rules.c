/* proxy/gossip/intercept_rules.c · SPDX-License-Identifier: Apache-2.0
 *
 * The way of a packet, with the chain that takes care of it:
 *
 *     node → peer, UDP    out: marked → routed to lo → pre: tproxy → our socket
 *     node → peer, TCP    nat_out: redirected → our socket
 *     peer → node, UDP    pre: tproxy → our socket
 *     peer → node, TCP    nat_in: redirected → our socket
 *     we → peer or node   marked as ours: passes everywhere
 *
 * and the chains guard_* drop what came there without having been steered: because nobody listens,
 * a routing rule is missing (networkd removes those it does not know), or the conn is older than
 * the rules, so that NAT never sees it.
 */
#include "proxy/gossip/intercept_rules.h"

#include <inttypes.h>
#include <stdarg.h>

#define TABLE_PREFIX "sallyport-gossip-"

enum {
    STEERING_MARK_BASE = 0x67540000, /* and the own port in the lower half */
    ROUTING_TABLE_BASE = 675300000,  /* the same, readable in decimal: 6753, then the port */
    ROUTING_PRIORITY = 100,          /* before the main table (32766), after the local one (0) */
};

uint32_t intercept_steering_mark(const struct config_gossip *gossip)
{
    return STEERING_MARK_BASE | gossip->own_port;
}

uint32_t intercept_routing_table(const struct config_gossip *gossip)
{
    return ROUTING_TABLE_BASE + gossip->own_port;
}

/* ---- nft ---- */

/* 7946, 7947 */
static void write_ports(const struct config_gossip *gossip, FILE *out)
{
    for (size_t i = 0; i < gossip->port_count; i++) {
        (void)fprintf(out, "%s%u", i == 0 ? "" : ", ", gossip->ports[i]);
    }
}

/* When the node does not listen, the kernel answers what we bring it with an ICMP error to the
 * peer, and quotes up to 1280 bytes of the packet: that is plaintext. The quotation starts behind
 * the 8 bytes of ICMP with the IP header; its protocol has to be UDP and its port one of ours.
 * First of all rules, for such an answer may carry our mark (sysctl fwmark_reflect). */
static void write_icmp_rules(const struct config_gossip *gossip, FILE *out)
{
    (void)fprintf(out, "    icmp type { destination-unreachable, time-exceeded, parameter-problem "
                       "} @th,136,8 17 @th,240,16 { ");
    write_ports(gossip, out);
    (void)fprintf(out, " } fib daddr type != local drop\n"
                       "    icmpv6 type { destination-unreachable, time-exceeded, "
                       "parameter-problem } @th,112,8 17 @th,400,16 { ");
    write_ports(gossip, out);
    (void)fprintf(out, " } fib daddr type != local drop\n");
}

/* Our own packets are known by their mark and not by their user: in a container node and sidecar
 * are often both root, and then the node's plaintext would pass as ours. Only who has CAP_NET_RAW
 * or CAP_NET_ADMIN can set a mark. What is said to an address of this machine stays on it. A node
 * speaks UDP from its gossip port, so that port is steered too, wherever it speaks to. */
static void write_out(const struct config_gossip *gossip, FILE *out)
{
    uint32_t mark = intercept_steering_mark(gossip);
    (void)fprintf(out, "  chain out {\n"
                       "    type route hook output priority mangle; policy accept;\n");
    write_icmp_rules(gossip, out);
    (void)fprintf(out,
                  "    meta mark 0x%x return\n"
                  "    fib daddr type local meta l4proto { tcp, udp } th dport %u drop\n"
                  "    fib daddr type local return\n"
                  "    udp dport @ports fib daddr type != unicast drop\n"
                  "    udp sport @ports fib daddr type != unicast drop\n"
                  "    udp dport @ports meta mark set 0x%" PRIx32 " return\n"
                  "    udp sport @ports meta mark set 0x%" PRIx32 " return\n"
                  "  }\n",
                  INTERCEPT_OWN_MARK, gossip->own_port, mark, mark);
}

/* Without a socket of ours `tproxy` only ends its rule, so what comes behind it has to drop. The
 * mark is set last for the same reason: it says that a socket was found. Our own port is nobody's
 * service. Fragments need no rule: `tproxy` makes the kernel put them together before this hook. */
static void write_pre(const struct config_gossip *gossip, FILE *out)
{
    static const char *const FAMILIES[][2] = {{"ipv4", "ip"}, {"ipv6", "ip6"}};
    unsigned port = gossip->own_port;
    uint32_t mark = intercept_steering_mark(gossip);
    (void)fprintf(out,
                  "  chain pre {\n"
                  "    type filter hook prerouting priority mangle; policy accept;\n"
                  "    meta mark 0x%x return\n",
                  INTERCEPT_OWN_MARK);
    for (size_t i = 0; i < 2; i++) {
        (void)fprintf(out,
                      "    iif lo meta mark 0x%" PRIx32 " meta nfproto %s meta l4proto udp tproxy "
                      "%s to :%u accept\n",
                      mark, FAMILIES[i][0], FAMILIES[i][1], port);
    }
    (void)fprintf(out,
                  "    meta mark 0x%" PRIx32 " drop\n"
                  "    iif != lo fib daddr type local meta l4proto { tcp, udp } th dport %u drop\n",
                  mark, port);
    for (size_t i = 0; i < 2; i++) {
        (void)fprintf(out,
                      "    iif != lo fib daddr type local meta nfproto %s udp dport @ports tproxy "
                      "%s to :%u meta mark set 0x%" PRIx32 " accept\n",
                      FAMILIES[i][0], FAMILIES[i][1], port, mark);
    }
    (void)fprintf(out, "    iif != lo udp dport @ports fib daddr type { local, broadcast, anycast, "
                       "multicast } drop\n"
                       "  }\n");
}

/* nft 1.0.6 knows no name for this priority in the output hook. */
static void write_nat(const struct config_gossip *gossip, FILE *out)
{
    (void)fprintf(out,
                  "  chain nat_out {\n"
                  "    type nat hook output priority -100; policy accept;\n"
                  "    meta mark 0x%x return\n"
                  "    fib daddr type local return\n"
                  "    tcp dport @ports redirect to :%u\n"
                  "  }\n"
                  "  chain nat_in {\n"
                  "    type nat hook prerouting priority -100; policy accept;\n"
                  "    iif != lo tcp dport @ports fib daddr type local redirect to :%u\n"
                  "  }\n",
                  INTERCEPT_OWN_MARK, gossip->own_port, gossip->own_port);
}

/* What was redirected has another port by now, and what was steered has the mark. Only what is for
 * this machine comes to the input hook, broadcast and multicast as well, and whole. */
static void write_guards(const struct config_gossip *gossip, FILE *out)
{
    uint32_t mark = intercept_steering_mark(gossip);
    (void)fprintf(out,
                  "  chain guard_in {\n"
                  "    type filter hook input priority filter; policy accept;\n"
                  "    iif != lo udp dport @ports meta mark != 0x%" PRIx32 " drop\n"
                  "    iif != lo tcp dport @ports drop\n"
                  "  }\n"
                  "  chain guard_out {\n"
                  "    type filter hook output priority filter; policy accept;\n"
                  "    meta mark 0x%x return\n"
                  "    fib daddr type local return\n"
                  "    tcp dport @ports drop\n"
                  "    tcp sport @ports drop\n"
                  "  }\n"
                  "  chain guard_post {\n"
                  "    type filter hook postrouting priority filter; policy accept;\n"
                  "    oif != lo meta mark 0x%" PRIx32 " drop\n"
                  "  }\n",
                  mark, INTERCEPT_OWN_MARK, mark);
}

void intercept_rules_write(const struct config_gossip *gossip, enum intercept_step step, FILE *out)
{
    /* A table that is declared can be deleted, whether it was there or not. */
    (void)fprintf(out,
                  "table inet " TABLE_PREFIX "%s\n"
                  "delete table inet " TABLE_PREFIX "%s\n",
                  gossip->name, gossip->name);
    if (step == INTERCEPT_REMOVE) {
        return;
    }
    (void)fprintf(out,
                  "table inet " TABLE_PREFIX "%s {\n"
                  "  set ports { type inet_service; elements = { ",
                  gossip->name);
    write_ports(gossip, out);
    (void)fprintf(out, " }; }\n");
    write_out(gossip, out);
    write_pre(gossip, out);
    write_nat(gossip, out);
    write_guards(gossip, out);
    (void)fprintf(out, "}\n");
}

/* ---- ip ---- */

struct command_list {
    struct intercept_command *commands;
    size_t count;
};

__attribute__((format(printf, 4, 5))) static void add(struct command_list *list, bool is_ip6,
                                                      bool may_fail, const char *format, ...)
{
    struct intercept_command *command = &list->commands[list->count++];
    *command = (struct intercept_command){.is_ip6 = is_ip6, .may_fail = may_fail};
    va_list arguments;
    va_start(arguments, format);
    (void)vsnprintf(command->text, sizeof(command->text), format, arguments);
    va_end(arguments);
}

/* The kernel refuses to add a rule twice, so it goes before it comes. In between nothing leaks:
 * guard_post is there already. */
size_t intercept_rules_commands(const struct config_gossip *gossip, enum intercept_step step,
                                struct intercept_command commands[INTERCEPT_COMMANDS_MAX])
{
    struct command_list list = {.commands = commands};
    uint32_t mark = intercept_steering_mark(gossip);
    uint32_t table = intercept_routing_table(gossip);
    for (int ip6 = 0; ip6 <= 1; ip6++) {
        int version = ip6 == 1 ? 6 : 4;
        add(&list, ip6 == 1, true,
            "ip -%d rule del fwmark 0x%" PRIx32 " lookup %" PRIu32 " priority %d", version, mark,
            table, ROUTING_PRIORITY);
        if (step == INTERCEPT_REMOVE) {
            add(&list, ip6 == 1, true, "ip -%d route flush table %" PRIu32, version, table);
            continue;
        }
        add(&list, ip6 == 1, false,
            "ip -%d rule add fwmark 0x%" PRIx32 " lookup %" PRIu32 " priority %d", version, mark,
            table, ROUTING_PRIORITY);
        add(&list, ip6 == 1, false, "ip -%d route replace local %s dev lo table %" PRIu32, version,
            ip6 == 1 ? "::/0" : "0.0.0.0/0", table);
    }
    return list.count;
}
