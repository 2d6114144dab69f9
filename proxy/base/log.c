/* proxy/base/log.c
 *
 * A line is built on the stack, then appended to the backlog; a flush writes whole lines as long
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
#include <time.h>
#include <unistd.h>

#include "proxy/base/clock.h"

static_assert(LOG_LINE_BYTES_MAX <= PIPE_BUF, "a line must be one atomic write to a pipe");

enum {
    BACKLOG_BYTES_MAX = 256 * 1024,
    BACKLOG_BYTES_KEPT = 32 * 1024, /* an empty backlog larger than this is given back */
    LINE_RESERVE = 8,               /* for the end of a cut line: `..."}\n` */
    STAMP_BYTES = 20,               /* "2026-01-31T23:59:59." */
    FINAL_WAIT_MS = 1000,
};

enum sink { SINK_FILE, SINK_PIPE, SINK_SOCKET };

struct log {
    enum log_level level;
    enum log_format format;
    bool has_colour;
    enum sink sink;
    int descriptor;
    char role[32];
    char *backlog;
    size_t room;
    size_t start; /* backlog[start .. end) is not written yet */
    size_t end;
    uint64_t dropped;
    uint64_t dropped_told; /* how many of them a line has told of */
    time_t stamp_second;
    char stamp[STAMP_BYTES + 1];
};

struct line {
    char bytes[LOG_LINE_BYTES_MAX];
    size_t len;
    bool is_cut;
};

static const char *const LEVEL_NAMES[] = {"error", "warn", "info", "debug"};
static const char *const LEVEL_LABELS[] = {"ERROR", "WARN ", "INFO ", "DEBUG"};
static const char *const LEVEL_COLOURS[] = {"\033[31m", "\033[33m", "\033[32m", "\033[2m"};

/* ---- the descriptor ---- */

static void set_descriptor(struct log *log, int descriptor)
{
    struct stat facts;
    log->descriptor = descriptor;
    log->sink = SINK_PIPE;
    log->has_colour = log->format == LOG_TEXT && isatty(descriptor) == 1;
    if (fstat(descriptor, &facts) == 0) {
        log->sink = S_ISREG(facts.st_mode)    ? SINK_FILE
                    : S_ISSOCK(facts.st_mode) ? SINK_SOCKET
                                              : SINK_PIPE;
    }
}

struct log *log_new(enum log_level level, enum log_format format, int descriptor, const char *role)
{
    struct log *log = calloc(1, sizeof(*log));
    if (log == NULL) {
        return NULL;
    }
    log->level = level;
    log->format = format;
    (void)snprintf(log->role, sizeof(log->role), "%s", role);
    set_descriptor(log, descriptor);
    return log;
}

void log_redirect(struct log *log, int descriptor)
{
    log_flush(log);
    set_descriptor(log, descriptor);
}

uint64_t log_dropped(const struct log *log)
{
    return log->dropped;
}

bool log_has(const struct log *log, enum log_level level)
{
    return level <= log->level;
}

/* ---- building a line ---- */

static void line_add(struct line *line, const char *bytes, size_t len)
{
    if (line->is_cut || len > sizeof(line->bytes) - LINE_RESERVE - line->len) {
        line->is_cut = true;
        return;
    }
    memcpy(line->bytes + line->len, bytes, len);
    line->len += len;
}

static void line_add_text(struct line *line, const char *text)
{
    line_add(line, text, strlen(text));
}

/* The ends of a line have their room reserved. */
static void line_close(struct line *line, const char *end)
{
    size_t len = strlen(end);
    memcpy(line->bytes + line->len, end, len);
    line->len += len;
}

/* The number of bytes of the well-formed UTF-8 sequence at `at` (RFC 3629 §4), or 0. */
static size_t utf8_len(const unsigned char *at, size_t left)
{
    if (at[0] < 0x80) {
        return 1;
    }
    size_t len = at[0] >= 0xc2 && at[0] <= 0xdf   ? 2
                 : at[0] >= 0xe0 && at[0] <= 0xef ? 3
                 : at[0] >= 0xf0 && at[0] <= 0xf4 ? 4
                                                  : 0;
    if (len == 0 || len > left) {
        return 0;
    }
    unsigned char low = at[0] == 0xe0 ? 0xa0 : at[0] == 0xf0 ? 0x90 : 0x80;
    unsigned char high = at[0] == 0xed ? 0x9f : at[0] == 0xf4 ? 0x8f : 0xbf;
    if (at[1] < low || at[1] > high) {
        return 0;
    }
    for (size_t i = 2; i < len; i++) {
        if ((at[i] & 0xc0) != 0x80) {
            return 0;
        }
    }
    return len;
}

/* One character, as it is or escaped; returns how many bytes of the input it was. Bytes that are
 * not UTF-8 become U+FFFD in JSON, which has no other way to hold them, and \xNN in text. */
