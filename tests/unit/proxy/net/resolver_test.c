/* tests/unit/proxy/net/resolver_test.c
 *
 * The resolver against a small name server in the same loop: UDP on 127.0.0.1 and 127.0.0.2, TCP
 * on 127.0.0.1, all on one port that the kernel chose.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "proxy/net/resolver.h"

#include <arpa/inet.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <strings.h>
#include <unistd.h>

#include <cmocka.h>

#include "proxy/base/clock.h"
#include "proxy/net/dns_message.h"
#include "proxy/net/timer.h"

enum { SERVERS = 2, TCP = 2, SOCKETS = 3, MESSAGE_BYTES = 2048 };

enum { TCP_CONNS = 8 };

struct tcp_conn {
    struct rig *rig;
    int descriptor;
    struct watch watch;
};

struct rig {
    struct tcp_conn conns[TCP_CONNS];
    struct loop *loop;
    struct resolver *resolver;
    int sockets[SOCKETS];
    struct watch watches[SOCKETS];
    uint16_t port;
    char directory[32];
    char resolv_conf[64];
    char hosts[64];
    unsigned asked[SERVERS];
    unsigned asked_tcp;
    char last_name[256];
    struct resolved resolved;
    unsigned done;
    struct deadline give_up;
};

/* What the server makes of a name. */
enum habit {
    ANSWERS,
    NO_NAME,
    NO_ADDRESS,
    SILENT,
    GARBAGE,
    WRONG_ID,
    FAILS,
    CUT,      /* truncated over UDP */
    ONLY_V4,  /* says nothing to AAAA */
    MANY,     /* more than there are places */
    BAD_SIZE, /* an address of 3 bytes */
};

static const struct {
    const char *name;
    enum habit habits[SERVERS];
    uint32_t ttl_s;
} zone[] = {
    {"both.test", {ANSWERS, SILENT}, 300},
    {"short.test", {ANSWERS, SILENT}, 0},
    {"long.test", {ANSWERS, SILENT}, 0x7fffffff},
    {"none.test", {NO_NAME, ANSWERS}, 5},
    {"nodata.test", {NO_ADDRESS, ANSWERS}, 5},
    {"silent.test", {SILENT, SILENT}, 0},
    {"garbage.test", {GARBAGE, ANSWERS}, 30},
    {"wrongid.test", {WRONG_ID, ANSWERS}, 30},
    {"fails.test", {FAILS, ANSWERS}, 30},
    {"allfail.test", {FAILS, FAILS}, 30},
    {"cut.test", {CUT, SILENT}, 60},
    {"v4.test", {ONLY_V4, SILENT}, 60},
    {"many.test", {MANY, SILENT}, 60},
    {"badsize.test", {BAD_SIZE, ANSWERS}, 60},
    {"app.search.test", {NO_NAME, SILENT}, 60},
    {"app", {ANSWERS, SILENT}, 60},
    {"web.search.test", {ANSWERS, SILENT}, 60},
};

static void decode_name(const char *query, size_t len, char *out)
{
    size_t at = 12;
    size_t to = 0;
    while (at < len && query[at] != 0) {
        size_t label = (unsigned char)query[at++];
        if (to > 0) {
            out[to++] = '.';
        }
        memcpy(out + to, query + at, label);
        to += label;
        at += label;
    }
    out[to] = '\0';
}

static size_t put_record(char *at, unsigned type, uint32_t ttl_s, const void *content, size_t len)
{
    const char fixed[] = {(char)0xc0,
                          12,
                          0,
                          (char)type,
                          0,
                          1,
                          (char)(ttl_s >> 24),
                          (char)(ttl_s >> 16),
                          (char)(ttl_s >> 8),
                          (char)ttl_s,
                          0,
                          (char)len};
    memcpy(at, fixed, sizeof(fixed));
    memcpy(at + sizeof(fixed), content, len);
    return sizeof(fixed) + len;
}

