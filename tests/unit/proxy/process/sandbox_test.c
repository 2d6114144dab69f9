/* tests/unit/proxy/process/sandbox_test.c
 *
 * The sandbox is entered by processes of their own, which then try something.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "proxy/process/sandbox.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "proxy/process/landlock.h"

enum { PASSED = 40, REFUSED = 41, BROKEN = 42, NET_SINCE = 4 };

/* Each returns PASSED, or REFUSED when the system said no. */

static int outcome(bool is_passed)
{
    return is_passed ? PASSED : REFUSED;
}

static int make_socket(int family, int type, int protocol)
{
    return outcome(socket(family, type | SOCK_CLOEXEC, protocol) >= 0);
}

static int make_tcp_socket(void)
{
    return make_socket(AF_INET, SOCK_STREAM, 0);
}

static int make_udp_socket(void)
{
    return make_socket(AF_INET6, SOCK_DGRAM, 0);
}

static int make_unix_socket(void)
{
    return make_socket(AF_UNIX, SOCK_STREAM, 0);
}

static int make_netlink_socket(void)
{
    return make_socket(AF_NETLINK, SOCK_RAW, 0);
}

static int make_multipath_socket(void)
{
    return make_socket(AF_INET, SOCK_STREAM, 262 /* IPPROTO_MPTCP, which Landlock overlooks */);
}

static int execute(void)
{
    char *arguments[] = {(char[]){"/bin/true"}, NULL};
    return outcome(execv(arguments[0], arguments) == 0);
}

static int make_a_child(void)
{
    pid_t child = vfork();
    if (child == 0) {
        _exit(0);
    }
    return outcome(child > 0);
}

static int kill_the_parent(void)
{
    return outcome(kill(getppid(), 0) == 0);
}

static int write_code(void)
{
    return outcome(mmap(NULL, 4096, PROT_READ | PROT_WRITE | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS,
                        -1, 0) != MAP_FAILED);
}

static int abort_itself(void)
{
    abort();
}

static int listen_on(void)
{
    return outcome(listen(0, 1) == 0);
}

static int allocate(void)
{
    for (size_t size = 16; size < (size_t)64 << 20; size *= 4) {
        void *at = malloc(size);
        if (at == NULL) {
            return REFUSED;
        }
        memset(at, 1, size);
        free(at);
    }
    return PASSED;
}

static int set_no_delay(void)
{
    int on = 1;
    int descriptor = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    return outcome(setsockopt(descriptor, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on)) == 0);
}

static int set_protocol_module(void)
{
    int descriptor = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    return outcome(setsockopt(descriptor, IPPROTO_TCP, TCP_ULP, "tls", 3) == 0);
}

static int connect_while_sending(void)
{
    int descriptor = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    const struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(9)};
    return outcome(sendto(descriptor, "x", 1, MSG_FASTOPEN | MSG_NOSIGNAL,
                          (const struct sockaddr *)&address, sizeof(address)) == 1);
}

/* Refused by Landlock is one thing; that nobody listens there is another. */
static int connect_to(uint16_t port)
{
    int descriptor = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    const struct sockaddr_in address = {
        .sin_family = AF_INET, .sin_port = htons(port), .sin_addr = {htonl(INADDR_LOOPBACK)}};
    int status = connect(descriptor, (const struct sockaddr *)&address, sizeof(address));
    return outcome(status == 0 || errno != EACCES);
}

static int connect_to_planned(void)
{
    return connect_to(1234);
}

static int connect_to_another(void)
{
    return connect_to(1235);
}

static int bind_to(uint16_t port)
{
    int descriptor = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    const struct sockaddr_in address = {
        .sin_family = AF_INET, .sin_port = htons(port), .sin_addr = {htonl(INADDR_LOOPBACK)}};
    int status = bind(descriptor, (const struct sockaddr *)&address, sizeof(address));
    return outcome(status == 0 || errno != EACCES);
}

static int bind_to_any(void)
{
    return bind_to(0);
}

static int bind_to_one(void)
{
    return bind_to(40123);
}

/* PASSED, REFUSED, BROKEN, or the signal that ended it. */
static int try_in(const struct sandbox_plan *plan, int (*what)(void))
{
    pid_t child = fork();
    if (child == 0) {
        if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0 || !sandbox_enter(plan).has_seccomp) {
            _exit(BROKEN);
        }
        _exit(what());
    }
    int status = 0;
    assert_int_equal(waitpid(child, &status, 0), child);
    return WIFSIGNALED(status) ? WTERMSIG(status) : WEXITSTATUS(status);
}

