/* proxy/base/log.h
 *
 * One line an event: an event name and fields, as JSON or, on a terminal, as readable text. Lines
 * gather in memory and leave in one write at the end of a loop turn; a slow reader never blocks
 * the loop (lines are then dropped and the number of dropped ones is logged).
 *
 * A field is a number, a flag, or text. Secrets, cookies, authorization values and bodies have
 * types of their own that no log call takes.
 *
 * Owner: the process's main; everybody else borrows.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "proxy/base/slice.h"

enum log_level { LOG_ERROR, LOG_WARN, LOG_INFO, LOG_DEBUG };
enum log_format { LOG_JSON, LOG_TEXT, LOG_AUTO /* text on a terminal, else JSON */ };

enum { LOG_LINE_BYTES_MAX = 4096 };

struct log;

struct log_field {
    const char *key;
    enum { LOG_FIELD_TEXT, LOG_FIELD_NUMBER, LOG_FIELD_FLAG } kind;
    slice text;
    int64_t number;
};

/* `role` ("master", "worker 1") is in each line. The descriptor stays the caller's. What it leads
 * to is looked at here and never again: a child may not ask once it is in its sandbox. NULL: no
 * memory. */
struct log *log_new(enum log_level level, enum log_format format, int descriptor, const char *role);

/* Another one with the role and the descriptor of `log`, which it does not need any more. */
struct log *log_new_beside(const struct log *log, enum log_level level, enum log_format format);

/* Writes what has gathered, waiting at most a second for a slow reader. NULL is fine. */
void log_free(struct log *log);

/* From now on other lines are kept, in another form. */
void log_retune(struct log *log, enum log_level level, enum log_format format);

/* LOG_JSON or LOG_TEXT: what is meant where this log goes. */
enum log_format log_resolve(const struct log *log, enum log_format format);

/* Lines dropped since the start because the reader was slow or memory was out. */
uint64_t log_dropped(const struct log *log);

/* Text is escaped; invalid UTF-8 and control characters are written as escapes. A line is at most
 * LOG_LINE_BYTES_MAX long, so that lines of several processes in one pipe never mix: text that does
 * not fit is cut and ends in "...". */
void log_write(struct log *log, enum log_level level, const char *event,
               const struct log_field *fields, size_t count);

/* Takes a line that its caller has formatted and escaped, with its line feed; dropped and counted
 * like any other when the reader is slow. */
void log_line(struct log *log, slice line);

/* Writes what has gathered. Called at the end of each loop turn and before exit. */
void log_flush(struct log *log);

bool log_has(const struct log *log, enum log_level level);

/* Fields inline: LOG_EVENT(log, LOG_INFO, "listener_open", log_text("address", address)) */
#define LOG_EVENT(log, level, event, ...)                                                          \
    log_write((log), (level), (event), (const struct log_field[]){__VA_ARGS__},                    \
              sizeof((const struct log_field[]){__VA_ARGS__}) / sizeof(struct log_field))

static inline struct log_field log_slice(const char *key, slice text)
{
    return (struct log_field){.key = key, .kind = LOG_FIELD_TEXT, .text = text};
}

static inline struct log_field log_text(const char *key, const char *text)
{
    return log_slice(key, slice_of(text));
}

static inline struct log_field log_number(const char *key, int64_t number)
{
    return (struct log_field){.key = key, .kind = LOG_FIELD_NUMBER, .number = number};
}

static inline struct log_field log_flag(const char *key, bool flag)
{
    return (struct log_field){.key = key, .kind = LOG_FIELD_FLAG, .number = flag};
}