/* The answer in `query`'s own bytes and beyond; 0: none. */
static size_t answer(char *message, size_t len, enum habit habit, uint32_t ttl_s, bool is_tcp)
{
    bool is_v6 = message[len - 3] == DNS_TYPE_AAAA;
    static const char v6[16] = {0x20, 1, 0x0d, (char)0xb8, [15] = 1};
    static const char v4[4] = {(char)192, 0, 2, 1};
    static const char soa[22] = {0, 0, [21] = 7};
    size_t count = habit == MANY ? 20 : 1;
    message[2] = (char)0x81;
    switch (habit) {
    case SILENT:
        return 0;
    case GARBAGE:
        memset(message + 2, 0xff, len - 2);
        return len;
    case WRONG_ID:
        message[0] ^= 1;
        break;
    case NO_NAME:
    case NO_ADDRESS:
        message[3] = habit == NO_NAME ? 3 : 0;
        message[9] = 1;
        return len + put_record(message + len, 6, ttl_s, soa, sizeof(soa));
    case FAILS:
        message[3] = 2;
        return len;
    case CUT:
        message[2] = (char)(is_tcp ? 0x81 : 0x83);
        if (!is_tcp) {
            return len;
        }
        break;
    case ONLY_V4:
        if (is_v6) {
            return 0;
        }
        break;
    case ANSWERS:
    case MANY:
    case BAD_SIZE:
        break;
    }
    message[7] = (char)count;
    for (size_t i = 0; i < count; i++) {
        size_t size = habit == BAD_SIZE ? 3 : is_v6 ? sizeof(v6) : sizeof(v4);
        len += put_record(message + len, is_v6 ? DNS_TYPE_AAAA : DNS_TYPE_A, ttl_s, is_v6 ? v6 : v4,
                          size);
    }
    return len;
}

static size_t respond(struct rig *rig, char *message, size_t len, size_t server, bool is_tcp)
{
    decode_name(message, len, rig->last_name);
    for (size_t i = 0; i < sizeof(zone) / sizeof(zone[0]); i++) {
        if (strcasecmp(zone[i].name, rig->last_name) == 0) {
            return answer(message, len, zone[i].habits[server], zone[i].ttl_s, is_tcp);
        }
    }
    return answer(message, len, NO_NAME, 1, is_tcp);
}

static void serve_udp(struct rig *rig, size_t server)
{
    char message[MESSAGE_BYTES];
    struct sockaddr_in from;
    socklen_t from_len = sizeof(from);
    ssize_t got =
        recvfrom(rig->sockets[server], message, 512, 0, (struct sockaddr *)&from, &from_len);
    assert_true(got > 12);
    rig->asked[server]++;
    size_t len = respond(rig, message, (size_t)got, server, false);
    if (len > 0) {
        (void)!sendto(rig->sockets[server], message, len, 0, (struct sockaddr *)&from, from_len);
    }
}

static void on_first(void *self, unsigned events)
{
    (void)events;
    serve_udp(self, 0);
}

static void on_second(void *self, unsigned events)
{
    (void)events;
    serve_udp(self, 1);
}

static void on_tcp_query(void *self, unsigned events)
{
    (void)events;
    struct tcp_conn *conn = self;
    struct rig *rig = conn->rig;
    char message[MESSAGE_BYTES];
    ssize_t got = recv(conn->descriptor, message, sizeof(message), 0);
    assert_true(got > 14);
    size_t len = respond(rig, message + 2, (size_t)got - 2, 0, true);
    char length[2] = {(char)(len >> 8), (char)len};
    (void)!send(conn->descriptor, length, 1, 0); /* in two parts */
    message[1] = length[1];
    (void)!send(conn->descriptor, message + 1, len + 1, 0);
    watch_close(&conn->watch);
    (void)close(conn->descriptor);
}

static void on_tcp(void *self, unsigned events)
{
    (void)events;
    struct rig *rig = self;
    assert_true(rig->asked_tcp < TCP_CONNS);
    struct tcp_conn *conn = &rig->conns[rig->asked_tcp++];
    conn->rig = rig;
    conn->descriptor = accept(rig->sockets[TCP], NULL, NULL);
    assert_int_equal(
        watch_open_level(&conn->watch, rig->loop, conn->descriptor, WATCH_READ, on_tcp_query, conn),
        STATUS_OK);
}

