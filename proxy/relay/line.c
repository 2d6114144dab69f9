/* proxy/relay/line.c · SPDX-License-Identifier: Apache-2.0 */
#include "proxy/relay/line.h"

#include <stdbool.h>

#include "proxy/base/hex.h"

enum { NUMBER_DIGITS_MAX = 20, ESCAPE_BYTES_MAX = 8, MARK_BYTES = 3 };

static const slice cut_mark = {"\xe2\x80\xa6", MARK_BYTES}; /* … */

/* One character as it stands in the text. */
struct character {
    uint32_t code;
    size_t len;
    bool is_valid; /* false: one byte that is not UTF-8 */
};

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

/* RFC 3629 §4: no overlong forms, no surrogates, nothing above U+10FFFF. */
static struct character read_character(slice text)
{
    unsigned char first = (unsigned char)text.at[0];
    struct character invalid = {first, 1, false};
    if (first < 0x80) {
        return (struct character){first, 1, true};
    }
    size_t len = first >= 0xf0 ? 4 : first >= 0xe0 ? 3 : 2;
    if (first < 0xc2 || first > 0xf4 || text.len < len) {
        return invalid;
    }
    uint32_t code = first & (0xffU >> (len + 1));
    for (size_t i = 1; i < len; i++) {
        unsigned char next = (unsigned char)text.at[i];
        if ((next & 0xc0) != 0x80) {
            return invalid;
        }
        code = code << 6 | (next & 0x3f);
    }
    bool is_overlong = (len == 3 && code < 0x800) || (len == 4 && code < 0x10000);
    if (is_overlong || (code >= 0xd800 && code <= 0xdfff) || code > 0x10ffff) {
        return invalid;
    }
    return (struct character){code, len, true};
}

/* Marks that reorder what follows, or end a line, wherever the log is shown. */
static bool is_treacherous(uint32_t code)
{
    return (code >= 0x80 && code <= 0x9f) || code == 0x61c || (code >= 0x200b && code <= 0x200f) ||
           (code >= 0x2028 && code <= 0x202e) || (code >= 0x2060 && code <= 0x206f) ||
           code == 0xfeff;
}

/* How many bytes stand as they are. */
static size_t plain_run(slice text, bool is_json)
{
    unsigned char lowest = is_json ? ' ' : '!';
    size_t len = 0;
    while (len < text.len) {
        unsigned char c = (unsigned char)text.at[len];
        if (c < lowest || c >= 0x7f || c == '"' || c == '\\') {
            break;
        }
        len++;
    }
    return len;
}

/* Returns the length of the escape; 0: the character may stand as it is. A byte that is not UTF-8
 * becomes \xNN, which in JSON needs a backslash more. */
static size_t escape(const struct character *character, bool is_json, char out[ESCAPE_BYTES_MAX])
{
    uint32_t code = character->code;
    if (!character->is_valid) {
        size_t slashes = is_json ? 2 : 1;
        memcpy(out, "\\\\", slashes);
        out[slashes] = 'x';
        hex_put_number(out + slashes + 1, code, 2);
        return slashes + 3;
    }
    if (code == '"' || code == '\\') {
        out[0] = '\\';
        out[1] = (char)code;
        return 2;
    }
    bool is_space = code == ' ';
    if ((is_space && is_json) || (code > 0x20 && code != 0x7f && !is_treacherous(code))) {
        return 0;
    }
    out[0] = '\\';
    if (!is_json && code < 0x80) {
        out[1] = 'x';
        hex_put_number(out + 2, code, 2);
        return 4;
    }
    out[1] = 'u';
    hex_put_number(out + 2, code, 4);
    return 6;
}

static void put_text(struct line *line, slice text, size_t budget, bool is_json)
{
    while (text.len > 0) {
        size_t run = plain_run(text, is_json);
        struct character character = {0, run, true};
        char escaped[ESCAPE_BYTES_MAX];
        size_t escaped_len = 0;
        if (run == 0) {
            character = read_character(text);
            escaped_len = escape(&character, is_json, escaped);
        }
        slice piece =
            escaped_len > 0 ? (slice){escaped, escaped_len} : slice_first(text, character.len);
        text = slice_from(text, character.len);
        size_t reserve = text.len > 0 ? MARK_BYTES : 0;
        if (piece.len + reserve > budget) {
            bool may_split = run > 0 && budget > MARK_BYTES;
            line_put(line, slice_first(piece, may_split ? budget - MARK_BYTES : 0));
            line_put(line, cut_mark);
            return;
        }
        line_put(line, piece);
        budget -= piece.len;
    }
}

void line_put_json(struct line *line, slice text, size_t budget)
{
    put_text(line, text, budget, true);
}

void line_put_word(struct line *line, slice text, size_t budget)
{
    put_text(line, text, budget, false);
}
