/* proxy/base/event_line.h
 *
 * One line of the log while it is written: time, level, role and event, then fields, as JSON or as
 * readable text. Whatever is in a field, the line is one line, well-formed, and not longer than
 * LOG_LINE_BYTES_MAX.
 *
 * Owner: the log, which makes one on its stack for each event.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#pragma once

#include <stddef.h>
#include <time.h>

#include "proxy/base/log.h"

enum { EVENT_STAMP_BYTES = 20 }; /* "2026-01-31T23:59:59." */

/* How a log's lines look, and the time stamp of the last one up to its full second. */
struct event_style {
    enum log_format format;
    bool has_colour; /* LOG_TEXT only */
    char role[32];
    time_t stamp_second;
    char stamp[EVENT_STAMP_BYTES + 1];
};

/* Fields private to event_line.c, except for reading what has been written. */
struct event_line {
    char bytes[LOG_LINE_BYTES_MAX];
    size_t len;
    bool is_json;
    bool is_cut; /* something did not fit: nothing more is added */
};

void event_line_begin(struct event_line *line, struct event_style *style, enum log_level level,
                      const char *event);
void event_line_add(struct event_line *line, const struct log_field *field);
/* Adds the line feed. */
void event_line_end(struct event_line *line);