static int open_socket(struct rig *rig, int type, const char *address)
{
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_port = htons(rig->port)};
    assert_int_equal(inet_pton(AF_INET, address, &at.sin_addr), 1);
    int descriptor = socket(AF_INET, type | SOCK_CLOEXEC, 0);
    if (bind(descriptor, (struct sockaddr *)&at, sizeof(at)) != 0) {
        (void)close(descriptor);
        return -1;
    }
    socklen_t len = sizeof(at);
    assert_int_equal(getsockname(descriptor, (struct sockaddr *)&at, &len), 0);
    rig->port = ntohs(at.sin_port);
    return descriptor;
}

/* All three on one port. False: another program has it for one of them. */
static bool open_sockets(struct rig *rig)
{
    rig->sockets[0] = open_socket(rig, SOCK_DGRAM, "127.0.0.1");
    rig->sockets[1] = open_socket(rig, SOCK_DGRAM, "127.0.0.2");
    rig->sockets[TCP] = open_socket(rig, SOCK_STREAM, "127.0.0.1");
    if (rig->sockets[1] >= 0 && rig->sockets[TCP] >= 0) {
        return true;
    }
    for (size_t i = 0; i < SOCKETS; i++) {
        (void)!close(rig->sockets[i]);
    }
    return false;
}

static void write_file(const char *path, const char *text)
{
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    (void)fputs(text, file);
    (void)fclose(file);
}

static void new_resolver(struct rig *rig, const char *resolv_conf)
{
    resolver_free(rig->resolver);
    write_file(rig->resolv_conf, resolv_conf);
    rig->resolver = resolver_new_with(
        rig->loop, &(struct resolver_sources){
                       .resolv_conf = rig->resolv_conf, .hosts = rig->hosts, .port = rig->port});
    assert_non_null(rig->resolver);
}

static int set_up(void **state)
{
    struct rig *rig = calloc(1, sizeof(*rig));
    rig->loop = loop_new();
    (void)strcpy(rig->directory, "/tmp/resolver_XXXXXX");
    assert_non_null(mkdtemp(rig->directory));
    (void)snprintf(rig->resolv_conf, sizeof(rig->resolv_conf), "%s/resolv.conf", rig->directory);
    (void)snprintf(rig->hosts, sizeof(rig->hosts), "%s/hosts", rig->directory);
    write_file(rig->hosts, "# names\n192.0.2.7 Box box.test # one\n2001:db8::7\tbox\nx y\n");
    while (!open_sockets(rig)) {
        rig->port = 0;
    }
    assert_int_equal(listen(rig->sockets[TCP], 8), 0);
    void (*const on_ready[SOCKETS])(void *, unsigned) = {on_first, on_second, on_tcp};
    for (size_t i = 0; i < SOCKETS; i++) {
        assert_int_equal(watch_open_level(&rig->watches[i], rig->loop, rig->sockets[i], WATCH_READ,
                                          on_ready[i], rig),
                         STATUS_OK);
    }
    new_resolver(rig, "nameserver 127.0.0.1\nnameserver 127.0.0.2\noptions timeout:1\n");
    *state = rig;
    return 0;
}

static int tear_down(void **state)
{
    struct rig *rig = *state;
    resolver_free(rig->resolver);
    for (size_t i = 0; i < SOCKETS; i++) {
        watch_close(&rig->watches[i]);
        (void)close(rig->sockets[i]);
    }
    deadline_disarm(&rig->give_up);
    (void)unlink(rig->resolv_conf);
    (void)unlink(rig->hosts);
    (void)rmdir(rig->directory);
    loop_free(rig->loop);
    free(rig);
    return 0;
}

static void on_done(void *self, const struct resolved *resolved)
{
    struct rig *rig = self;
    rig->resolved = *resolved;
    rig->done++;
    loop_stop(rig->loop);
}

static void on_give_up(void *self)
{
    loop_stop(((struct rig *)self)->loop);
}

