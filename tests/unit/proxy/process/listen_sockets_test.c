/* tests/unit/proxy/process/listen_sockets_test.c · SPDX-License-Identifier: Apache-2.0 */
#include "proxy/process/listen_sockets.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <cmocka.h>

#include "proxy/process/inherited_sockets.h"

#include "proxy/process/handover.h"

static const struct listen_sources NO_SOURCES;

static struct config_address loopback(uint16_t port)
{
    return (struct config_address){.kind = CONFIG_ADDRESS_IP4,
                                   .text = "127.0.0.1:N",
                                   .ip = {127, 0, 0, 1},
                                   .port = port,
                                   .place = {"file.yaml", 4, 7}};
}

static unsigned port_of(int descriptor)
{
    struct sockaddr_in address = {0};
    socklen_t len = sizeof(address);
    assert_int_equal(getsockname(descriptor, (struct sockaddr *)&address, &len), 0);
    return ntohs(address.sin_port);
}

static void opens_one_socket_a_worker_on_one_chosen_port(void **state)
{
    (void)state;
    struct config_address addresses[] = {loopback(0), loopback(0)};
    struct config_listener listeners[] = {
        {.name = "one", .addresses = &addresses[0], .address_count = 1},
        {.name = "two", .addresses = &addresses[1], .address_count = 1},
    };
    struct config config = {.listeners = listeners, .listener_count = 2};
    struct listen_sockets *sockets = NULL;
    struct process_error error;
    assert_int_equal(listen_sockets_open(&sockets, &config, 3, &NO_SOURCES, &error), STATUS_OK);
    assert_int_equal(listen_sockets_count(sockets), 2);
    for (size_t i = 0; i < 2; i++) {
        unsigned port = port_of(listen_sockets_of_worker(sockets, 0, 0, i));
        char text[64];
        (void)snprintf(text, sizeof(text), "127.0.0.1:%u", port);
        assert_string_equal(listen_sockets_address(sockets, i), text);
        for (size_t worker = 0; worker < 3; worker++) {
            int descriptor = listen_sockets_of_worker(sockets, worker, 0, i);
            assert_int_equal(port_of(descriptor), port);
            assert_true(fcntl(descriptor, F_GETFD) & FD_CLOEXEC);
            assert_true(fcntl(descriptor, F_GETFL) & O_NONBLOCK);
        }
    }
    assert_string_equal(listen_sockets_name(sockets, 1), "two");
    listen_sockets_close(sockets);
}

static int option_of(int descriptor, int level, int name)
{
    int value = 0;
    socklen_t len = sizeof(value);
    assert_int_equal(getsockopt(descriptor, level, name, &value, &len), 0);
    return value;
}

/* Without the first, the end of a response waits for the client's delayed acknowledgement; without
 * the others, the conn of a client whose network is gone stays for hours. A conn that came before
 * any worker did is no exception. */
static void conns_do_not_hold_back_and_notice_dead_peers(void **state)
{
    (void)state;
    struct config_address address = loopback(0);
    struct config_listener listener = {.name = "web", .addresses = &address, .address_count = 1};
    struct config config = {
        .listeners = &listener, .listener_count = 1, .timeouts = {.dead_peer_ms = 24000}};
    struct listen_sockets *sockets = NULL;
    struct process_error error;
    assert_int_equal(listen_sockets_open(&sockets, &config, 1, &NO_SOURCES, &error), STATUS_OK);
    int listening = listen_sockets_of_worker(sockets, 0, 0, 0);
    struct sockaddr_in to = {.sin_family = AF_INET,
                             .sin_addr.s_addr = htonl(INADDR_LOOPBACK),
                             .sin_port = htons((uint16_t)port_of(listening))};
    int client = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(connect(client, (struct sockaddr *)&to, sizeof(to)), 0);
    int accepted = accept4(listening, NULL, NULL, SOCK_CLOEXEC);
    assert_true(accepted >= 0);
    assert_int_equal(option_of(accepted, IPPROTO_TCP, TCP_NODELAY), 1);
    assert_int_equal(option_of(accepted, SOL_SOCKET, SO_KEEPALIVE), 1);
    assert_int_equal(option_of(accepted, IPPROTO_TCP, TCP_USER_TIMEOUT), 24000);
    assert_int_equal(option_of(accepted, IPPROTO_TCP, TCP_KEEPIDLE), 12);
    assert_int_equal(option_of(accepted, IPPROTO_TCP, TCP_KEEPINTVL), 4);
    assert_int_equal(option_of(accepted, IPPROTO_TCP, TCP_KEEPCNT), 3);
    (void)close(accepted);
    (void)close(client);
    listen_sockets_close(sockets);
}

