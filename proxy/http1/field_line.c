/* proxy/http1/field_line.c · SPDX-License-Identifier: Apache-2.0 */
#include "proxy/http1/field_line.h"

/* What stands where a name should go on: the cold path. */
static enum fault_code fault_of_name(const char *at, const char *end, size_t name_len)
{
    if (name_len == 0) {
        return *at == ' ' || *at == '\t' ? FAULT_H1_OBS_FOLD : FAULT_H1_FIELD_NAME;
    }
    slice rest = slice_trim((slice){at + name_len, (size_t)(end - at) - name_len});
    return rest.len > 0 && rest.at[0] == ':' ? FAULT_H1_SPACE_BEFORE_COLON : FAULT_H1_FIELD_NAME;
}

static size_t lower_name(char *at)
{
    size_t len = 0;
    for (;; len++) {
        unsigned char lower = field_name_bytes[(unsigned char)at[len]];
        if (lower == 0) {
            return len; /* at the latest at the CR of the line */
        }
        at[len] = (char)lower;
    }
}

enum fault_code field_lines_parse(char *lines, size_t len, size_t count_max, struct arena *arena,
                                  struct fields *fields)
{
    char *at = lines;
    const char *end = lines + len;
    while (*at != '\r') {
        size_t name_len = lower_name(at);
        const char *value = at + name_len + 1;
        const char *line_end = memchr(at + name_len, '\r', (size_t)(end - at) - name_len);
        if (name_len == 0 || at[name_len] != ':') {
            return fault_of_name(at, line_end, name_len);
        }
        if (fields->count == count_max) {
            return FAULT_LIMIT_HEADER_COUNT;
        }
        slice trimmed = slice_trim((slice){value, (size_t)(line_end - value)});
        if (fields_add_named(fields, arena, (slice){at, name_len}, trimmed) != STATUS_OK) {
            return FAULT_LIMIT_MEMORY;
        }
        at = lines + (line_end - lines) + 2;
    }
    return FAULT_NONE;
}

void line_writer_put_number(struct line_writer *writer, uint64_t number)
{
    enum { DIGITS_MAX = 20 };
    char digits[DIGITS_MAX];
    size_t at = sizeof(digits);
    do {
        digits[--at] = (char)('0' + number % 10);
        number /= 10;
    } while (number > 0);
    line_writer_put(writer, (slice){digits + at, sizeof(digits) - at});
}

void line_writer_put_field(struct line_writer *writer, slice name, slice value)
{
    size_t len = name.len + 2 + value.len + 2;
    if (writer->len <= writer->room && len <= writer->room - writer->len) {
        char *out = writer->out + writer->len;
        memcpy(out, name.at, name.len);
        memcpy(out + name.len, ": ", 2);
        if (value.len > 0) {
            memcpy(out + name.len + 2, value.at, value.len);
        }
        memcpy(out + len - 2, "\r\n", 2);
    }
    writer->len += len;
}

static bool is_lower_name(slice name)
{
    for (size_t i = 0; i < name.len; i++) {
        unsigned char byte = (unsigned char)name.at[i];
        if (byte == 0 || field_name_bytes[byte] != byte) {
            return false;
        }
    }
    return name.len > 0;
}

enum fault_code line_writer_put_fields(struct line_writer *writer, const struct fields *fields,
                                       const bool is_refused[static FIELD_TOKENS])
{
    for (size_t i = 0; i < fields->count; i++) {
        const struct field *field = &fields->at[i];
        bool has_token = field->token != FIELD_OTHER;
        /* the name of a token is ours and needs no look */
        slice name = has_token ? field_name_of(field->token) : field->name;
        if (is_refused[field->token] || !(has_token || is_lower_name(name)) ||
            !field_value_is_valid(field->value)) {
            return FAULT_INTERNAL;
        }
        line_writer_put_field(writer, name, field->value);
    }
    return FAULT_NONE;
}
