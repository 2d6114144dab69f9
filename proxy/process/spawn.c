/* proxy/process/spawn.c
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "proxy/process/spawn.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <unistd.h>

enum { SPAWN_FAILED = 127, ENVIRONMENT_MAX = 8, ABOVE_ALL = 16 };

/* The environment may hold secrets of the operator's; only what steers the sanitizers of a test
 * build passes. */
static const char *const PASSED_ON[] = {"ASAN_OPTIONS=", "UBSAN_OPTIONS=", "LSAN_OPTIONS="};

static void choose_environment(char **chosen)
{
    size_t count = 0;
    for (size_t i = 0; environ[i] != NULL; i++) {
        for (size_t j = 0; j < sizeof(PASSED_ON) / sizeof(PASSED_ON[0]); j++) {
            if (strncmp(environ[i], PASSED_ON[j], strlen(PASSED_ON[j])) == 0 &&
                count < ENVIRONMENT_MAX) {
                chosen[count++] = environ[i];
            }
        }
    }
    chosen[count] = NULL;
}

/* All signals as a new process expects them, but for those that a terminal or a service manager
 * sends to the whole group: they are the master's to act on. */
static void reset_signals(void)
{
    static const int IGNORED[] = {SIGINT, SIGTERM, SIGHUP, SIGUSR1, SIGUSR2, SIGPIPE};
    struct sigaction action = {.sa_handler = SIG_DFL};
    for (int number = 1; number < NSIG; number++) {
        (void)sigaction(number, &action, NULL);
    }
    action.sa_handler = SIG_IGN;
    for (size_t i = 0; i < sizeof(IGNORED) / sizeof(IGNORED[0]); i++) {
        (void)sigaction(IGNORED[i], &action, NULL);
    }
    sigset_t none;
    (void)sigemptyset(&none);
    (void)sigprocmask(SIG_SETMASK, &none, NULL);
}

/* Copies first go above all targets, so that no source is overwritten before its turn. */
static enum status place_descriptors(const struct spawn_order *order)
{
    int null = open("/dev/null", O_RDWR | O_CLOEXEC);
    const int sources[SPAWN_END] = {null,       null,         STDERR_FILENO, order->channel,
                                    order->log, order->slots, order->spent};
    int copies[SPAWN_END];
    for (int i = 0; i < SPAWN_END; i++) {
        copies[i] = sources[i] < 0 ? -1 : fcntl(sources[i], F_DUPFD_CLOEXEC, ABOVE_ALL);
        if (copies[i] < 0 && sources[i] >= 0) {
            return STATUS_SYS;
        }
    }
    for (int i = 0; i < SPAWN_END; i++) {
        if (copies[i] < 0) {
            (void)close(i);
        } else if (dup2(copies[i], i) < 0) {
            return STATUS_SYS;
        }
    }
    return close_range(SPAWN_END, ~0U, 0) == 0 ? STATUS_OK : STATUS_SYS;
}

static enum status limit_resources(void)
{
    /* Locked memory is what the keyholder keeps keys in; only root may raise it. */
    const struct rlimit locked = {RLIM_INFINITY, RLIM_INFINITY};
    const struct rlimit none = {0, 0};
    (void)setrlimit(RLIMIT_MEMLOCK, &locked);
    return setrlimit(RLIMIT_CORE, &none) == 0 ? STATUS_OK : STATUS_SYS;
}

/* Between fork and exec. */
static void become_child(const struct spawn_order *order, pid_t master, char **environment)
{
    char *arguments[] = {(char *)(uintptr_t)order->title, NULL};
    reset_signals();
    if (place_descriptors(order) != STATUS_OK || limit_resources() != STATUS_OK ||
        account_become(order->account) != STATUS_OK || chdir("/") != 0 ||
        prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0) != 0 || getppid() != master) {
        _exit(SPAWN_FAILED);
    }
    (void)execve("/proc/self/exe", arguments, environment);
    _exit(SPAWN_FAILED);
}

enum status spawn(const struct spawn_order *order, pid_t *pid)
{
    char *environment[ENVIRONMENT_MAX + 1];
    choose_environment(environment);
    pid_t master = getpid();
    pid_t child = fork();
    if (child < 0) {
        return STATUS_SYS;
    }
    if (child == 0) {
        become_child(order, master, environment);
    }
    *pid = child;
    return STATUS_OK;
}