static void does_not_share_a_port_that_somebody_listens_on(void **state)
{
    (void)state;
    struct config_address address = loopback(0);
    struct config_listener listener = {.name = "web", .addresses = &address, .address_count = 1};
    struct config config = {.listeners = &listener, .listener_count = 1};
    struct listen_sockets *first = NULL;
    struct listen_sockets *second = NULL;
    struct process_error error;
    assert_int_equal(listen_sockets_open(&first, &config, 1, &NO_SOURCES, &error), STATUS_OK);
    address.port = (uint16_t)port_of(listen_sockets_of_worker(first, 0, 0, 0));
    assert_int_equal(listen_sockets_open(&second, &config, 1, &NO_SOURCES, &error), STATUS_SYS);
    assert_string_equal(error.text, "file.yaml:4:7: listener web cannot listen on 127.0.0.1:N: the "
                                    "address is in use by another process");
    listen_sockets_close(first);
    assert_int_equal(listen_sockets_open(&second, &config, 1, &NO_SOURCES, &error), STATUS_OK);
    listen_sockets_close(second);
}

static void shares_one_unix_socket_and_removes_its_path(void **state)
{
    (void)state;
    char path[64];
    (void)snprintf(path, sizeof(path), "/tmp/sallyport-test-%d.sock", (int)getpid());
    struct config_address address = {.kind = CONFIG_ADDRESS_UNIX, .text = "unix:x", .path = path};
    struct config_listener listener = {.name = "web", .addresses = &address, .address_count = 1};
    struct config config = {.listeners = &listener, .listener_count = 1};
    struct listen_sockets *sockets = NULL;
    struct process_error error;
    assert_int_equal(listen_sockets_open(&sockets, &config, 2, &NO_SOURCES, &error), STATUS_OK);
    assert_int_equal(listen_sockets_of_worker(sockets, 0, 0, 0),
                     listen_sockets_of_worker(sockets, 1, 0, 0));
    assert_int_equal(access(path, F_OK), 0);
    listen_sockets_close(sockets);
    assert_int_equal(access(path, F_OK), -1);
}

static unsigned inode_of(int descriptor)
{
    struct stat facts;
    assert_int_equal(fstat(descriptor, &facts), 0);
    return (unsigned)facts.st_ino;
}

static void what_stays_is_shared_and_what_is_new_is_opened(void **state)
{
    (void)state;
    struct config_address before[] = {loopback(0), loopback(0)};
    struct config_listener listeners[] = {
        {.name = "one", .addresses = &before[0], .address_count = 2}};
    struct config config = {.listeners = listeners, .listener_count = 1};
    struct listen_sockets *former = NULL;
    struct listen_sockets *next = NULL;
    struct process_error error;
    before[1].ip[3] = 2;
    assert_int_equal(listen_sockets_open(&former, &config, 2, &NO_SOURCES, &error), STATUS_OK);
    struct config_address after[] = {loopback(0), loopback(0)};
    after[0].ip[3] = 3;
    listeners[0].addresses = after;
    assert_int_equal(
        listen_sockets_open(&next, &config, 2, &(struct listen_sources){.former = former}, &error),
        STATUS_OK);
    assert_true(listen_sockets_is_new(next, 0));
    assert_false(listen_sockets_is_new(next, 1));
    unsigned kept = inode_of(listen_sockets_of_worker(former, 1, 0, 0));
    assert_int_equal(inode_of(listen_sockets_of_worker(next, 1, 0, 1)), kept);
    listen_sockets_succeed(next, former);
    assert_int_equal(inode_of(listen_sockets_of_worker(next, 1, 0, 1)), kept);
    listen_sockets_close(next);
}

/* Of three workers' sockets with two workers, the first has two; with four there is one more. */
static void what_a_former_program_had_is_shared_by_any_number_of_workers(void **state)
{
    (void)state;
    struct config_address address = loopback(0);
    struct config_listener listener = {.name = "one", .addresses = &address, .address_count = 1};
    struct config config = {.listeners = &listener, .listener_count = 1};
    struct listen_sockets *first = NULL;
    struct listen_sockets *inherited = NULL;
    struct process_error error;
    struct handover handover;
    handover_init(&handover);
    assert_int_equal(listen_sockets_open(&first, &config, 3, &NO_SOURCES, &error), STATUS_OK);
    assert_int_equal(listen_sockets_bequeath(first, &handover), STATUS_OK);
    assert_int_equal(handover.socket_count, 3);
    assert_int_equal(listen_sockets_inherit(&inherited, &handover, &error), STATUS_OK);
    for (size_t workers = 1; workers <= 5; workers++) {
        struct listen_sockets *next = NULL;
        unsigned seen[6] = {0};
        size_t count = 0;
        assert_int_equal(listen_sockets_open(&next, &config, workers,
                                             &(struct listen_sources){.former = inherited}, &error),
                         STATUS_OK);
        assert_string_equal(listen_sockets_address(next, 0), listen_sockets_address(first, 0));
        for (size_t worker = 0; worker < workers; worker++) {
            for (size_t round = 0; round < listen_sockets_rounds(next, worker); round++) {
                int descriptor = listen_sockets_of_worker(next, worker, round, 0);
                assert_int_equal(port_of(descriptor), port_of(handover.sockets[0].descriptor));
                seen[count++] = inode_of(descriptor);
            }
        }
        assert_int_equal(count, workers < 3 ? 3 : workers);
        for (size_t i = 0; i < 3; i++) {
            unsigned inode = inode_of(handover.sockets[i].descriptor);
            size_t found = 0;
            for (size_t j = 0; j < count; j++) {
                found += seen[j] == inode ? 1U : 0U;
            }
            assert_int_equal(found, 1);
        }
        listen_sockets_leave(next);
    }
    listen_sockets_leave(inherited);
    handover_fini(&handover);
    listen_sockets_close(first);
}

