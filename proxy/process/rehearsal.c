/* proxy/process/rehearsal.c · SPDX-License-Identifier: Apache-2.0 */
#include "proxy/process/rehearsal.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "proxy/process/handover_text.h"

enum { NOT_STARTED = 127, READS_MAX = 64, FAULT_BYTES = REHEARSAL_SAID_BYTES + 128 };

bool rehearsal_understands_us(slice answer)
{
    static const slice PREFIX = {"sallyport-handover ", sizeof("sallyport-handover ") - 1};
    if (!slice_starts_with(answer, PREFIX) || answer.at[answer.len - 1] != '\n') {
        return false;
    }
    slice rest = slice_from(slice_first(answer, answer.len - 1), PREFIX.len);
    bool is_ours = false;
    while (rest.len > 0) {
        uint64_t version = 0;
        size_t end = slice_find(rest, ' ');
        if (!slice_to_number(slice_first(rest, end), &version)) {
            return false;
        }
        is_ours = is_ours || version == HANDOVER_VERSION;
        rest = slice_from(rest, end < rest.len ? end + 1 : end);
    }
    return is_ours;
}

/* ---- the end of it ---- */

static void close_end(int *end, struct watch *watch)
{
    if (*end >= 0) {
        watch_close(watch);
        (void)close(*end);
        *end = -1;
    }
}

static void close_ends(struct rehearsal *rehearsal)
{
    deadline_disarm(&rehearsal->deadline);
    close_end(&rehearsal->answer_end, &rehearsal->answer_watch);
    close_end(&rehearsal->said_end, &rehearsal->said_watch);
}

/* With all that it has started: it leads a group of its own. */
static void kill_group(pid_t pid)
{
    (void)kill(-pid, SIGKILL);
}

void rehearsal_close(struct rehearsal *rehearsal)
{
    if (rehearsal->pid > 0) {
        kill_group(rehearsal->pid);
        (void)waitpid(rehearsal->pid, NULL, 0);
        rehearsal->pid = 0;
        close_ends(rehearsal);
    }
}

static void format_fault(const struct rehearsal *rehearsal, int status, char fault[FAULT_BYTES])
{
    slice said = slice_trim((slice){rehearsal->said, rehearsal->said_len});
    while (said.len > 0 && said.at[said.len - 1] == '\n') {
        said.len--;
    }
    const char *link = said.len == 0 ? "" : ": ";
    if (rehearsal->is_late) {
        (void)snprintf(fault, FAULT_BYTES,
                       "the new program has not answered within %" PRIu64 " ms%s%.*s",
                       rehearsal->allowed_ms, link, SLICE_FORMAT(said));
    } else if (WIFSIGNALED(status)) {
        (void)snprintf(fault, FAULT_BYTES, "the new program was ended by signal %d%s%.*s",
                       WTERMSIG(status), link, SLICE_FORMAT(said));
    } else if (WEXITSTATUS(status) != 0) {
        (void)snprintf(fault, FAULT_BYTES, "the new program refuses (exit status %d)%s%.*s",
                       WEXITSTATUS(status), link, SLICE_FORMAT(said));
    } else {
        (void)snprintf(fault, FAULT_BYTES,
                       "the new program cannot take over from this version; expected a restart");
    }
}

/* ---- what it says ---- */

/* What is more than there is room for is read and dropped: it must not wait for us. */
static void read_end(int *end, struct watch *watch, char *room, size_t size, size_t *len)
{
    for (int i = 0; i < READS_MAX && *end >= 0; i++) {
        char bytes[1024];
        ssize_t got = read(*end, bytes, sizeof(bytes));
        if (got < 0) {
            return; /* nothing there */
        }
        if (got == 0) {
            close_end(end, watch);
            return;
        }
        size_t kept = (size_t)got < size - *len ? (size_t)got : size - *len;
        memcpy(room + *len, bytes, kept);
        *len += kept;
    }
}

static void read_answer(struct rehearsal *rehearsal)
{
    read_end(&rehearsal->answer_end, &rehearsal->answer_watch, rehearsal->answer,
             sizeof(rehearsal->answer), &rehearsal->answer_len);
}

static void read_said(struct rehearsal *rehearsal)
{
    read_end(&rehearsal->said_end, &rehearsal->said_watch, rehearsal->said, sizeof(rehearsal->said),
             &rehearsal->said_len);
}

static void on_answer(void *self, unsigned events)
{
    (void)events;
    read_answer(self);
}

static void on_said(void *self, unsigned events)
{
    (void)events;
    read_said(self);
}