static int try_without(int (*what)(void))
{
    pid_t child = fork();
    if (child == 0) {
        _exit(what());
    }
    int status = 0;
    assert_int_equal(waitpid(child, &status, 0), child);
    return WEXITSTATUS(status);
}

static struct sandbox_plan plan_of(enum sandbox_role role)
{
    struct sandbox_plan plan = {.role = role};
    port_set_add(&plan.ports, 1234);
    return plan;
}

static void what_the_work_needs_passes(void **state)
{
    (void)state;
    struct sandbox_plan keyholder = plan_of(SANDBOX_KEYHOLDER);
    struct sandbox_plan worker = plan_of(SANDBOX_WORKER);
    struct sandbox_plan gossip = plan_of(SANDBOX_GOSSIP);
    assert_int_equal(try_in(&keyholder, allocate), PASSED);
    assert_int_equal(try_in(&worker, allocate), PASSED);
    assert_int_equal(try_in(&worker, make_tcp_socket), PASSED);
    assert_int_equal(try_in(&worker, set_no_delay), PASSED);
    assert_int_equal(try_in(&worker, connect_to_planned), PASSED);
    assert_int_equal(try_in(&gossip, make_udp_socket), PASSED);
    assert_int_equal(try_in(&gossip, connect_to_planned), PASSED);
    assert_int_equal(try_in(&gossip, bind_to_any), PASSED);
}

static void a_forbidden_call_is_the_end(void **state)
{
    (void)state;
    static int (*const TRIES[])(void) = {
        make_netlink_socket, make_multipath_socket, execute,   make_a_child,
        kill_the_parent,     set_protocol_module,   listen_on, connect_while_sending,
    };
    struct sandbox_plan worker = plan_of(SANDBOX_WORKER);
    struct sandbox_plan gossip = plan_of(SANDBOX_GOSSIP);
    for (size_t i = 0; i < sizeof(TRIES) / sizeof(TRIES[0]); i++) {
        assert_int_equal(try_in(&worker, TRIES[i]), SIGSYS);
        assert_int_equal(try_in(&gossip, TRIES[i]), SIGSYS);
        assert_int_not_equal(try_without(TRIES[i]), SIGSYS);
    }
    struct sandbox_plan keyholder = plan_of(SANDBOX_KEYHOLDER);
    assert_int_equal(try_in(&keyholder, make_tcp_socket), SIGSYS);
    assert_int_equal(try_in(&keyholder, make_unix_socket), SIGSYS);
    assert_int_equal(try_in(&keyholder, execute), SIGSYS);
    assert_int_equal(try_in(&worker, bind_to_any), SIGSYS);
}

/* Or a fault of ours would be taken for an attack. */
static void an_abort_stays_an_abort(void **state)
{
    (void)state;
    struct sandbox_plan worker = plan_of(SANDBOX_WORKER);
    struct sandbox_plan keyholder = plan_of(SANDBOX_KEYHOLDER);
    assert_int_equal(try_in(&worker, abort_itself), SIGABRT);
    assert_int_equal(try_in(&keyholder, abort_itself), SIGABRT);
}

/* Sanitizers map what they like. */
static void no_memory_becomes_code(void **state)
{
    (void)state;
    struct sandbox_plan worker = plan_of(SANDBOX_WORKER);
    assert_int_equal(try_without(write_code), PASSED);
    if (try_in(&worker, write_code) == PASSED) {
        assert_int_equal(SALLYPORT_POOL_KEPT_BYTES, 0); /* only in a build with sanitizers */
        return;
    }
    assert_int_equal(try_in(&worker, write_code), SIGSYS);
}

extern int __lsan_do_recoverable_leak_check(void) __attribute__((weak));

static int find_a_leak(void)
{
    void *volatile lost = NULL;
    for (int i = 0; i < 64; i++) {
        lost = malloc(100);
    }
    return outcome(lost != NULL && __lsan_do_recoverable_leak_check() == 1);
}

