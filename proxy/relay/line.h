/* proxy/relay/line.h
 *
 * A line of a log, written straight into memory that is known to be large enough: text from peers
 * is escaped and cut to a budget, so nothing in it can end the line, forge a field or drive a
 * terminal.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#pragma once

#include <stdint.h>

#include "proxy/base/assert.h"
#include "proxy/base/slice.h"

struct line {
    char *at;  /* where the next byte goes */
    char *end; /* of the room */
};

/* Bytes of our own, as they are. They must fit. Inline, so that a literal is a store or two. */
static inline void line_put(struct line *line, slice text)
{
    assert_always(text.len <= (size_t)(line->end - line->at));
    if (text.len > 0) {
        memcpy(line->at, text.at, text.len);
        line->at += text.len;
    }
}

void line_put_number(struct line *line, uint64_t number);

/* Text of others (see proxy/base/escape.h), at most `budget` bytes when escaped; what is cut off is
 * shown by "…". */
void line_put_json(struct line *line, slice text, size_t budget);
void line_put_word(struct line *line, slice text, size_t budget);
