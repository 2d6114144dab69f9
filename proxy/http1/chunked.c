/* proxy/http1/chunked.c
 *
 *   SIZE ─hex─► SIZE ─CR─► SIZE_LF ─LF─► CONTENT ─left 0─► CONTENT_CR ► CONTENT_LF ─► SIZE
 *    └─;─► EXTENSION states ─CR─┘└─LF, size 0─► TRAILERS ─empty line─► DONE
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "proxy/http1/chunked.h"

#include "proxy/base/hex.h"
#include "proxy/http/framing.h"
#include "proxy/http1/field_line.h"

enum state {
    STATE_SIZE,
    STATE_SIZE_LF,
    STATE_NAME,        /* extension: its name, */
    STATE_VALUE,       /* a token, */
    STATE_VALUE_START, /* what comes behind "=", */
    STATE_QUOTED,      /* a quoted string, */
    STATE_QUOTED_PAIR, /* what comes behind "\" in it, */
    STATE_QUOTED_END,  /* what comes behind it */
    STATE_CONTENT,
    STATE_CONTENT_CR,
    STATE_CONTENT_LF,
    STATE_TRAILERS,
    STATE_DONE,
    STATE_FAILED,
};

enum { SIZE_DIGITS_MAX = 15 };

void chunked_init(struct chunked *chunked, struct arena *arena, const struct message_limits *limits)
{
    *chunked = (struct chunked){.state = STATE_SIZE, .arena = arena, .limits = limits};
}

static bool is_name_byte(char c)
{
    return field_name_bytes[(unsigned char)c] != 0;
}

static enum fault_code take_size(struct chunked *chunked, char c)
{
    int digit = hex_digit(c);
    if (digit >= 0) {
        if (++chunked->digits > SIZE_DIGITS_MAX) {
            return FAULT_H1_CHUNK_SIZE;
        }
        chunked->left = chunked->left * 16 + (unsigned)digit;
        return FAULT_NONE;
    }
    if (chunked->digits == 0) {
        return FAULT_H1_CHUNK_SIZE;
    }
    if (c == '\r' || c == ';') {
        chunked->digits = 0;
        chunked->state = c == '\r' ? STATE_SIZE_LF : STATE_NAME;
        return FAULT_NONE;
    }
    return c == '\n' ? FAULT_H1_BARE_LF : FAULT_H1_CHUNK_SIZE;
}

/* RFC 9112 §7.1.1: *( ";" name [ "=" value ] ). DEVIATES: the "bad white space" that old senders
 * put around ";" and "=" is refused; nobody may send it. `digits` counts the token's bytes. */
static enum fault_code take_extension(struct chunked *chunked, char c)
{
    if (c == '\n') {
        return FAULT_H1_BARE_LF;
    }
    bool has_token = chunked->digits > 0 || chunked->state == STATE_QUOTED_END;
    if (has_token && (c == '\r' || c == ';')) {
        chunked->digits = 0;
        chunked->state = c == '\r' ? STATE_SIZE_LF : STATE_NAME;
        return FAULT_NONE;
    }
    if (chunked->state == STATE_NAME && has_token && c == '=') {
        chunked->digits = 0;
        chunked->state = STATE_VALUE_START;
        return FAULT_NONE;
    }
    if (chunked->state == STATE_VALUE_START && c == '"') {
        chunked->state = STATE_QUOTED;
        return FAULT_NONE;
    }
    if (chunked->state == STATE_QUOTED_END || !is_name_byte(c)) {
        return FAULT_H1_CHUNK_EXTENSION;
    }
    chunked->state = chunked->state == STATE_VALUE_START ? STATE_VALUE : chunked->state;
    chunked->digits = 1;
    return FAULT_NONE;
}

/* RFC 9110 §5.6.4 */
static enum fault_code take_quoted(struct chunked *chunked, char c)
{
    if (!field_value_is_valid((slice){&c, 1})) {
        return c == '\n' ? FAULT_H1_BARE_LF : FAULT_H1_CHUNK_EXTENSION;
    }
    if (chunked->state == STATE_QUOTED_PAIR) {
        chunked->state = STATE_QUOTED;
    } else if (c == '\\') {
        chunked->state = STATE_QUOTED_PAIR;
    } else if (c == '"') {
        chunked->state = STATE_QUOTED_END;
    }
    return FAULT_NONE;
}

