/* tests/unit/proxy/process/inherited_sockets_test.c · SPDX-License-Identifier: Apache-2.0 */
#include "proxy/process/inherited_sockets.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

/* ---- sockets as others open them ---- */

static int open_socket(int family, int type, bool is_listening, bool is_ip6_only)
{
    const int on = 1;
    const int only = is_ip6_only ? 1 : 0;
    struct sockaddr_in ip4 = {.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}};
    struct sockaddr_in6 ip6 = {.sin6_family = AF_INET6};
    const struct sockaddr *at = (struct sockaddr *)&ip4;
    socklen_t len = sizeof(ip4);
    int descriptor = socket(family, type, 0);
    assert_true(descriptor >= 0);
    if (family == AF_INET6) {
        at = (struct sockaddr *)&ip6;
        len = sizeof(ip6);
        assert_int_equal(setsockopt(descriptor, IPPROTO_IPV6, IPV6_V6ONLY, &only, sizeof(only)), 0);
    }
    assert_int_equal(setsockopt(descriptor, SOL_SOCKET, SO_REUSEPORT, &on, sizeof(on)), 0);
    assert_int_equal(bind(descriptor, at, len), 0);
    assert_int_equal(is_listening ? listen(descriptor, 1) : 0, 0);
    return descriptor;
}

static int open_tcp(void)
{
    return open_socket(AF_INET, SOCK_STREAM, true, false);
}

static int open_nameless(void)
{
    struct sockaddr_un at = {.sun_family = AF_UNIX};
    int descriptor = socket(AF_UNIX, SOCK_STREAM, 0);
    assert_int_equal(bind(descriptor, (struct sockaddr *)&at, sizeof(at.sun_family)), 0);
    assert_int_equal(listen(descriptor, 1), 0);
    return descriptor;
}

static struct config_address address_of_tcp(int descriptor)
{
    struct sockaddr_in at;
    socklen_t len = sizeof(at);
    assert_int_equal(getsockname(descriptor, (struct sockaddr *)&at, &len), 0);
    return (struct config_address){
        .kind = CONFIG_ADDRESS_IP4, .ip = {127, 0, 0, 1}, .port = ntohs(at.sin_port)};
}

/* ---- the set ---- */

static void gives_each_away_once_and_by_its_exact_address(void **state)
{
    (void)state;
    struct inherited_sockets *sockets = inherited_sockets_new();
    int first = open_tcp();
    int other = open_tcp();
    struct config_address address = address_of_tcp(first);
    int second = dup(first);
    assert_int_equal(inherited_sockets_add(sockets, first, "a", NULL), STATUS_OK);
    assert_int_equal(inherited_sockets_add(sockets, other, NULL, NULL), STATUS_OK);
    assert_int_equal(inherited_sockets_add(sockets, second, "a", NULL), STATUS_OK);
    assert_true(fcntl(first, F_GETFD) & FD_CLOEXEC);
    assert_true(fcntl(first, F_GETFL) & O_NONBLOCK);
    struct config_address elsewhere = address;
    elsewhere.ip[3] = 2;
    assert_false(inherited_sockets_has(sockets, &elsewhere));
    assert_true(inherited_sockets_has(sockets, &address));
    assert_int_equal(inherited_sockets_take(sockets, &address), first);
    assert_int_equal(inherited_sockets_take(sockets, &address), second);
    assert_int_equal(inherited_sockets_take(sockets, &address), -1);
    assert_false(inherited_sockets_has(sockets, &address));
    inherited_sockets_close(sockets);
    assert_int_equal(fcntl(other, F_GETFD), -1);
    assert_int_equal(close(first), 0);
    assert_int_equal(close(second), 0);
    assert_false(inherited_sockets_has(NULL, &address));
}