bool rehearsal_on_exit(struct rehearsal *rehearsal, pid_t pid, int status)
{
    if (rehearsal->pid == 0 || rehearsal->pid != pid) {
        return false;
    }
    kill_group(pid); /* what it has left behind */
    rehearsal->pid = 0;
    read_answer(rehearsal);
    read_said(rehearsal);
    close_ends(rehearsal);
    char fault[FAULT_BYTES];
    bool is_fine = !rehearsal->is_late && WIFEXITED(status) && WEXITSTATUS(status) == 0 &&
                   rehearsal_understands_us((slice){rehearsal->answer, rehearsal->answer_len});
    if (!is_fine) {
        format_fault(rehearsal, status, fault);
    }
    rehearsal->on_done(rehearsal->self, is_fine ? NULL : fault);
    return true;
}

static void on_late(void *self)
{
    struct rehearsal *rehearsal = self;
    rehearsal->is_late = true;
    kill_group(rehearsal->pid);
}

/* ---- the start ---- */

static void reset_signals(void)
{
    struct sigaction action = {.sa_handler = SIG_DFL};
    for (int number = 1; number < NSIG; number++) {
        (void)sigaction(number, &action, NULL);
    }
    sigset_t none;
    (void)sigemptyset(&none);
    (void)sigprocmask(SIG_SETMASK, &none, NULL);
}

/* Between fork and exec. Everything of ours but the standard descriptors is close-on-exec. */
static void become(const struct invocation *invocation, char **words, int answer, int said,
                   pid_t master)
{
    int null = open("/dev/null", O_RDONLY | O_CLOEXEC);
    reset_signals();
    if (dup2(null, STDIN_FILENO) < 0 || dup2(answer, STDOUT_FILENO) < 0 ||
        dup2(said, STDERR_FILENO) < 0 || setpgid(0, 0) != 0 ||
        prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0) != 0 || getppid() != master) {
        _exit(NOT_STARTED);
    }
    (void)execv(invocation->path, words);
    (void)dprintf(STDERR_FILENO, "%s cannot be started: %s\n", invocation->path, strerror(errno));
    _exit(NOT_STARTED);
}

static enum status start(struct rehearsal *rehearsal, const struct invocation *invocation,
                         int answer, int said)
{
    char **words = invocation_rehearsal(invocation);
    if (words == NULL) {
        errno = ENOMEM;
        return STATUS_NOMEM;
    }
    pid_t master = getpid();
    pid_t pid = fork();
    if (pid == 0) {
        become(invocation, words, answer, said, master);
    }
    free(words);
    if (pid < 0) {
        return STATUS_SYS;
    }
    (void)setpgid(pid, pid); /* whoever is first */
    rehearsal->pid = pid;
    return STATUS_OK;
}

static enum status open_pipe(int *end, int *other, struct watch *watch, struct loop *loop,
                             void (*on_ready)(void *self, unsigned events), void *self)
{
    int ends[2];
    if (pipe2(ends, O_CLOEXEC) != 0) {
        return STATUS_SYS;
    }
    (void)fcntl(ends[0], F_SETFL, O_NONBLOCK);
    *other = ends[1];
    enum status status = watch_open_level(watch, loop, ends[0], WATCH_READ, on_ready, self);
    if (status != STATUS_OK) {
        (void)close(ends[0]);
        return status;
    }
    *end = ends[0];
    return STATUS_OK;
}

enum status rehearsal_begin(struct rehearsal *rehearsal, struct loop *loop,
                            const struct invocation *invocation, uint64_t allowed_ms,
                            void (*on_done)(void *self, const char *fault), void *self,
                            struct process_error *error)
{
    int answer = -1;
    int said = -1;
    *rehearsal = (struct rehearsal){.loop = loop,
                                    .allowed_ms = allowed_ms,
                                    .answer_end = -1,
                                    .said_end = -1,
                                    .on_done = on_done,
                                    .self = self};
    enum status status = open_pipe(&rehearsal->answer_end, &answer, &rehearsal->answer_watch, loop,
                                   on_answer, rehearsal);
    if (status == STATUS_OK) {
        status = open_pipe(&rehearsal->said_end, &said, &rehearsal->said_watch, loop, on_said,
                           rehearsal);
    }
    if (status == STATUS_OK) {
        status = start(rehearsal, invocation, answer, said);
    }
    if (status != STATUS_OK) {
        process_error_set(error, "the new program cannot be started: %s", strerror(errno));
        close_ends(rehearsal);
    } else {
        deadline_arm(&rehearsal->deadline, loop, allowed_ms, on_late, rehearsal);
    }
    if (answer >= 0) {
        (void)close(answer);
    }
    if (said >= 0) {
        (void)close(said);
    }
    return status;
}