/* It is given up, or it succeeds: the path is there as long as one of them needs it. */
static void a_path_that_both_have_stays(void **state)
{
    (void)state;
    char path[] = "/tmp/listen-sockets-XXXXXX";
    assert_true(close(mkstemp(path)) == 0 && unlink(path) == 0);
    struct config_address address = {.kind = CONFIG_ADDRESS_UNIX, .path = path, .text = path};
    struct config_listener listener = {.name = "one", .addresses = &address, .address_count = 1};
    struct config config = {.listeners = &listener, .listener_count = 1};
    struct listen_sockets *former = NULL;
    struct listen_sockets *next = NULL;
    struct process_error error;
    assert_int_equal(listen_sockets_open(&former, &config, 2, &NO_SOURCES, &error), STATUS_OK);
    assert_int_equal(
        listen_sockets_open(&next, &config, 2, &(struct listen_sources){.former = former}, &error),
        STATUS_OK);
    listen_sockets_close(next);
    assert_int_equal(access(path, F_OK), 0);
    assert_int_equal(
        listen_sockets_open(&next, &config, 2, &(struct listen_sources){.former = former}, &error),
        STATUS_OK);
    listen_sockets_succeed(next, former);
    assert_int_equal(access(path, F_OK), 0);
    listen_sockets_close(next);
    assert_int_equal(access(path, F_OK), -1);
}

/* ---- inherited ---- */

/* As a service manager makes it: before us, at a port of the kernel's choice. */
static int open_for_us(bool shares_port)
{
    const int on = shares_port ? 1 : 0;
    int descriptor = socket(AF_INET, SOCK_STREAM, 0);
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}};
    assert_int_equal(setsockopt(descriptor, SOL_SOCKET, SO_REUSEPORT, &on, sizeof(on)), 0);
    assert_int_equal(bind(descriptor, (struct sockaddr *)&at, sizeof(at)), 0);
    assert_int_equal(listen(descriptor, 16), 0);
    return descriptor;
}

/* A set with one socket, whose copy (the service manager's) is returned. */
static int inherit_one(struct inherited_sockets **inherited, struct config_address *address,
                       bool shares_port)
{
    int descriptor = open_for_us(shares_port);
    address->port = (uint16_t)port_of(descriptor);
    *inherited = inherited_sockets_new();
    assert_int_equal(inherited_sockets_add(*inherited, dup(descriptor), "one.socket", NULL),
                     STATUS_OK);
    return descriptor;
}

static void an_inherited_socket_is_shared_by_all_workers(void **state)
{
    (void)state;
    struct config_address address = loopback(0);
    struct config_listener listener = {.name = "one", .addresses = &address, .address_count = 1};
    struct config config = {.listeners = &listener, .listener_count = 1};
    struct listen_sockets *sockets = NULL;
    struct listen_sources sources = {0};
    struct process_error error;
    int theirs = inherit_one(&sources.inherited, &address, false);
    assert_int_equal(listen_sockets_open(&sockets, &config, 3, &sources, &error), STATUS_OK);
    for (size_t worker = 0; worker < 3; worker++) {
        int descriptor = listen_sockets_of_worker(sockets, worker, 0, 0);
        assert_int_equal(inode_of(descriptor), inode_of(theirs));
        assert_true(fcntl(descriptor, F_GETFD) & FD_CLOEXEC);
        assert_true(fcntl(descriptor, F_GETFL) & O_NONBLOCK);
    }
    char text[64];
    (void)snprintf(text, sizeof(text), "127.0.0.1:%u", address.port);
    assert_string_equal(listen_sockets_address(sockets, 0), text);
    listen_sockets_close(sockets);
    inherited_sockets_close(sources.inherited);
    (void)close(theirs);
}

