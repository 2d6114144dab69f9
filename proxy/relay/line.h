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

/* Text of others, at most `budget` bytes when escaped; what is cut off is shown by "…".
 * Control characters, bytes that are not UTF-8, `"` and `\`, and the marks of Unicode that change
 * the direction or the line come out as escapes.
 *   json  as the inside of a JSON string
 *   word  as one word: a space is escaped too, so that fields can be told apart */
void line_put_json(struct line *line, slice text, size_t budget);
void line_put_word(struct line *line, slice text, size_t budget);
