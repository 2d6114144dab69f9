/* proxy/base/escape.c · SPDX-License-Identifier: Apache-2.0 */
#include "proxy/base/escape.h"

#include <string.h>

#include "proxy/base/hex.h"

/* One character as it stands in the text. */
struct character {
    uint32_t code;
    size_t len;
    bool is_valid; /* false: one byte that is not UTF-8 */
};

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
static size_t plain_run(slice text, enum escape_form form)
{
    unsigned char lowest = form == ESCAPE_WORD ? '!' : ' ';
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
static size_t escape(const struct character *character, enum escape_form form,
                     char out[ESCAPE_BYTES_MAX])
{
    uint32_t code = character->code;
    if (!character->is_valid) {
        size_t slashes = form == ESCAPE_JSON ? 2 : 1;
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
    bool is_wide = code == ' ' && form == ESCAPE_WORD;
    if (code >= ' ' && code != 0x7f && !is_wide && !is_treacherous(code)) {
        return 0;
    }
    out[0] = '\\';
    if (form != ESCAPE_JSON && code < 0x80) {
        out[1] = 'x';
        hex_put_number(out + 2, code, 2);
        return 4;
    }
    out[1] = 'u';
    hex_put_number(out + 2, code, 4);
    return 6;
}

struct escape_piece escape_next(slice text, enum escape_form form, char room[ESCAPE_BYTES_MAX])
{
    size_t run = plain_run(text, form);
    if (run > 0) {
        return (struct escape_piece){slice_first(text, run), run, true};
    }
    struct character character = read_character(text);
    size_t len = escape(&character, form, room);
    slice bytes = len > 0 ? (slice){room, len} : slice_first(text, character.len);
    return (struct escape_piece){bytes, character.len, false};
}
