/* proxy/relay/line.c · SPDX-License-Identifier: Apache-2.0 */
#include "proxy/relay/line.h"

#include "proxy/base/escape.h"

enum { NUMBER_DIGITS_MAX = 20, MARK_BYTES = 3 };

static const slice cut_mark = {"\xe2\x80\xa6", MARK_BYTES}; /* … */

void line_put_number(struct line *line, uint64_t number)
{
    char digits[NUMBER_DIGITS_MAX];
    size_t start = NUMBER_DIGITS_MAX;
    do {
        digits[--start] = (char)('0' + number % 10);
        number /= 10;
    } while (number > 0);
    line_put(line, (slice){digits + start, NUMBER_DIGITS_MAX - start});
}

static void put_text(struct line *line, slice text, size_t budget, enum escape_form form)
{
    while (text.len > 0) {
        char room[ESCAPE_BYTES_MAX];
        struct escape_piece piece = escape_next(text, form, room);
        text = slice_from(text, piece.taken);
        size_t reserve = text.len > 0 ? MARK_BYTES : 0;
        if (piece.bytes.len + reserve > budget) {
            bool may_split = piece.is_plain && budget > MARK_BYTES;
            line_put(line, slice_first(piece.bytes, may_split ? budget - MARK_BYTES : 0));
            line_put(line, cut_mark);
            return;
        }
        line_put(line, piece.bytes);
        budget -= piece.bytes.len;
    }
}

void line_put_json(struct line *line, slice text, size_t budget)
{
    put_text(line, text, budget, ESCAPE_JSON);
}

void line_put_word(struct line *line, slice text, size_t budget)
{
    put_text(line, text, budget, ESCAPE_WORD);
}