static void holds_many_of_which_one_has_a_path(void **state)
{
    (void)state;
    enum { MANY = 50 };
    struct inherited_sockets *sockets = inherited_sockets_new();
    char path[] = "/tmp/inherited-sockets-XXXXXX";
    assert_true(close(mkstemp(path)) == 0 && unlink(path) == 0);
    struct sockaddr_un at = {.sun_family = AF_UNIX};
    memcpy(at.sun_path, path, sizeof(path));
    int local = socket(AF_UNIX, SOCK_STREAM, 0);
    assert_int_equal(bind(local, (struct sockaddr *)&at, sizeof(at)), 0);
    assert_int_equal(listen(local, 1), 0);
    assert_int_equal(inherited_sockets_add(sockets, local, NULL, NULL), STATUS_OK);
    for (size_t i = 0; i < MANY; i++) {
        assert_int_equal(inherited_sockets_add(sockets, open_tcp(), NULL, NULL), STATUS_OK);
    }
    struct config_address address = {.kind = CONFIG_ADDRESS_UNIX, .path = path};
    int taken = inherited_sockets_take(sockets, &address);
    assert_int_equal(taken, local);
    inherited_sockets_close(sockets);
    (void)close(taken);
    (void)unlink(path);
}

static void refuses_what_no_conn_comes_from(void **state)
{
    (void)state;
    const struct {
        int descriptor;
        const char *why;
    } rows[] = {
        {open("/dev/null", O_RDONLY), "it is not a socket"},
        {open_socket(AF_INET, SOCK_DGRAM, false, false), "it is not a stream socket"},
        {open_socket(AF_INET, SOCK_STREAM, false, false), "it does not listen (Accept=no"},
        {open_socket(AF_INET6, SOCK_STREAM, true, true), "it is for IPv6 alone"},
        {socket(AF_NETLINK, SOCK_RAW, 0), "it is neither of IP nor a unix socket"},
        {open_nameless(), "it has no path"},
        {987, "Bad file descriptor"},
    };
    struct inherited_sockets *sockets = inherited_sockets_new();
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct process_error error = {{0}};
        assert_int_equal(inherited_sockets_add(sockets, rows[i].descriptor, "x.socket", &error),
                         STATUS_REFUSED);
        assert_non_null(strstr(error.text, " of x.socket cannot be listened on: "));
        assert_non_null(strstr(error.text, rows[i].why));
        (void)close(rows[i].descriptor);
    }
    inherited_sockets_close(sockets);
}

static void takes_a_socket_for_both_families(void **state)
{
    (void)state;
    struct inherited_sockets *sockets = inherited_sockets_new();
    int descriptor = open_socket(AF_INET6, SOCK_STREAM, true, false);
    struct sockaddr_in6 at;
    socklen_t len = sizeof(at);
    assert_int_equal(getsockname(descriptor, (struct sockaddr *)&at, &len), 0);
    assert_int_equal(inherited_sockets_add(sockets, descriptor, NULL, NULL), STATUS_OK);
    struct config_address address = {.kind = CONFIG_ADDRESS_IP6, .port = ntohs(at.sin6_port)};
    assert_true(inherited_sockets_has(sockets, &address));
    inherited_sockets_close(sockets);
}

static void each_needs_a_listener_and_a_worker(void **state)
{
    (void)state;
    struct inherited_sockets *sockets = inherited_sockets_new();
    int descriptor = open_tcp();
    struct config_address address = address_of_tcp(descriptor);
    struct config_listener listener = {.name = "web", .addresses = &address, .address_count = 1};
    const struct config config = {.listeners = &listener, .listener_count = 1};
    struct process_error error = {{0}};
    assert_int_equal(inherited_sockets_check(sockets, &config, 1, &error), STATUS_OK);
    assert_int_equal(inherited_sockets_add(sockets, descriptor, "web.socket", NULL), STATUS_OK);
    assert_int_equal(inherited_sockets_check(sockets, &config, 1, &error), STATUS_OK);
    assert_int_equal(inherited_sockets_add(sockets, dup(descriptor), NULL, NULL), STATUS_OK);
    assert_int_equal(inherited_sockets_check(sockets, &config, 2, &error), STATUS_OK);
    assert_int_equal(inherited_sockets_check(sockets, &config, 1, &error), STATUS_REFUSED);
    assert_non_null(strstr(error.text, "than workers (1)"));
    address.port = (uint16_t)(address.port + 1U);
    assert_int_equal(inherited_sockets_check(sockets, &config, 2, &error), STATUS_REFUSED);
    assert_non_null(strstr(error.text, " of web.socket has no listener"));
    inherited_sockets_close(sockets);
}

