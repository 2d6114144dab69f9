/* proxy/base/log.c
 *
 * A line, built on the stack, is appended to the backlog; a flush writes whole lines as long
 * as the descriptor takes them without blocking.
 *
 * The descriptor is often shared with processes that are not ours (a terminal, a pipe of the
 * container runtime), so it must not be made non-blocking here: O_NONBLOCK belongs to all who share
 * it. Instead poll asks first, and a pipe that is writable takes PIPE_BUF bytes without blocking.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "proxy/base/log.h"

#include <assert.h>
#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "proxy/base/event_line.h"

static_assert(LOG_LINE_BYTES_MAX <= PIPE_BUF, "a line must be one atomic write to a pipe");

enum {
    BACKLOG_BYTES_MAX = 256 * 1024,
    BACKLOG_BYTES_KEPT = 32 * 1024, /* an empty backlog larger than this is given back */
    FINAL_WAIT_MS = 1000,
};

enum sink { SINK_FILE, SINK_PIPE, SINK_SOCKET };

struct log {
    enum log_level level;
    struct event_style style;
    enum sink sink;
    bool is_terminal;
    int descriptor;
    char *backlog;
    size_t room;
    size_t start; /* backlog[start .. end) is not written yet */
    size_t end;
    uint64_t dropped;
    uint64_t dropped_told; /* how many of them a line has told of */
};

/* ---- the descriptor ---- */

static enum sink sink_of(int descriptor)
{
    struct stat facts;
    if (fstat(descriptor, &facts) != 0) {
        return SINK_PIPE;
    }
    return S_ISREG(facts.st_mode) ? SINK_FILE : S_ISSOCK(facts.st_mode) ? SINK_SOCKET : SINK_PIPE;
}

enum log_format log_resolve(const struct log *log, enum log_format format)
{
    if (format == LOG_AUTO) {
        return log->is_terminal ? LOG_TEXT : LOG_JSON;
    }
    return format;
}

void log_retune(struct log *log, enum log_level level, enum log_format format)
{
    log->level = level;
    log->style.format = log_resolve(log, format);
    log->style.has_colour = log->style.format == LOG_TEXT && log->is_terminal;
}

struct log *log_new(enum log_level level, enum log_format format, int descriptor, const char *role)
{
    struct log *log = calloc(1, sizeof(*log));
    if (log == NULL) {
        return NULL;
    }
    log->descriptor = descriptor;
    log->sink = sink_of(descriptor);
    log->is_terminal = isatty(descriptor) == 1;
    (void)snprintf(log->style.role, sizeof(log->style.role), "%s", role);
    log_retune(log, level, format);
    return log;
}

struct log *log_new_beside(const struct log *log, enum log_level level, enum log_format format)
{
    struct log *other = calloc(1, sizeof(*other));
    if (other == NULL) {
        return NULL;
    }
    other->descriptor = log->descriptor;
    other->sink = log->sink;
    other->is_terminal = log->is_terminal;
    (void)snprintf(other->style.role, sizeof(other->style.role), "%s", log->style.role);
    log_retune(other, level, format);
    return other;
}

uint64_t log_dropped(const struct log *log)
{
    return log->dropped;
}

bool log_has(const struct log *log, enum log_level level)
{
    return level <= log->level;
}

/* ---- the backlog ---- */

static bool make_room(struct log *log, size_t len)
{
    if (log->start > 0 && log->end + len > log->room) {
        memmove(log->backlog, log->backlog + log->start, log->end - log->start);
        log->end -= log->start;
        log->start = 0;
    }
    if (log->end + len <= log->room) {
        return true;
    }
    size_t room = log->room == 0 ? 2 * LOG_LINE_BYTES_MAX : 2 * log->room;
    if (room > BACKLOG_BYTES_MAX) {
        return false;
    }
    char *backlog = realloc(log->backlog, room);
    if (backlog == NULL) {
        return false;
    }
    log->backlog = backlog;
    log->room = room;
    return true;
}

static void append(struct log *log, const char *bytes, size_t len)
{
    if (!make_room(log, len)) {
        log_flush(log);
        if (!make_room(log, len)) {
            log->dropped++;
            return;
        }
    }
    memcpy(log->backlog + log->end, bytes, len);
    log->end += len;
}

static void write_line(struct log *log, enum log_level level, const char *event,
                       const struct log_field *fields, size_t count)
{
    struct event_line line;
    event_line_begin(&line, &log->style, level, event);
    for (size_t i = 0; i < count; i++) {
        event_line_add(&line, &fields[i]);
    }
    event_line_end(&line);
    append(log, line.bytes, line.len);
}

void log_write(struct log *log, enum log_level level, const char *event,
               const struct log_field *fields, size_t count)
{
    if (!log_has(log, level)) {
        return;
    }
    write_line(log, level, event, fields, count);
}

void log_line(struct log *log, slice line)
{
    if (line.len > LOG_LINE_BYTES_MAX) {
        log->dropped++; /* would mix with the lines of other processes */
        return;
    }
    append(log, line.at, line.len);
}

/* ---- flushing ---- */

/* As many whole lines as one write may carry. */
static size_t next_write_len(const struct log *log)
{
    size_t len = log->end - log->start;
    if (log->sink == SINK_FILE || len <= PIPE_BUF) {
        return len;
    }
    const char *at = log->backlog + log->start;
    const char *newline = memrchr(at, '\n', PIPE_BUF);
    return newline == NULL ? PIPE_BUF : (size_t)(newline + 1 - at);
}

static bool is_writable(const struct log *log, int wait_ms)
{
    struct pollfd entry = {.fd = log->descriptor, .events = POLLOUT};
    return poll(&entry, 1, wait_ms) == 1 && (entry.revents & POLLOUT) != 0;
}

static ssize_t write_some(const struct log *log, size_t len)
{
    const char *at = log->backlog + log->start;
    if (log->sink == SINK_SOCKET) {
        return send(log->descriptor, at, len, MSG_DONTWAIT | MSG_NOSIGNAL);
    }
    return write(log->descriptor, at, len);
}

static void release_room(struct log *log)
{
    log->start = 0;
    log->end = 0;
    if (log->room > BACKLOG_BYTES_KEPT) {
        free(log->backlog);
        log->backlog = NULL;
        log->room = 0;
    }
}

static void write_backlog(struct log *log, int wait_ms)
{
    while (log->start < log->end) {
        if (log->sink != SINK_FILE && !is_writable(log, wait_ms)) {
            return;
        }
        ssize_t written = write_some(log, next_write_len(log));
        if (written < 0 && errno == EINTR) {
            continue;
        }
        if (written <= 0) {
            return;
        }
        log->start += (size_t)written;
    }
    release_room(log);
}

void log_flush(struct log *log)
{
    write_backlog(log, 0);
    if (log->start == log->end && log->dropped != log->dropped_told) {
        struct log_field lines = log_number("lines", (int64_t)(log->dropped - log->dropped_told));
        log->dropped_told = log->dropped;
        write_line(log, LOG_WARN, "log_lines_dropped", &lines, 1);
        write_backlog(log, 0);
    }
}

void log_free(struct log *log)
{
    if (log == NULL) {
        return;
    }
    write_backlog(log, FINAL_WAIT_MS);
    free(log->backlog);
    free(log);
}
