/* tests/unit/proxy/process/spawn_test.c
 *
 * spawn executes this very program again: main is then the child, which looks around and says over
 * its channel what it found.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "proxy/process/spawn.h"

#include <dirent.h>
#include <fcntl.h>
#include <poll.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "proxy/process/channel.h"

#define TITLE "sallyport: looker"

/* ---- the child ---- */

static unsigned count_descriptors(void)
{
    unsigned count = 0;
    for (int i = 0; i < 1024; i++) {
        count += fcntl(i, F_GETFD) >= 0;
    }
    return count;
}

static bool ignores(int number)
{
    struct sigaction action;
    return sigaction(number, NULL, &action) == 0 && action.sa_handler == SIG_IGN;
}

static int look(void)
{
    char text[400];
    char folder[64] = "";
    sigset_t blocked;
    (void)sigprocmask(SIG_SETMASK, NULL, &blocked);
    (void)snprintf(
        text, sizeof(text),
        "descriptors %u, secret %s, folder %s, TERM %d, INT %d, CHLD %d, USR1 blocked %d",
        count_descriptors(), getenv("SECRET_OF_OURS") == NULL ? "gone" : "there",
        getcwd(folder, sizeof(folder)), ignores(SIGTERM), ignores(SIGINT), ignores(SIGCHLD),
        sigismember(&blocked, SIGUSR1));
    struct channel_message message = {.kind = CHANNEL_FAILED, .payload = slice_of(text)};
    return channel_send(SPAWN_CHANNEL, &message) == STATUS_OK ? 0 : 1;
}

/* ---- the test ---- */

static void child_begins_with_what_it_was_given_and_nothing_else(void **state)
{
    (void)state;
    static uint8_t packet[CHANNEL_PACKET_MAX];
    int master = -1;
    int child = -1;
    sigset_t blocked;
    (void)sigemptyset(&blocked);
    (void)sigaddset(&blocked, SIGUSR1);
    (void)sigprocmask(SIG_BLOCK, &blocked, NULL);
    (void)signal(SIGCHLD, SIG_DFL);
    assert_int_equal(setenv("SECRET_OF_OURS", "hush", 1), 0);
    assert_true(dup(STDIN_FILENO) >= 0); /* inheritable, on purpose */
    assert_int_equal(channel_pair(&master, &child), STATUS_OK);
    const struct account own = {.is_own = true};
    const struct spawn_order order = {.title = TITLE,
                                      .channel = child,
                                      .log = STDERR_FILENO,
                                      .slots = -1,
                                      .spent = -1,
                                      .account = &own};
    pid_t pid = -1;
    assert_int_equal(spawn(&order, &pid), STATUS_OK);
    (void)close(child);
    struct pollfd entry = {.fd = master, .events = POLLIN};
    assert_int_equal(poll(&entry, 1, 20000), 1);
    struct channel_message message;
    assert_int_equal(channel_receive(master, CHANNEL_CHILD, packet, &message), STATUS_OK);
    char text[400];
    (void)snprintf(text, sizeof(text), "%.*s", SLICE_FORMAT(message.payload));
    assert_string_equal(text, "descriptors 5, secret gone, folder /, TERM 1, INT 1, CHLD 0, "
                              "USR1 blocked 0");
    int status = 0;
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
    (void)close(master);
}

int main(int argc, char **argv)
{
    (void)argc;
    if (strcmp(argv[0], TITLE) == 0) {
        return look();
    }
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(child_begins_with_what_it_was_given_and_nothing_else),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
