/* proxy/base/event_line.c · SPDX-License-Identifier: Apache-2.0 */
#include "proxy/base/event_line.h"

#include <stdio.h>
#include <string.h>

#include "proxy/base/clock.h"
#include "proxy/base/escape.h"

enum { LINE_RESERVE = 8 }; /* for the end of a cut line: `..."}\n` */

static const char *const LEVEL_NAMES[] = {"error", "warn", "info", "debug"};
static const char *const LEVEL_LABELS[] = {"ERROR", "WARN ", "INFO ", "DEBUG"};
static const char *const LEVEL_COLOURS[] = {"\033[31m", "\033[33m", "\033[32m", "\033[2m"};

/* The end of a text may stand in the reserve already: then there is no room at all. */
static size_t room_of(const struct event_line *line)
{
    size_t limit = sizeof(line->bytes) - LINE_RESERVE;
    return line->len < limit ? limit - line->len : 0;
}

static void add_bytes(struct event_line *line, const char *bytes, size_t len)
{
    if (line->is_cut || len > room_of(line)) {
        line->is_cut = true;
        return;
    }
    memcpy(line->bytes + line->len, bytes, len);
    line->len += len;
}

static void add_text(struct event_line *line, const char *text)
{
    add_bytes(line, text, strlen(text));
}

/* The ends of a line have their room reserved. */
static void close_with(struct event_line *line, const char *end)
{
    size_t len = strlen(end);
    memcpy(line->bytes + line->len, end, len);
    line->len += len;
}

static void add_quoted(struct event_line *line, slice text, bool is_json)
{
    add_bytes(line, "\"", 1);
    while (text.len > 0 && !line->is_cut) {
        char room[ESCAPE_BYTES_MAX];
        struct escape_piece piece = escape_next(text, is_json ? ESCAPE_JSON : ESCAPE_TEXT, room);
        bool fits = piece.bytes.len <= room_of(line);
        if (!fits && piece.is_plain) {
            add_bytes(line, piece.bytes.at, room_of(line));
        }
        add_bytes(line, piece.bytes.at, piece.bytes.len); /* or notes the cut */
        text = slice_from(text, piece.taken);
    }
    if (line->is_cut) {
        close_with(line, "...\"");
        return;
    }
    close_with(line, "\"");
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

static void add_value(struct event_line *line, const struct log_field *field, bool is_json)
{
    char number[24];
    switch (field->kind) {
    case LOG_FIELD_TEXT:
        if (!is_json && is_plain(field->text)) {
            size_t before = line->len;
            add_bytes(line, field->text.at, field->text.len);
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
        add_text(line, number);
        return;
    case LOG_FIELD_FLAG:
        add_text(line, field->number != 0 ? "true" : "false");
        return;
    }
}

/* `"key":` or ` key=`, with the value after it, or neither. Room for a key, a number and the quotes
 * of a text is asked for in advance, so that what is written can always be closed. */
void event_line_add(struct event_line *line, const struct log_field *field)
{
    bool is_json = line->is_json;
    size_t need = strlen(field->key) + 32;
    if (line->is_cut || need > room_of(line)) {
        line->is_cut = true;
        return;
    }
    add_text(line, is_json ? ",\"" : " ");
    add_text(line, field->key);
    add_text(line, is_json ? "\":" : "=");
    add_value(line, field, is_json);
}

/* ---- its head and end ---- */

/* Date and time up to the full second are made once a second. */
static void refresh_stamp(struct event_style *style, time_t second)
{
    if (second == style->stamp_second) {
        return;
    }
    struct tm utc;
    if (gmtime_r(&second, &utc) != NULL) {
        (void)strftime(style->stamp, sizeof(style->stamp), "%Y-%m-%dT%H:%M:%S.", &utc);
        style->stamp_second = second;
    }
}

static void add_stamp(struct event_line *line, struct event_style *style)
{
    uint64_t now_us = clock_wall_us();
    refresh_stamp(style, (time_t)(now_us / 1000000U));
    char milliseconds[8];
    (void)snprintf(milliseconds, sizeof(milliseconds), "%03uZ", (unsigned)(now_us / 1000U % 1000U));
    add_text(line, style->stamp);
    add_text(line, milliseconds);
}

static void begin_json(struct event_line *line, struct event_style *style, enum log_level level,
                       const char *event)
{
    add_text(line, "{\"time\":\"");
    add_stamp(line, style);
    add_text(line, "\",\"level\":\"");
    add_text(line, LEVEL_NAMES[level]);
    add_text(line, "\",\"role\":\"");
    add_text(line, style->role);
    add_text(line, "\",\"event\":\"");
    add_text(line, event);
    add_text(line, "\"");
}

static void begin_text(struct event_line *line, struct event_style *style, enum log_level level,
                       const char *event)
{
    bool has_colour = style->has_colour;
    add_stamp(line, style);
    add_text(line, " ");
    add_text(line, has_colour ? LEVEL_COLOURS[level] : "");
    add_text(line, LEVEL_LABELS[level]);
    add_text(line, has_colour ? "\033[0m " : " ");
    add_text(line, style->role);
    add_text(line, has_colour ? " \033[1m" : " ");
    add_text(line, event);
    add_text(line, has_colour ? "\033[0m" : "");
}

void event_line_begin(struct event_line *line, struct event_style *style, enum log_level level,
                      const char *event)
{
    line->len = 0;
    line->is_cut = false;
    line->is_json = style->format == LOG_JSON;
    (line->is_json ? begin_json : begin_text)(line, style, level, event);
}

void event_line_end(struct event_line *line)
{
    close_with(line, line->is_json ? "}\n" : "\n");
}