/* One lookup to its end. Returns what was found as "address address". */
static const char *look_up(struct rig *rig, const char *name, uint64_t limit_ms)
{
    static char text[RESOLVER_ADDRESSES_MAX * INET6_ADDRSTRLEN];
    memset(rig->asked, 0, sizeof(rig->asked));
    rig->done = 0;
    assert_non_null(resolver_lookup(rig->resolver, name, limit_ms, on_done, rig));
    assert_int_equal(rig->done, 0);
    loop_run(rig->loop);
    assert_int_equal(rig->done, 1);
    text[0] = '\0';
    for (size_t i = 0; i < rig->resolved.count; i++) {
        const struct sockaddr_storage *at = &rig->resolved.at[i];
        const void *bytes = at->ss_family == AF_INET6
                                ? (const void *)&((const struct sockaddr_in6 *)at)->sin6_addr
                                : (const void *)&((const struct sockaddr_in *)at)->sin_addr;
        size_t len = strlen(text);
        text[len] = ' ';
        assert_non_null(inet_ntop(at->ss_family, bytes, text + len + (len > 0),
                                  (socklen_t)(sizeof(text) - len - 1)));
    }
    return text;
}

#define FOUND "2001:db8::1 192.0.2.1"

static const struct {
    const char *claim;
    const char *name;
    uint64_t limit_ms;
    const char *found;
    uint64_t ttl_ms;
    unsigned asked[SERVERS];
} cases[] = {
    {"ipv6 comes first, with the answer's ttl", "both.test", 4000, FOUND, 300000, {2, 0}},
    {"a ttl is at least a second", "short.test", 4000, FOUND, 1000, {2, 0}},
    {"a ttl is at most a day", "long.test", 4000, FOUND, 86400000, {2, 0}},
    {"letters of either case are one name", "BOTH.test", 4000, FOUND, 300000, {2, 0}},
    {"no such name is an answer: no other server is asked", "none.test.", 4000, "", 5000, {2, 0}},
    {"no address is an answer as well", "nodata.test.", 4000, "", 5000, {2, 0}},
    {"nobody answers until the limit", "silent.test", 300, "", 1000, {2, 0}},
    {"garbage is waited out, then the next server", "garbage.test", 4000, FOUND, 30000, {2, 2}},
    {"a wrong id is nobody's answer", "wrongid.test", 4000, FOUND, 30000, {2, 2}},
    {"a failing server: the next at once", "fails.test", 400, FOUND, 30000, {2, 2}},
    {"every server is asked twice", "allfail.test", 4000, "", 1000, {4, 4}},
    {"one silent family does not hold the other", "v4.test", 900, "192.0.2.1", 60000, {2, 0}},
    {"an address of a wrong size is a failure", "badsize.test", 4000, FOUND, 60000, {2, 2}},
    {"an address is its own answer", "192.0.2.9", 4000, "192.0.2.9", 86400000, {0, 0}},
    {"so is an ipv6 address", "2001:db8::9", 4000, "2001:db8::9", 86400000, {0, 0}},
    {"hosts come first, ipv6 first", "box", 4000, "2001:db8::7 192.0.2.7", 86400000, {0, 0}},
    {"hosts: every name of a line", "BOX.test", 4000, "192.0.2.7", 86400000, {0, 0}},
    {"localhost needs nobody", "localhost", 4000, "::1 127.0.0.1", 86400000, {0, 0}},
    {"nor do names below it", "a.localhost", 4000, "::1 127.0.0.1", 86400000, {0, 0}},
    {"an empty name is none", "", 4000, "", 1000, {0, 0}},
    {"nor is a dot", ".", 4000, "", 1000, {0, 0}},
    {"nor one with an empty label", "a..b", 4000, "", 1000, {0, 0}},
};

static void finds_what_the_table_says(void **state)
{
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        const char *found = look_up(*state, cases[i].name, cases[i].limit_ms);
        const struct rig *rig = *state;
        if (strcmp(found, cases[i].found) != 0 || rig->resolved.ttl_ms != cases[i].ttl_ms ||
            rig->asked[0] != cases[i].asked[0] || rig->asked[1] != cases[i].asked[1]) {
            fail_msg("%s: found '%s', ttl %lu, asked %u %u", cases[i].claim, found,
                     (unsigned long)rig->resolved.ttl_ms, rig->asked[0], rig->asked[1]);
        }
    }
}

