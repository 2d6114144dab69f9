/* proxy/base/event_line.c · SPDX-License-Identifier: Apache-2.0 */
#include "proxy/base/event_line.h"

#include <stdio.h>
#include <string.h>

#include "proxy/base/clock.h"

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
static size_t add_escaped(struct event_line *line, const unsigned char *at, size_t left,
                          bool is_json)
{
    char escape[16];
    size_t len = utf8_len(at, left);
    if (len == 0) {
        (void)snprintf(escape, sizeof(escape), is_json ? "\\ufffd" : "\\x%02x", at[0]);
        add_text(line, escape);
        return 1;
    }
    if (at[0] == '"' || at[0] == '\\') {
        escape[0] = '\\';
        escape[1] = (char)at[0];
        add_bytes(line, escape, 2);
        return 1;
    }
    /* C1 controls (U+0080..U+009F) steer terminals as C0 controls do. */
    bool is_c1 = at[0] == 0xc2 && at[1] < 0xa0;
    if (at[0] < 0x20 || at[0] == 0x7f || is_c1) {
        (void)snprintf(escape, sizeof(escape), is_json ? "\\u%04x" : "\\x%02x",
                       is_c1 ? at[1] : at[0]);
        add_text(line, escape);
        return len;
    }
    add_bytes(line, (const char *)at, len);
    return len;
}

static void add_quoted(struct event_line *line, slice text, bool is_json)
{
    add_bytes(line, "\"", 1);
    const unsigned char *at = (const unsigned char *)text.at;
    for (size_t i = 0; i < text.len && !line->is_cut;) {
        i += add_escaped(line, at + i, text.len - i, is_json);
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