static enum fault_code take_size_end(struct chunked *chunked, char c)
{
    if (c != '\n') {
        return FAULT_H1_BARE_CR;
    }
    chunked->state = chunked->left > 0 ? STATE_CONTENT : STATE_TRAILERS;
    http1_head_scan_init(&chunked->scan, HTTP1_TRAILERS);
    return FAULT_NONE;
}

static enum fault_code take_content_end(struct chunked *chunked, char c)
{
    if (c != (chunked->state == STATE_CONTENT_CR ? '\r' : '\n')) {
        return FAULT_H1_CHUNK_END;
    }
    chunked->state = chunked->state == STATE_CONTENT_CR ? STATE_CONTENT_LF : STATE_SIZE;
    return FAULT_NONE;
}

static uint64_t overhead_limit(const struct chunked *chunked)
{
    size_t set = chunked->limits->overhead_bytes;
    return set > 0 ? set : CHUNKED_OVERHEAD_BYTES;
}

/* A trailer section is held to the limits of a header section, but for its own size. */
static struct message_limits trailer_limits(const struct chunked *chunked)
{
    struct message_limits limits = *chunked->limits;
    limits.header_bytes = limits.trailer_bytes > 0 ? limits.trailer_bytes : limits.header_bytes;
    return limits;
}

static enum fault_code take_framing(struct chunked *chunked, char c)
{
    if (++chunked->overhead > overhead_limit(chunked)) {
        return FAULT_H1_CHUNK_OVERHEAD;
    }
    switch ((enum state)chunked->state) {
    case STATE_SIZE:
        return take_size(chunked, c);
    case STATE_SIZE_LF:
        return take_size_end(chunked, c);
    case STATE_NAME:
    case STATE_VALUE_START:
    case STATE_VALUE:
    case STATE_QUOTED_END:
        return take_extension(chunked, c);
    case STATE_QUOTED:
    case STATE_QUOTED_PAIR:
        return take_quoted(chunked, c);
    case STATE_CONTENT_CR:
    case STATE_CONTENT_LF:
        return take_content_end(chunked, c);
    case STATE_CONTENT:
    case STATE_TRAILERS:
    case STATE_DONE:
    case STATE_FAILED:
        break;
    }
    return FAULT_INTERNAL;
}

static slice take_content(struct chunked *chunked, slice in, size_t room)
{
    size_t len = in.len < room ? in.len : room;
    len = len < chunked->left ? len : (size_t)chunked->left;
    chunked->left -= len;
    uint64_t credit = (uint64_t)len * CHUNKED_CREDIT;
    chunked->overhead -= chunked->overhead < credit ? chunked->overhead : credit;
    chunked->state = chunked->left == 0 ? STATE_CONTENT_CR : STATE_CONTENT;
    return slice_first(in, len);
}

/* Makes room for `more` bytes of the trailer section; false: the arena is full. */
static bool section_reserve(struct chunked *chunked, size_t more)
{
    enum { FIRST_ROOM = 512 };
    if (chunked->section_room - chunked->section_len >= more) {
        return true;
    }
    size_t room = chunked->section_room == 0 ? FIRST_ROOM : chunked->section_room * 2;
    while (room - chunked->section_len < more) {
        room *= 2;
    }
    char *section = arena_take(chunked->arena, room);
    if (section == NULL) {
        return false;
    }
    if (chunked->section_len > 0) {
        memcpy(section, chunked->section, chunked->section_len);
    }
    chunked->section = section;
    chunked->section_room = room;
    return true;
}

static enum status parse_trailers(struct chunked *chunked, enum fault_code *fault)
{
    *fault = field_lines_parse(chunked->section, chunked->section_len,
                               chunked->limits->header_count, chunked->arena, &chunked->trailers);
    if (*fault != FAULT_NONE) {
        return *fault == FAULT_LIMIT_MEMORY         ? STATUS_NOMEM
               : *fault == FAULT_LIMIT_HEADER_COUNT ? STATUS_REFUSED
                                                    : STATUS_PEER;
    }
    for (size_t i = 0; i < chunked->trailers.count; i++) {
        if (!framing_allows_trailer(&chunked->trailers.at[i])) {
            *fault = FAULT_H1_TRAILER;
            return STATUS_PEER;
        }
    }
    return STATUS_END;
}

/* Collects the trailer section until it is whole. A section that is empty, as nearly all are, and
 * in one piece is not copied. */
