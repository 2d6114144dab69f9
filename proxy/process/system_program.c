/* proxy/process/system_program.c · SPDX-License-Identifier: Apache-2.0 */
#include "proxy/process/system_program.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/pidfd.h>
#include <sys/wait.h>
#include <unistd.h>

#include "proxy/base/clock.h"
#include "proxy/process/memory_file.h"

static const char *const FOLDERS[] = {"/usr/sbin", "/sbin", "/usr/bin", "/bin"};

bool system_program_find(const char *name, char path[SYSTEM_PROGRAM_PATH_BYTES])
{
    for (size_t i = 0; i < sizeof(FOLDERS) / sizeof(FOLDERS[0]); i++) {
        (void)snprintf(path, SYSTEM_PROGRAM_PATH_BYTES, "%s/%s", FOLDERS[i], name);
        if (access(path, X_OK) == 0) {
            return true;
        }
    }
    return false;
}

/* ---- starting ---- */

/* Its input is a memory file, so that it is never waited for while it does not read. */
static int open_input(const struct system_program_run *run)
{
    if (run->input == NULL) {
        return open("/dev/null", O_RDONLY | O_CLOEXEC);
    }
    int input = memory_file_new("program input", run->input, run->input_len);
    if (input >= 0 && lseek(input, 0, SEEK_SET) != 0) {
        (void)close(input);
        return -1;
    }
    return input;
}

/* Signals as a new program expects them, whatever we block or ignore. */
static bool set_signals(posix_spawnattr_t *attributes)
{
    sigset_t none;
    sigset_t all;
    return sigemptyset(&none) == 0 && sigfillset(&all) == 0 &&
           posix_spawnattr_setsigmask(attributes, &none) == 0 &&
           posix_spawnattr_setsigdefault(attributes, &all) == 0 &&
           posix_spawnattr_setflags(attributes, POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF) ==
               0;
}

static bool set_descriptors(posix_spawn_file_actions_t *actions, int input, int said)
{
    return posix_spawn_file_actions_adddup2(actions, input, STDIN_FILENO) == 0 &&
           posix_spawn_file_actions_addopen(actions, STDOUT_FILENO, "/dev/null", O_WRONLY, 0) ==
               0 &&
           posix_spawn_file_actions_adddup2(actions, said, STDERR_FILENO) == 0 &&
           posix_spawn_file_actions_addclosefrom_np(actions, STDERR_FILENO + 1) == 0;
}

static bool start(const struct system_program_run *run, const char *path, int input, int said,
                  pid_t *pid)
{
    static char *const NO_ENVIRONMENT[] = {NULL};
    posix_spawn_file_actions_t actions;
    posix_spawnattr_t attributes;
    if (posix_spawn_file_actions_init(&actions) != 0) {
        return false;
    }
    if (posix_spawnattr_init(&attributes) != 0) {
        (void)posix_spawn_file_actions_destroy(&actions);
        return false;
    }
    bool is_started = set_descriptors(&actions, input, said) && set_signals(&attributes) &&
                      posix_spawn(pid, path, &actions, &attributes,
                                  (char *const *)(uintptr_t)run->words, NO_ENVIRONMENT) == 0;
    (void)posix_spawnattr_destroy(&attributes);
    (void)posix_spawn_file_actions_destroy(&actions);
    return is_started;
}

/* ---- listening ---- */

struct listening {
    char *said; /* the first line, printable */
    size_t len;
    bool is_over;
};

static void keep(struct listening *listening, const char *bytes, size_t len)
{
    for (size_t i = 0; i < len && !listening->is_over; i++) {
        unsigned char byte = (unsigned char)bytes[i];
        if (byte == '\n' || listening->len + 1 == SYSTEM_PROGRAM_SAID_BYTES) {
            listening->is_over = true;
        } else {
            listening->said[listening->len++] = byte >= ' ' && byte != 0x7f ? (char)byte : '?';
        }
    }
    listening->said[listening->len] = '\0';
}

