/* proxy/http1/field_line.h
 *
 * Field lines (RFC 9112 §5) of heads and trailers: read from a section that http1_head_scan found,
 * and written into a block that may turn out too small.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#pragma once

#include "proxy/base/arena.h"
#include "proxy/base/fault.h"
#include "proxy/base/status.h"
#include "proxy/http/field.h"

/* The length of the line at the start of `lines`, without its CRLF. */
static inline size_t field_line_len(slice lines)
{
    return (size_t)((const char *)memchr(lines.at, '\r', lines.len) - lines.at);
}

/* Reads lines up to the empty one that ends `lines` into `fields`, which point into them; names
 * become lower case in place. At most `count_max` fields. FAULT_NONE, or the rule that was broken;
 * FAULT_LIMIT_MEMORY: the arena is full. */
MUST_CHECK enum fault_code field_lines_parse(char *lines, size_t len, size_t count_max,
                                             struct arena *arena, struct fields *fields);

/* Writes as long as there is room, and counts on after that. */
struct line_writer {
    char *out;
    size_t room;
    size_t len; /* what all of it takes */
};

static inline void line_writer_put(struct line_writer *writer, slice text)
{
    if (text.len > 0 && writer->len <= writer->room && text.len <= writer->room - writer->len) {
        memcpy(writer->out + writer->len, text.at, text.len);
    }
    writer->len += text.len;
}

/* Decimal. */
void line_writer_put_number(struct line_writer *writer, uint64_t number);

/* One line with its CRLF. The name is a literal of ours; the value has been checked. */
void line_writer_put_field(struct line_writer *writer, slice name, slice value);

/* All of them, each checked again: a name that is no token in lower case, a value with a control
 * character, or a token for which `is_refused` is set give FAULT_INTERNAL. */
MUST_CHECK enum fault_code line_writer_put_fields(struct line_writer *writer,
                                                  const struct fields *fields,
                                                  const bool is_refused[static FIELD_TOKENS]);
