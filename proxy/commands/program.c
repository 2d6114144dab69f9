/* proxy/commands/program.c · SPDX-License-Identifier: Apache-2.0 */
#include "proxy/commands/program.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdbool.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "proxy/base/clock.h"

enum { SIGNALLED = 128, END_POLL_US = 5000 };

/* Ends of two pipes: to the program's standard input, and from its standard output. */
struct pipes {
    int in_read;
    int in_write;
    int out_read;
    int out_write;
};

static void close_end(int *end)
{
    if (*end >= 0) {
        (void)close(*end);
        *end = -1;
    }
}

static void close_pipes(struct pipes *pipes)
{
    close_end(&pipes->in_read);
    close_end(&pipes->in_write);
    close_end(&pipes->out_read);
    close_end(&pipes->out_write);
}

static bool open_pipes(struct pipes *pipes)
{
    int in[2] = {-1, -1};
    int out[2] = {-1, -1};
    bool is_open = pipe2(in, O_CLOEXEC) == 0 && pipe2(out, O_CLOEXEC) == 0;
    *pipes = (struct pipes){in[0], in[1], out[0], out[1]};
    if (!is_open) {
        close_pipes(pipes);
    }
    return is_open;
}

/* 0, or an errno. */
static int start(char *const *argv, const struct pipes *pipes, pid_t *pid)
{
    posix_spawn_file_actions_t actions;
    posix_spawnattr_t attributes;
    sigset_t restored;
    int problem = posix_spawn_file_actions_init(&actions);
    if (problem != 0) {
        return problem;
    }
    problem = posix_spawnattr_init(&attributes);
    if (problem == 0) {
        (void)sigemptyset(&restored);
        (void)sigaddset(&restored, SIGPIPE);
        (void)posix_spawnattr_setsigdefault(&attributes, &restored);
        (void)posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGDEF);
        problem = posix_spawn_file_actions_adddup2(&actions, pipes->in_read, STDIN_FILENO);
    }
    if (problem == 0) {
        problem = posix_spawn_file_actions_adddup2(&actions, pipes->out_write, STDOUT_FILENO);
    }
    if (problem == 0) {
        problem = posix_spawnp(pid, argv[0], &actions, &attributes, argv, environ);
    }
    (void)posix_spawnattr_destroy(&attributes);
    (void)posix_spawn_file_actions_destroy(&actions);
    return problem;
}

static long left_ms(uint64_t until_us)
{
    uint64_t now = clock_monotonic_us();
    return now >= until_us ? 0 : (long)((until_us - now) / 1000U) + 1;
}

/* Until its end, or the time's. False: the time's. */
static bool read_output(int end, uint64_t until_us, struct program_result *result)
{
    size_t len = 0;
    for (;;) {
        struct pollfd entry = {.fd = end, .events = POLLIN};
        int ready = poll(&entry, 1, (int)left_ms(until_us));
        if (ready < 0 && errno == EINTR) {
            continue;
        }
        if (ready != 1) {
            return false;
        }
        char dropped[1024];
        bool has_room = len < PROGRAM_OUTPUT_BYTES_MAX;
        ssize_t got = has_room ? read(end, result->output + len, PROGRAM_OUTPUT_BYTES_MAX - len)
                               : read(end, dropped, sizeof(dropped));
        if (got <= 0) {
            return true;
        }
        if (has_room) {
            len += (size_t)got;
            result->output[len] = '\0';
        }
    }
}

static bool wait_for_end(pid_t pid, uint64_t until_us, struct program_result *result)
{
    int how = 0;
    for (;;) {
        pid_t ended = waitpid(pid, &how, WNOHANG);
        if (ended == pid) {
            result->exit_status =
                WIFEXITED(how) ? WEXITSTATUS(how) : SIGNALLED + (WTERMSIG(how) & 0x7f);
            return true;
        }
        if (left_ms(until_us) == 0) {
            return false;
        }
        (void)usleep(END_POLL_US);
    }
}

enum status program_run(char *const *argv, struct bytes input, long timeout_ms,
                        struct program_result *result)
{
    struct pipes pipes;
    pid_t pid = -1;
    uint64_t until_us = clock_monotonic_us() + (uint64_t)timeout_ms * 1000U;
    result->exit_status = -1;
    result->output[0] = '\0';
    if (input.len > PROGRAM_INPUT_BYTES_MAX || !open_pipes(&pipes)) {
        return STATUS_SYS;
    }
    int problem = start(argv, &pipes, &pid);
    close_end(&pipes.in_read);
    close_end(&pipes.out_write);
    if (problem != 0) {
        close_pipes(&pipes);
        errno = problem;
        return STATUS_SYS;
    }
    /* The pipe takes it at once. A program that does not want it must not end us. */
    void (*before)(int) = signal(SIGPIPE, SIG_IGN);
    (void)!write(pipes.in_write, input.at, input.len);
    (void)signal(SIGPIPE, before);
    close_end(&pipes.in_write);
    bool has_ended =
        read_output(pipes.out_read, until_us, result) && wait_for_end(pid, until_us, result);
    close_pipes(&pipes);
    if (!has_ended) {
        (void)kill(pid, SIGKILL);
        (void)waitpid(pid, NULL, 0);
        return STATUS_BROKEN;
    }
    return STATUS_OK;
}