/* What is in the pipe now. False: nothing more will come. */
static bool listen_now(struct listening *listening, int from)
{
    char bytes[512];
    ssize_t len = 0;
    while ((len = read(from, bytes, sizeof(bytes))) > 0) {
        keep(listening, bytes, (size_t)len);
    }
    return len < 0 && (errno == EINTR || errno == EAGAIN);
}

/* Until the process has ended; what it said before is in the pipe then. False: it takes too long.
 */
static bool wait_for_end(struct listening *listening, int process, int from, int timeout_ms)
{
    uint64_t deadline = clock_monotonic_us() + (uint64_t)timeout_ms * 1000;
    struct pollfd watched[2] = {{.fd = process, .events = POLLIN}, {.fd = from, .events = POLLIN}};
    for (;;) {
        uint64_t now = clock_monotonic_us();
        if (now >= deadline) {
            return false;
        }
        int ready = poll(watched, 2, (int)((deadline - now) / 1000) + 1);
        if (ready < 0 && errno != EINTR) {
            return false;
        }
        if (ready > 0 && !listen_now(listening, from)) {
            watched[1].fd = -1;
        }
        if (ready > 0 && watched[0].revents != 0) {
            return true;
        }
    }
}

/* ---- all ---- */

static enum status finish(pid_t pid, bool is_in_time, struct listening *listening)
{
    if (!is_in_time) {
        (void)kill(pid, SIGKILL);
    }
    int ending = 0;
    while (waitpid(pid, &ending, 0) < 0) {
        if (errno != EINTR) {
            return STATUS_SYS;
        }
    }
    if (!is_in_time) {
        (void)snprintf(listening->said, SYSTEM_PROGRAM_SAID_BYTES,
                       "it took too long and was killed");
        return STATUS_REFUSED;
    }
    if (WIFEXITED(ending) && WEXITSTATUS(ending) == 0) {
        return STATUS_OK;
    }
    if (listening->len == 0) {
        (void)snprintf(listening->said, SYSTEM_PROGRAM_SAID_BYTES, "it ended with status %d",
                       WIFEXITED(ending) ? WEXITSTATUS(ending) : 128 + WTERMSIG(ending));
    }
    return STATUS_REFUSED;
}

static enum status run_at(const struct system_program_run *run, const char *path, int input,
                          const int pipe_ends[2], char *said)
{
    pid_t pid = 0;
    if (!start(run, path, input, pipe_ends[1], &pid)) {
        return STATUS_SYS;
    }
    struct listening listening = {.said = said};
    int process = pidfd_open(pid, 0);
    bool is_in_time =
        process >= 0 && wait_for_end(&listening, process, pipe_ends[0], run->timeout_ms);
    enum status status = finish(pid, is_in_time, &listening);
    if (process >= 0) {
        (void)close(process);
    }
    return status;
}

enum status system_program_run(const struct system_program_run *run,
                               char said[SYSTEM_PROGRAM_SAID_BYTES])
{
    char path[SYSTEM_PROGRAM_PATH_BYTES];
    said[0] = '\0';
    if (!system_program_find(run->words[0], path)) {
        (void)snprintf(said, SYSTEM_PROGRAM_SAID_BYTES, "it is not installed");
        return STATUS_REFUSED;
    }
    int pipe_ends[2] = {-1, -1};
    int input = open_input(run);
    enum status status = STATUS_SYS;
    if (input >= 0 && pipe2(pipe_ends, O_CLOEXEC | O_NONBLOCK) == 0) {
        status = run_at(run, path, input, pipe_ends, said);
        (void)close(pipe_ends[0]);
        (void)close(pipe_ends[1]);
    }
    if (input >= 0) {
        (void)close(input);
    }
    if (status == STATUS_SYS) {
        (void)snprintf(said, SYSTEM_PROGRAM_SAID_BYTES, "it could not be started");
    }
    return status;
}
