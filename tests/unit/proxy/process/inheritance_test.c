/* tests/unit/proxy/process/inheritance_test.c · SPDX-License-Identifier: Apache-2.0 */
#include "proxy/process/inheritance.h"

#include <fcntl.h>
#include <netinet/in.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "proxy/process/handover_text.h"
#include "proxy/process/listen_sockets.h"
#include "proxy/process/memory_file.h"

/* Not close-on-exec, as what was handed over is. */
static int listening(void)
{
    const struct sockaddr_in address = {.sin_family = AF_INET,
                                        .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int descriptor = socket(AF_INET, SOCK_STREAM, 0);
    assert_int_equal(bind(descriptor, (const struct sockaddr *)&address, sizeof(address)), 0);
    assert_int_equal(listen(descriptor, 1), 0);
    return descriptor;
}

static void fill(struct handover *handover)
{
    handover_init(handover);
    handover->pid = getpid();
    handover->log = open("/dev/null", O_WRONLY);
}

static void add_socket(struct handover *handover, int descriptor)
{
    const struct handover_socket socket = {
        .descriptor = descriptor,
        .asked = {.kind = CONFIG_ADDRESS_IP4, .ip = {127, 0, 0, 1}},
        .bound = "127.0.0.1:1"};
    assert_int_equal(handover_add_socket(handover, &socket), STATUS_OK);
}

/* Takes what the text of this handover says. */
static enum status take(const struct handover *handover, struct handover *taken, bool is_sealed)
{
    char *text = NULL;
    size_t len = 0;
    char number[16];
    FILE *out = open_memstream(&text, &len);
    handover_write(handover, out);
    assert_int_equal(fclose(out), 0);
    int file = is_sealed ? memory_file_new("handover", text, len) : memfd_create("handover", 0);
    assert_true(is_sealed || write(file, text, len) == (ssize_t)len);
    (void)snprintf(number, sizeof(number), "%d", file);
    assert_int_equal(setenv(INHERITANCE_VARIABLE, number, 1), 0);
    struct process_error error;
    enum status status = inheritance_take(taken, &error);
    assert_null(getenv(INHERITANCE_VARIABLE));
    free(text);
    if (status != STATUS_OK) {
        assert_non_null(strstr(error.text, INHERITANCE_VARIABLE));
        (void)close(file);
    }
    return status;
}

static void what_was_left_is_taken_and_close_on_exec(void **state)
{
    (void)state;
    struct handover left;
    struct handover taken;
    fill(&left);
    add_socket(&left, listening());
    assert_int_equal(take(&left, &taken, true), STATUS_OK);
    assert_int_equal(taken.socket_count, 1);
    assert_true(fcntl(taken.sockets[0].descriptor, F_GETFD) & FD_CLOEXEC);
    assert_true(fcntl(taken.log, F_GETFD) & FD_CLOEXEC);
    struct listen_sockets *sockets = NULL;
    assert_int_equal(listen_sockets_inherit(&sockets, &taken, NULL), STATUS_OK);
    assert_int_equal(listen_sockets_count(sockets), 1);
    assert_string_equal(listen_sockets_address(sockets, 0), "127.0.0.1:1");
    listen_sockets_close(sockets);
    inheritance_close(&taken);
    assert_int_equal(fcntl(left.log, F_GETFD), -1);
    handover_fini(&left);
}

static void nothing_is_there_without_the_variable(void **state)
{
    (void)state;
    struct handover taken;
    (void)unsetenv(INHERITANCE_VARIABLE);
    assert_int_equal(inheritance_take(&taken, NULL), STATUS_END);
}

static void refuse(void (*spoil)(struct handover *handover), bool is_sealed)
{
    struct handover left;
    struct handover taken;
    fill(&left);
    int descriptor = listening();
    add_socket(&left, descriptor);
    if (spoil != NULL) {
        spoil(&left);
    }
    assert_int_equal(take(&left, &taken, is_sealed), STATUS_REFUSED);
    (void)close(descriptor);
    (void)close(left.log);
    handover_fini(&left);
}

static void name_another_process(struct handover *handover)
{
    handover->pid++;
}

static void name_a_child_of_another(struct handover *handover)
{
    const struct handover_child child = {.channel = -1, .pid = 1, .role = "worker 1"};
    assert_int_equal(handover_add_child(handover, &child), STATUS_OK);
}

static void name_a_file_as_a_socket(struct handover *handover)
{
    handover->sockets[0].descriptor = handover->log;
}

static void name_one_twice(struct handover *handover)
{
    add_socket(handover, handover->sockets[0].descriptor);
}

static void name_one_that_is_closed(struct handover *handover)
{
    handover->sockets[0].descriptor = 1000;
}

static void name_a_socket_as_the_secret(struct handover *handover)
{
    handover->tickets = listening();
}

static void name_a_socket_as_the_spent_list(struct handover *handover)
{
    handover->spent = listening();
}

static void name_another_family(struct handover *handover)
{
    handover->sockets[0].asked.kind = CONFIG_ADDRESS_UNIX;
    (void)snprintf(handover->sockets[0].bound, sizeof(handover->sockets[0].bound), "unix:/x");
}

static void what_nobody_has_left_is_refused(void **state)
{
    (void)state;
    refuse(NULL, false);
    refuse(name_another_process, true);
    refuse(name_a_child_of_another, true);
    refuse(name_a_file_as_a_socket, true);
    refuse(name_one_twice, true);
    refuse(name_one_that_is_closed, true);
    refuse(name_a_socket_as_the_secret, true);
    refuse(name_a_socket_as_the_spent_list, true);
    refuse(name_another_family, true);
}

static void a_program_that_cannot_be_executed_changes_nothing(void **state)
{
    (void)state;
    static char word_0[] = "sallyport";
    static char word_1[] = "run";
    char *words[] = {word_0, word_1, NULL};
    const struct invocation invocation = {.path = "/nowhere/sallyport", .words = words};
    struct handover left;
    struct process_error error;
    fill(&left);
    add_socket(&left, listening());
    assert_int_equal(inheritance_leave(&left, &invocation, &error), STATUS_SYS);
    assert_non_null(strstr(error.text, "/nowhere/sallyport"));
    assert_true(fcntl(left.log, F_GETFD) & FD_CLOEXEC);
    assert_true(fcntl(left.sockets[0].descriptor, F_GETFD) & FD_CLOEXEC);
    assert_null(getenv(INHERITANCE_VARIABLE));
    inheritance_close(&left);
}

/* Rather than a program that cannot read what it was left. */
static void a_name_that_no_line_can_have_is_not_handed_over(void **state)
{
    (void)state;
    static char word_0[] = "true";
    static char word_1[] = "run";
    char *words[] = {word_0, word_1, NULL};
    const struct invocation invocation = {.path = "/bin/true", .words = words};
    struct handover left;
    struct process_error error;
    fill(&left);
    left.admin = listening();
    (void)snprintf(left.admin_path, sizeof(left.admin_path), "/run/two\nlines");
    assert_int_equal(inheritance_leave(&left, &invocation, &error), STATUS_SYS);
    inheritance_close(&left);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_was_left_is_taken_and_close_on_exec),
        cmocka_unit_test(nothing_is_there_without_the_variable),
        cmocka_unit_test(what_nobody_has_left_is_refused),
        cmocka_unit_test(a_program_that_cannot_be_executed_changes_nothing),
        cmocka_unit_test(a_name_that_no_line_can_have_is_not_handed_over),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