static void others_are_opened_beside_one_that_shares_its_port(void **state)
{
    (void)state;
    struct config_address address = loopback(0);
    struct config_listener listener = {.name = "one", .addresses = &address, .address_count = 1};
    struct config config = {.listeners = &listener, .listener_count = 1};
    struct listen_sockets *sockets = NULL;
    struct listen_sources sources = {0};
    struct process_error error;
    int theirs = inherit_one(&sources.inherited, &address, true);
    assert_int_equal(listen_sockets_open(&sockets, &config, 3, &sources, &error), STATUS_OK);
    unsigned first = inode_of(listen_sockets_of_worker(sockets, 0, 0, 0));
    assert_int_equal(first, inode_of(theirs));
    for (size_t worker = 1; worker < 3; worker++) {
        int descriptor = listen_sockets_of_worker(sockets, worker, 0, 0);
        assert_int_not_equal(inode_of(descriptor), first);
        assert_int_equal(port_of(descriptor), address.port);
    }
    listen_sockets_close(sockets);
    inherited_sockets_close(sources.inherited);
    (void)close(theirs);
}

static void an_inherited_socket_stays_as_long_as_we_run(void **state)
{
    (void)state;
    struct config_address address = loopback(0);
    struct config_address other = loopback(0);
    struct config_listener listener = {.name = "one", .addresses = &address, .address_count = 1};
    struct config config = {.listeners = &listener, .listener_count = 1};
    struct listen_sockets *former = NULL;
    struct listen_sockets *next = NULL;
    struct listen_sources sources = {0};
    struct process_error error;
    int theirs = inherit_one(&sources.inherited, &address, false);
    assert_int_equal(listen_sockets_open(&former, &config, 2, &sources, &error), STATUS_OK);
    sources.former = former;
    assert_int_equal(listen_sockets_open(&next, &config, 2, &sources, &error), STATUS_OK);
    listen_sockets_succeed(next, former);
    assert_int_equal(inode_of(listen_sockets_of_worker(next, 1, 0, 0)), inode_of(theirs));
    sources.former = next;
    listener.addresses = &other;
    assert_int_equal(listen_sockets_open(&former, &config, 2, &sources, &error), STATUS_REFUSED);
    assert_non_null(strstr(error.text, "no listener is any more"));
    listen_sockets_close(next);
    inherited_sockets_close(sources.inherited);
    (void)close(theirs);
}

/* It is the service manager's, who would listen at a path that nobody finds. */
static void the_path_of_an_inherited_socket_stays(void **state)
{
    (void)state;
    char path[] = "/tmp/listen-sockets-XXXXXX";
    assert_true(close(mkstemp(path)) == 0 && unlink(path) == 0);
    struct sockaddr_un at = {.sun_family = AF_UNIX};
    memcpy(at.sun_path, path, sizeof(path));
    int descriptor = socket(AF_UNIX, SOCK_STREAM, 0);
    assert_int_equal(bind(descriptor, (struct sockaddr *)&at, sizeof(at)), 0);
    assert_int_equal(listen(descriptor, 16), 0);
    struct config_address address = {.kind = CONFIG_ADDRESS_UNIX, .path = path, .text = path};
    struct config_listener listener = {.name = "one", .addresses = &address, .address_count = 1};
    struct config config = {.listeners = &listener, .listener_count = 1};
    struct listen_sources sources = {.inherited = inherited_sockets_new()};
    struct listen_sockets *sockets = NULL;
    struct process_error error;
    assert_int_equal(inherited_sockets_add(sources.inherited, descriptor, NULL, &error), STATUS_OK);
    assert_int_equal(listen_sockets_open(&sockets, &config, 2, &sources, &error), STATUS_OK);
    assert_int_equal(inode_of(listen_sockets_of_worker(sockets, 1, 0, 0)), inode_of(descriptor));
    listen_sockets_close(sockets);
    assert_int_equal(access(path, F_OK), 0);
    assert_int_equal(unlink(path), 0);
    inherited_sockets_close(sources.inherited);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(opens_one_socket_a_worker_on_one_chosen_port),
        cmocka_unit_test(conns_do_not_hold_back_and_notice_dead_peers),
        cmocka_unit_test(does_not_share_a_port_that_somebody_listens_on),
        cmocka_unit_test(shares_one_unix_socket_and_removes_its_path),
        cmocka_unit_test(what_stays_is_shared_and_what_is_new_is_opened),
        cmocka_unit_test(what_a_former_program_had_is_shared_by_any_number_of_workers),
        cmocka_unit_test(a_path_that_both_have_stays),
        cmocka_unit_test(an_inherited_socket_is_shared_by_all_workers),
        cmocka_unit_test(others_are_opened_beside_one_that_shares_its_port),
        cmocka_unit_test(an_inherited_socket_stays_as_long_as_we_run),
        cmocka_unit_test(the_path_of_an_inherited_socket_stays),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