/* A sandbox that hid what sanitizers find would make all tests pass. */
static void leaks_are_found_inside(void **state)
{
    (void)state;
    if (__lsan_do_recoverable_leak_check == NULL) {
        skip(); /* a build without a leak checker */
    }
    struct sandbox_plan worker = plan_of(SANDBOX_WORKER);
    struct sandbox_plan keyholder = plan_of(SANDBOX_KEYHOLDER);
    int terminal = dup(STDERR_FILENO); /* the reports are as expected */
    int null = open("/dev/null", O_WRONLY | O_CLOEXEC);
    assert_int_equal(dup2(null, STDERR_FILENO), STDERR_FILENO);
    int by_worker = try_in(&worker, find_a_leak);
    int by_keyholder = try_in(&keyholder, find_a_leak);
    assert_int_equal(dup2(terminal, STDERR_FILENO), STDERR_FILENO);
    (void)close(terminal);
    (void)close(null);
    assert_int_equal(by_worker, PASSED);
    assert_int_equal(by_keyholder, PASSED);
}

static void names_and_unix_servers_open_what_they_need(void **state)
{
    (void)state;
    struct sandbox_plan plan = plan_of(SANDBOX_WORKER);
    assert_int_equal(try_in(&plan, make_udp_socket), SIGSYS);
    assert_int_equal(try_in(&plan, make_unix_socket), SIGSYS);
    plan.asks_names = true;
    plan.has_unix_server = true;
    assert_int_equal(try_in(&plan, make_udp_socket), PASSED);
    assert_int_equal(try_in(&plan, make_unix_socket), PASSED);
}

static void ports_that_are_not_planned_are_refused(void **state)
{
    (void)state;
    if (landlock_version() < NET_SINCE) {
        skip(); /* this kernel cannot */
    }
    struct sandbox_plan worker = plan_of(SANDBOX_WORKER);
    struct sandbox_plan gossip = plan_of(SANDBOX_GOSSIP);
    assert_int_equal(try_without(connect_to_another), PASSED);
    assert_int_equal(try_in(&worker, connect_to_another), REFUSED);
    assert_int_equal(try_in(&gossip, connect_to_another), REFUSED);
    assert_int_equal(try_in(&gossip, bind_to_one), REFUSED);
}

static void what_is_in_force_survives_the_channel(void **state)
{
    (void)state;
    for (unsigned version = 0; version < 20; version++) {
        struct sandbox_facts facts = {.has_seccomp = version % 2 == 0, .landlock = version};
        struct sandbox_facts told = sandbox_from_number(sandbox_to_number(facts));
        assert_int_equal(told.has_seccomp, facts.has_seccomp);
        assert_int_equal(told.landlock, facts.landlock);
    }
}

static void any_number_can_be_described(void **state)
{
    (void)state;
    char text[SANDBOX_TEXT_BYTES];
    sandbox_describe(sandbox_from_number(UINT32_MAX), text);
    assert_string_equal(text, "seccomp, landlock 255");
    sandbox_describe(sandbox_from_number(0), text);
    assert_string_equal(text, "none");
    sandbox_describe((struct sandbox_facts){.landlock = 4}, text);
    assert_string_equal(text, "landlock 4");
    sandbox_describe((struct sandbox_facts){.has_seccomp = true}, text);
    assert_string_equal(text, "seccomp");
}

static void what_is_missing_is_told(void **state)
{
    (void)state;
    assert_null(sandbox_missing((struct sandbox_facts){.has_seccomp = true, .landlock = 1}));
    assert_string_equal(sandbox_missing((struct sandbox_facts){.has_seccomp = true}), "landlock");
    assert_string_equal(sandbox_missing((struct sandbox_facts){.landlock = 1}), "seccomp");
    assert_string_equal(sandbox_missing((struct sandbox_facts){.landlock = 0}),
                        "seccomp, landlock");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_the_work_needs_passes),
        cmocka_unit_test(a_forbidden_call_is_the_end),
        cmocka_unit_test(an_abort_stays_an_abort),
        cmocka_unit_test(no_memory_becomes_code),
        cmocka_unit_test(leaks_are_found_inside),
        cmocka_unit_test(names_and_unix_servers_open_what_they_need),
        cmocka_unit_test(ports_that_are_not_planned_are_refused),
        cmocka_unit_test(what_is_in_force_survives_the_channel),
        cmocka_unit_test(any_number_can_be_described),
        cmocka_unit_test(what_is_missing_is_told),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