static void asks_again_over_tcp_when_truncated(void **state)
{
    struct rig *rig = *state;
    assert_string_equal(look_up(rig, "cut.test", 4000), FOUND);
    assert_int_equal(rig->resolved.ttl_ms, 60000);
    assert_int_equal(rig->asked_tcp, 2);
    (void)look_up(rig, "many.test", 4000);
    assert_int_equal(rig->resolved.count, RESOLVER_ADDRESSES_MAX);
    assert_int_equal(rig->resolved.at[7].ss_family, AF_INET6);
    assert_int_equal(rig->resolved.at[8].ss_family, AF_INET);
}

static void walks_the_search_domains(void **state)
{
    struct rig *rig = *state;
    new_resolver(rig, "search search.test other.test\nnameserver 127.0.0.1\n");
    assert_string_equal(look_up(rig, "web", 4000), FOUND);
    assert_string_equal(rig->last_name, "web.search.test");
    assert_string_equal(look_up(rig, "app", 4000), FOUND); /* as it is, after both domains */
    assert_string_equal(rig->last_name, "app");
    assert_int_equal(rig->asked[0], 6);
    assert_string_equal(look_up(rig, "both.test", 4000), FOUND); /* dots enough: first */
    assert_int_equal(rig->asked[0], 2);
    assert_string_equal(look_up(rig, "web.", 4000), "");
    new_resolver(rig, "nameserver 127.0.0.1\ndomain test\noptions ndots:2\n");
    assert_string_equal(look_up(rig, "web.search", 4000), FOUND);
    assert_string_equal(rig->last_name, "web.search.test");
}

static void asks_this_host_when_no_server_is_named(void **state)
{
    struct rig *rig = *state;
    new_resolver(rig, "");
    assert_string_equal(look_up(rig, "both.test", 4000), FOUND);
    (void)unlink(rig->hosts);
    rig->resolver = (resolver_free(rig->resolver), NULL);
    const struct resolver_sources nothing = {"/nonexistent/r", "/nonexistent/h", rig->port};
    rig->resolver = resolver_new_with(rig->loop, &nothing);
    assert_string_equal(look_up(rig, "both.test", 4000), FOUND);
    assert_string_equal(look_up(rig, "localhost", 4000), "::1 127.0.0.1");
}

static void goes_on_at_once_when_nobody_listens(void **state)
{
    struct rig *rig = *state;
    new_resolver(rig, "nameserver 127.0.0.3\nnameserver 127.0.0.1\n");
    uint64_t before = clock_monotonic_us();
    assert_string_equal(look_up(rig, "both.test", 4000), FOUND);
    assert_true(clock_monotonic_us() - before < 1000000);
}

static void keeps_quiet_after_cancel(void **state)
{
    struct rig *rig = *state;
    rig->done = 0;
    const char *names[] = {"both.test", "silent.test", "localhost", "cut.test"};
    struct lookup *lookups[4];
    for (size_t i = 0; i < 4; i++) { /* before the first turn */
        lookups[i] = resolver_lookup(rig->resolver, names[i], 4000, on_done, rig);
        lookup_cancel(lookups[i]);
    }
    for (size_t i = 0; i < 4; i++) { /* under way */
        lookups[i] = resolver_lookup(rig->resolver, names[1], 4000, on_done, rig);
    }
    deadline_arm(&rig->give_up, rig->loop, 200, on_give_up, rig);
    loop_run(rig->loop);
    for (size_t i = 0; i < 2; i++) {
        lookup_cancel(lookups[i]);
    }
    resolver_free(rig->resolver); /* the other two go with it */
    rig->resolver = NULL;
    deadline_arm(&rig->give_up, rig->loop, 200, on_give_up, rig);
    loop_run(rig->loop);
    assert_int_equal(rig->done, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(finds_what_the_table_says, set_up, tear_down),
        cmocka_unit_test_setup_teardown(asks_again_over_tcp_when_truncated, set_up, tear_down),
        cmocka_unit_test_setup_teardown(walks_the_search_domains, set_up, tear_down),
        cmocka_unit_test_setup_teardown(asks_this_host_when_no_server_is_named, set_up, tear_down),
        cmocka_unit_test_setup_teardown(goes_on_at_once_when_nobody_listens, set_up, tear_down),
        cmocka_unit_test_setup_teardown(keeps_quiet_after_cancel, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