/* ---- the environment ---- */

/* In a process of its own, whose descriptors from 3 on are what it says. Its exit status is what
 * inherited_sockets_open said, and the number of sockets at the address of the first. */
static int open_in_child(const char *pid, const char *count, const char *names, size_t sockets)
{
    pid_t child = fork();
    if (child == 0) {
        char own[16];
        (void)snprintf(own, sizeof(own), "%d", (int)getpid());
        int descriptor = open_tcp();
        struct config_address address = address_of_tcp(descriptor);
        int copy = fcntl(descriptor, F_DUPFD, 100);
        (void)close_range(3, 99, 0);
        for (size_t i = 0; i < sockets; i++) {
            (void)dup2(copy, 3 + (int)i);
        }
        (void)setenv("LISTEN_PID", strcmp(pid, "own") == 0 ? own : pid, 1);
        (void)setenv("LISTEN_FDS", count, 1);
        (void)setenv("LISTEN_FDNAMES", names, 1);
        struct inherited_sockets *set = NULL;
        enum status status = inherited_sockets_open(&set, NULL);
        if (getenv("LISTEN_PID") != NULL || getenv("LISTEN_FDS") != NULL ||
            getenv("LISTEN_FDNAMES") != NULL) {
            _exit(99);
        }
        if (status != STATUS_OK) {
            _exit(100 + (int)status);
        }
        int found = 0;
        while (inherited_sockets_take(set, &address) >= 0) {
            found++;
        }
        inherited_sockets_close(set);
        _exit(found);
    }
    int how = 0;
    assert_int_equal(waitpid(child, &how, 0), child);
    assert_true(WIFEXITED(how));
    return WEXITSTATUS(how);
}

static void reads_what_the_service_manager_says(void **state)
{
    (void)state;
    enum { REFUSED = 100 + STATUS_REFUSED };
    static const struct {
        const char *pid;
        const char *count;
        const char *names;
        size_t sockets;
        int expected;
    } ROWS[] = {
        {"own", "1", "web.socket", 1, 1},
        {"own", "3", "a:b:c", 3, 3},
        {"own", "3", "a::", 3, 3},
        {"own", "2", "fewer", 2, 2},
        {"own", "1", "", 1, 1},
        {"own", "0", "", 0, 0},
        {"1", "1", "of another process", 1, 0},
        {"own", "2", "one is not open", 1, REFUSED},
        {"own", "", "", 1, REFUSED},
        {"own", "-1", "", 1, REFUSED},
        {"own", "1x", "", 1, REFUSED},
        {"own", " 1", "", 1, REFUSED},
        {"own", "99999999999999999999", "", 1, REFUSED},
        {"own", "2147483647", "", 1, REFUSED},
        {"", "1", "", 1, REFUSED},
        {"self", "1", "", 1, REFUSED},
    };
    for (size_t i = 0; i < sizeof(ROWS) / sizeof(ROWS[0]); i++) {
        assert_int_equal(open_in_child(ROWS[i].pid, ROWS[i].count, ROWS[i].names, ROWS[i].sockets),
                         ROWS[i].expected);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(gives_each_away_once_and_by_its_exact_address),
        cmocka_unit_test(holds_many_of_which_one_has_a_path),
        cmocka_unit_test(refuses_what_no_conn_comes_from),
        cmocka_unit_test(takes_a_socket_for_both_families),
        cmocka_unit_test(each_needs_a_listener_and_a_worker),
        cmocka_unit_test(reads_what_the_service_manager_says),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