static size_t add_escaped(struct line *line, const unsigned char *at, size_t left, bool is_json)
{
    char escape[16];
    size_t len = utf8_len(at, left);
    if (len == 0) {
        (void)snprintf(escape, sizeof(escape), is_json ? "\\ufffd" : "\\x%02x", at[0]);
        line_add_text(line, escape);
        return 1;
    }
    if (at[0] == '"' || at[0] == '\\') {
        escape[0] = '\\';
        escape[1] = (char)at[0];
        line_add(line, escape, 2);
        return 1;
    }
    /* C1 controls (U+0080..U+009F) steer terminals as C0 controls do. */
    bool is_c1 = at[0] == 0xc2 && at[1] < 0xa0;
    if (at[0] < 0x20 || at[0] == 0x7f || is_c1) {
        (void)snprintf(escape, sizeof(escape), is_json ? "\\u%04x" : "\\x%02x",
                       is_c1 ? at[1] : at[0]);
        line_add_text(line, escape);
        return len;
    }
    line_add(line, (const char *)at, len);
    return len;
}

static void add_quoted(struct line *line, slice text, bool is_json)
{
    line_add(line, "\"", 1);
    const unsigned char *at = (const unsigned char *)text.at;
    for (size_t i = 0; i < text.len && !line->is_cut;) {
        i += add_escaped(line, at + i, text.len - i, is_json);
    }
    if (line->is_cut) {
        line_close(line, "...\"");
        return;
    }
    line_close(line, "\"");
}

/* Text without these can stand without quotes. */
static bool is_plain(slice text)
{
    for (size_t i = 0; i < text.len; i++) {
        unsigned char c = (unsigned char)text.at[i];
        if (c <= ' ' || c >= 0x7f || c == '"' || c == '\\' || c == '=') {
            return false;
        }
    }
    return text.len > 0;
}

static void add_value(struct line *line, const struct log_field *field, bool is_json)
{
    char number[24];
    switch (field->kind) {
    case LOG_FIELD_TEXT:
        if (!is_json && is_plain(field->text)) {
            size_t before = line->len;
            line_add(line, field->text.at, field->text.len);
            if (line->is_cut) { /* quoting knows how to cut */
                line->is_cut = false;
                line->len = before;
                add_quoted(line, field->text, is_json);
            }
            return;
        }
        add_quoted(line, field->text, is_json);
        return;
    case LOG_FIELD_NUMBER:
        (void)snprintf(number, sizeof(number), "%lld", (long long)field->number);
        line_add_text(line, number);
        return;
    case LOG_FIELD_FLAG:
        line_add_text(line, field->number != 0 ? "true" : "false");
        return;
    }
}

/* `"key":` or ` key=`, with the value after it, or neither. Room for a key, a number and the quotes
 * of a text is asked for in advance, so that what is written can always be closed. */
static void add_field(struct line *line, const struct log_field *field, bool is_json)
{
    size_t need = strlen(field->key) + 32;
    if (line->is_cut || need > sizeof(line->bytes) - LINE_RESERVE - line->len) {
        line->is_cut = true;
        return;
    }
    line_add_text(line, is_json ? ",\"" : " ");
    line_add_text(line, field->key);
    line_add_text(line, is_json ? "\":" : "=");
    add_value(line, field, is_json);
}

/* Date and time up to the full second are made once a second. */
static void refresh_stamp(struct log *log, time_t second)
{
    if (second == log->stamp_second) {
        return;
    }
    struct tm utc;
    if (gmtime_r(&second, &utc) != NULL) {
        (void)strftime(log->stamp, sizeof(log->stamp), "%Y-%m-%dT%H:%M:%S.", &utc);
        log->stamp_second = second;
    }
}

static void add_stamp(struct log *log, struct line *line)
{
    uint64_t now_us = clock_wall_us();
    refresh_stamp(log, (time_t)(now_us / 1000000U));
    char milliseconds[8];
    (void)snprintf(milliseconds, sizeof(milliseconds), "%03uZ", (unsigned)(now_us / 1000U % 1000U));
    line_add_text(line, log->stamp);
    line_add_text(line, milliseconds);
}

static void build_json(struct log *log, struct line *line, enum log_level level, const char *event)
{
    line_add_text(line, "{\"time\":\"");
    add_stamp(log, line);
    line_add_text(line, "\",\"level\":\"");
    line_add_text(line, LEVEL_NAMES[level]);
    line_add_text(line, "\",\"role\":\"");
    line_add_text(line, log->role);
    line_add_text(line, "\",\"event\":\"");
    line_add_text(line, event);
    line_add_text(line, "\"");
}

static void build_text(struct log *log, struct line *line, enum log_level level, const char *event)
{
    add_stamp(log, line);
    line_add_text(line, " ");
    line_add_text(line, log->has_colour ? LEVEL_COLOURS[level] : "");
    line_add_text(line, LEVEL_LABELS[level]);
    line_add_text(line, log->has_colour ? "\033[0m " : " ");
    line_add_text(line, log->role);
    line_add_text(line, log->has_colour ? " \033[1m" : " ");
    line_add_text(line, event);
    line_add_text(line, log->has_colour ? "\033[0m" : "");
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
    struct line line;
    line.len = 0;
    line.is_cut = false;
    bool is_json = log->format == LOG_JSON;
    if (is_json) {
        build_json(log, &line, level, event);
    } else {
        build_text(log, &line, level, event);
    }
    for (size_t i = 0; i < count && !line.is_cut; i++) {
        add_field(&line, &fields[i], is_json);
    }
    line_close(&line, is_json ? "}\n" : "\n");
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
