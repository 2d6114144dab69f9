/* proxy/base/escape.h
 *
 * Text of others in lines of ours: control characters, bytes that are not UTF-8, `"` and `\`, and
 * the marks of Unicode that change the direction or the line come out as escapes, so that nothing
 * in it can end the line, forge a field, or drive or deceive whoever shows it.
 *
 * Why it exists: the log of events and the access log must agree on what is dangerous.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#pragma once

#include <stdbool.h>

#include "proxy/base/slice.h"

enum escape_form {
    ESCAPE_JSON, /* the inside of a JSON string */
    ESCAPE_TEXT, /* the inside of quotes */
    ESCAPE_WORD, /* one word: a space is escaped too, so that fields can be told apart */
};

enum { ESCAPE_BYTES_MAX = 8 };

struct escape_piece {
    slice bytes;   /* to be written; in the text itself, or in `room` */
    size_t taken;  /* bytes of the text that they stand for */
    bool is_plain; /* characters of ASCII, which can be parted anywhere */
};

/* What the text begins with: as much as can stand as it is, or else one character. The text is not
 * empty. */
struct escape_piece escape_next(slice text, enum escape_form form, char room[ESCAPE_BYTES_MAX]);