static enum status take_trailers(struct chunked *chunked, slice in, size_t *consumed,
                                 enum fault_code *fault)
{
    *consumed = 0;
    if (chunked->section_len == 0 && slice_starts_with(in, SLICE("\r\n"))) {
        *consumed = 2;
        return STATUS_END;
    }
    size_t before = chunked->section_len;
    /* one byte more than the limit is enough for the scan to refuse */
    const struct message_limits limits = trailer_limits(chunked);
    size_t want = limits.header_bytes + 1 - before;
    size_t len = in.len < want ? in.len : want;
    if (!section_reserve(chunked, len)) {
        *fault = FAULT_LIMIT_MEMORY;
        return STATUS_NOMEM;
    }
    memcpy(chunked->section + before, in.at, len);
    size_t section_len = before + len;
    enum status status = http1_head_scan(&chunked->scan, (slice){chunked->section, section_len},
                                         &limits, &section_len, fault);
    chunked->section_len = section_len;
    *consumed = section_len - before;
    return status == STATUS_OK ? parse_trailers(chunked, fault) : status;
}

static enum status fail(struct chunked *chunked, enum fault_code *fault, enum fault_code code)
{
    chunked->state = STATE_FAILED;
    *fault = code;
    return code == FAULT_H1_CHUNK_OVERHEAD ? STATUS_REFUSED : STATUS_PEER;
}

enum status chunked_next(struct chunked *chunked, slice in, size_t room, size_t *consumed,
                         slice *content, enum fault_code *fault)
{
    size_t at = 0;
    *consumed = 0;
    while (at < in.len && chunked->state != STATE_CONTENT && chunked->state < STATE_TRAILERS) {
        enum fault_code code = take_framing(chunked, in.at[at]);
        if (code != FAULT_NONE) {
            return fail(chunked, fault, code);
        }
        at++;
    }
    *consumed = at;
    slice rest = slice_from(in, at);
    if (chunked->state == STATE_DONE) {
        return STATUS_END;
    }
    if (chunked->state == STATE_FAILED) {
        return fail(chunked, fault, FAULT_INTERNAL);
    }
    if (rest.len == 0 || (chunked->state == STATE_CONTENT && room == 0)) {
        return STATUS_AGAIN;
    }
    if (chunked->state == STATE_CONTENT) {
        *content = take_content(chunked, rest, room);
        *consumed += content->len;
        return STATUS_OK;
    }
    size_t taken;
    enum status status = take_trailers(chunked, rest, &taken, fault);
    *consumed += taken;
    if (status != STATUS_AGAIN) {
        chunked->state = status == STATUS_END ? STATE_DONE : STATE_FAILED;
    }
    return status;
}

enum status chunked_decode(struct chunked *chunked, slice in, size_t *consumed, char *out,
                           size_t room, size_t *produced, enum fault_code *fault)
{
    enum status status = STATUS_OK;
    *consumed = 0;
    *produced = 0;
    while (status == STATUS_OK) {
        size_t taken;
        slice content;
        status = chunked_next(chunked, slice_from(in, *consumed), room - *produced, &taken,
                              &content, fault);
        *consumed += taken;
        if (status == STATUS_OK) {
            memmove(out + *produced, content.at, content.len);
            *produced += content.len;
        }
    }
    return status;
}

size_t chunked_write_size(char out[static CHUNKED_SIZE_LINE_BYTES], uint64_t bytes)
{
    size_t digits = 1;
    while (digits < 16 && bytes >> (4 * digits) != 0) {
        digits++;
    }
    hex_put_number(out, bytes, digits);
    memcpy(out + digits, "\r\n", 2);
    return digits + 2;
}

enum fault_code chunked_write_end(const struct fields *trailers, char *out, size_t room,
                                  size_t *needed)
{
    static const bool refused[FIELD_TOKENS] = {false};
    struct line_writer writer = {.out = out, .room = room};
    line_writer_put(&writer, SLICE("0\r\n"));
    for (size_t i = 0; trailers != NULL && i < trailers->count; i++) {
        if (!framing_allows_trailer(&trailers->at[i])) {
            return FAULT_INTERNAL;
        }
    }
    if (trailers != NULL) {
        enum fault_code fault = line_writer_put_fields(&writer, trailers, refused);
        if (fault != FAULT_NONE) {
            return fault;
        }
    }
    line_writer_put(&writer, SLICE("\r\n"));
    *needed = writer.len;
    return FAULT_NONE;
}
