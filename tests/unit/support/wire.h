/* tests/unit/support/wire.h
 *
 * Frames of HTTP/2 as text, a line each: what a test sends, and what it has heard.
 *
 *   preface
 *   settings 3=100 4=0             settings+ack
 *   headers 1 end :method=GET x=y  ("part": more of the block follows; ~ stands for a space)
 *   continuation 1 part x=y
 *   data 1 end hello               (#N: so many bytes)
 *   window 0 65535                 reset 1 8
 *   ping 01234567                  ping+ack 01234567
 *   goaway 1 0                     (the last stream, and the code)
 *   frame 2 0 1 00000000ff         any type, flags and stream, its payload in hex
 *
 * Fields are sent as literals that are never indexed; what is heard goes through the library's
 * decoder. Frames are made here by hand, so that a test can send what no library would.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#pragma once

#include <nghttp2/nghttp2.h>

#include "proxy/base/slice.h"
#include "support/peer.h"

enum { WIRE_ROOM = 256 * 1024, WIRE_HEARD = 32 * 1024, WIRE_SHOWN = 64, WIRE_HEADER = 9 };
enum { WIRE_END_STREAM = 1, WIRE_END_HEADERS = 4 };

struct wire_bytes {
    size_t len;
    char at[WIRE_ROOM];
};

static inline void wire_put(struct wire_bytes *out, slice bytes)
{
    assert_true(bytes.len <= sizeof(out->at) - out->len);
    if (bytes.len > 0) {
        memcpy(out->at + out->len, bytes.at, bytes.len);
    }
    out->len += bytes.len;
}

static inline void wire_put_number(struct wire_bytes *out, uint64_t number, unsigned bytes)
{
    for (unsigned i = bytes; i > 0; i--) {
        char byte = (char)(number >> (8 * (i - 1)) & 0xff);
        wire_put(out, (slice){&byte, 1});
    }
}

static inline void wire_put_header(struct wire_bytes *out, size_t len, unsigned type,
                                   unsigned flags, uint32_t stream)
{
    wire_put_number(out, len, 3);
    wire_put_number(out, type, 1);
    wire_put_number(out, flags, 1);
    wire_put_number(out, stream, 4);
}

/* ---- from text ---- */

static inline slice wire_word(slice *line)
{
    while (line->len > 0 && line->at[0] == ' ') {
        *line = slice_from(*line, 1);
    }
    slice word = slice_first(*line, slice_find(*line, ' '));
    *line = slice_from(*line, word.len);
    return word;
}

static inline bool wire_takes_word(slice *line, slice word)
{
    slice rest = *line;
    if (!slice_equal(wire_word(&rest), word)) {
        return false;
    }
    *line = rest;
    return true;
}

static inline uint32_t wire_number(slice *line)
{
    uint64_t number = 0;
    assert_true(slice_to_number(wire_word(line), &number));
    return (uint32_t)number;
}

/* RFC 7541 §5.1 with a prefix of seven bits. */
static inline void wire_put_text(struct wire_bytes *out, slice text)
{
    enum { PREFIX_MOST = 127, MORE = 128 };
    if (text.len < PREFIX_MOST) {
        wire_put_number(out, text.len, 1);
    } else {
        wire_put_number(out, PREFIX_MOST, 1);
        size_t rest = text.len - PREFIX_MOST;
        for (; rest >= MORE; rest /= MORE) {
            wire_put_number(out, rest % MORE + MORE, 1);
        }
        wire_put_number(out, rest, 1);
    }
    wire_put(out, text);
}

static inline void wire_put_field(struct wire_bytes *out, slice name, slice value)
{
    enum { NEVER_INDEXED = 0x10 };
    wire_put_number(out, NEVER_INDEXED, 1);
    wire_put_text(out, name);
    wire_put_text(out, value);
}

static inline void wire_put_fields(struct wire_bytes *out, slice line)
{
    for (slice word = wire_word(&line); word.len > 0; word = wire_word(&line)) {
        char value[4096];
        size_t name_len = slice_find(word, '=');
        slice rest = slice_from(word, name_len < word.len ? name_len + 1 : name_len);
        assert_true(rest.len <= sizeof(value));
        for (size_t i = 0; i < rest.len; i++) {
            value[i] = rest.at[i];
            if (value[i] == '~') {
                value[i] = ' ';
            }
        }
        wire_put_field(out, slice_first(word, name_len), (slice){value, rest.len});
    }
}

static inline void wire_put_settings(struct wire_bytes *out, slice line)
{
    for (slice word = wire_word(&line); word.len > 0; word = wire_word(&line)) {
        uint64_t id = 0;
        uint64_t value = 0;
        size_t name_len = slice_find(word, '=');
        assert_true(slice_to_number(slice_first(word, name_len), &id));
        assert_true(slice_to_number(slice_from(word, name_len + 1), &value));
        wire_put_number(out, id, 2);
        wire_put_number(out, value, 4);
    }
}

static inline void wire_put_hex(struct wire_bytes *out, slice hex)
{
    for (size_t i = 0; i + 1 < hex.len; i += 2) {
        char digits[3] = {hex.at[i], hex.at[i + 1], '\0'};
        wire_put_number(out, strtoul(digits, NULL, 16), 1);
    }
}

static inline void wire_put_content(struct wire_bytes *out, slice line)
{
    slice text = line.len > 0 ? slice_from(line, 1) : line; /* the space */
    if (text.len > 1 && text.at[0] == '#') {
        uint64_t len = 0;
        assert_true(slice_to_number(slice_from(text, 1), &len));
        assert_true(len <= sizeof(out->at));
        memset(out->at, 'x', len);
        out->len = len;
        return;
    }
    wire_put(out, text);
}

static inline void wire_put_line(struct wire_bytes *out, slice line)
{
    static struct wire_bytes payload;
    slice name = wire_word(&line);
    unsigned type = NGHTTP2_DATA;
    unsigned flags = 0;
    uint32_t stream = 0;
    payload.len = 0;
    if (slice_equal(name, SLICE("preface"))) {
        wire_put(out, SLICE("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"));
        return;
    }
    bool is_headers = slice_equal(name, SLICE("headers"));
    if (is_headers || slice_equal(name, SLICE("continuation"))) {
        type = is_headers ? NGHTTP2_HEADERS : NGHTTP2_CONTINUATION;
        stream = wire_number(&line);
        flags |= wire_takes_word(&line, SLICE("end")) ? WIRE_END_STREAM : 0;
        flags |= wire_takes_word(&line, SLICE("part")) ? 0 : WIRE_END_HEADERS;
        wire_put_fields(&payload, line);
    } else if (slice_equal(name, SLICE("data"))) {
        stream = wire_number(&line);
        flags |= wire_takes_word(&line, SLICE("end")) ? WIRE_END_STREAM : 0;
        wire_put_content(&payload, line);
    } else if (slice_starts_with(name, SLICE("settings"))) {
        type = NGHTTP2_SETTINGS;
        flags = slice_equal(name, SLICE("settings+ack")) ? NGHTTP2_FLAG_ACK : 0;
        wire_put_settings(&payload, line);
    } else if (slice_starts_with(name, SLICE("ping"))) {
        type = NGHTTP2_PING;
        flags = slice_equal(name, SLICE("ping+ack")) ? NGHTTP2_FLAG_ACK : 0;
        wire_put(&payload, wire_word(&line));
    } else if (slice_equal(name, SLICE("window"))) {
        type = NGHTTP2_WINDOW_UPDATE;
        stream = wire_number(&line);
        wire_put_number(&payload, wire_number(&line), 4);
    } else if (slice_equal(name, SLICE("reset"))) {
        type = NGHTTP2_RST_STREAM;
        stream = wire_number(&line);
        wire_put_number(&payload, wire_number(&line), 4);
    } else if (slice_equal(name, SLICE("goaway"))) {
        type = NGHTTP2_GOAWAY;
        wire_put_number(&payload, wire_number(&line), 4);
        wire_put_number(&payload, wire_number(&line), 4);
    } else {
        assert_true(slice_equal(name, SLICE("frame")));
        type = wire_number(&line);
        flags = wire_number(&line);
        stream = wire_number(&line);
        wire_put_hex(&payload, wire_word(&line));
    }
    wire_put_header(out, payload.len, type, flags, stream);
    wire_put(out, (slice){payload.at, payload.len});
}

/* Appends the bytes of all lines. */
static inline void wire_write(struct wire_bytes *out, const char *script)
{
    slice rest = slice_of(script);
    while (rest.len > 0) {
        slice line = slice_first(rest, slice_find(rest, '\n'));
        if (line.len > 0) {
            wire_put_line(out, line);
        }
        rest = slice_from(rest, line.len < rest.len ? line.len + 1 : line.len);
    }
}

/* ---- to text ---- */

struct wire {
    struct peer *peer;
    nghttp2_hd_inflater *inflater;
    struct wire_bytes block;
    uint64_t content; /* bytes of DATA in all */
    char heard[WIRE_HEARD];
};

static inline void wire_init(struct wire *wire, struct peer *peer)
{
    wire->peer = peer;
    wire->block.len = 0;
    wire->content = 0;
    wire->heard[0] = '\0';
    assert_int_equal(nghttp2_hd_inflate_new(&wire->inflater), 0);
}

static inline void wire_fini(struct wire *wire)
{
    nghttp2_hd_inflate_del(wire->inflater);
    wire->inflater = NULL;
}

__attribute__((format(printf, 2, 3))) static inline void wire_tell(struct wire *wire,
                                                                   const char *format, ...)
{
    size_t len = strlen(wire->heard);
    va_list arguments;
    va_start(arguments, format);
    (void)vsnprintf(wire->heard + len, sizeof(wire->heard) - len, format, arguments);
    va_end(arguments);
}

static inline uint32_t wire_read_number(const uint8_t *at, unsigned bytes)
{
    uint32_t number = 0;
    for (unsigned i = 0; i < bytes; i++) {
        number = number << 8 | at[i];
    }
    return number;
}

static inline void wire_tell_text(struct wire *wire, slice text)
{
    for (size_t i = 0; i < text.len; i++) {
        char c = text.at[i];
        wire_tell(wire, "%c", c == ' ' ? '~' : c > ' ' && c < 127 ? c : '.');
    }
}

static inline void wire_tell_fields(struct wire *wire)
{
    uint8_t *at = (uint8_t *)wire->block.at;
    size_t left = wire->block.len;
    for (;;) {
        nghttp2_nv field;
        int flags = 0;
        ssize_t used = nghttp2_hd_inflate_hd2(wire->inflater, &field, &flags, at, left, 1);
        assert_true(used >= 0);
        at += used;
        left -= (size_t)used;
        if ((flags & NGHTTP2_HD_INFLATE_EMIT) != 0) {
            wire_tell(wire, " ");
            wire_tell_text(wire, (slice){(const char *)field.name, field.namelen});
            wire_tell(wire, "=");
            wire_tell_text(wire, (slice){(const char *)field.value, field.valuelen});
        }
        if ((flags & NGHTTP2_HD_INFLATE_FINAL) != 0) {
            break;
        }
        assert_true(used > 0 || (flags & NGHTTP2_HD_INFLATE_EMIT) != 0);
    }
    assert_int_equal(nghttp2_hd_inflate_end_headers(wire->inflater), 0);
    wire->block.len = 0;
}

static inline void wire_tell_content(struct wire *wire, const uint8_t *at, size_t len)
{
    wire->content += len;
    if (len > WIRE_SHOWN) {
        wire_tell(wire, " #%zu", len);
    } else if (len > 0) {
        wire_tell(wire, " ");
        wire_tell_text(wire, (slice){(const char *)at, len});
    }
}

static inline void wire_tell_settings(struct wire *wire, const uint8_t *at, size_t len)
{
    for (size_t i = 0; i + 6 <= len; i += 6) {
        wire_tell(wire, " %u=%u", wire_read_number(at + i, 2), wire_read_number(at + i + 2, 4));
    }
}

static inline void wire_tell_frame(struct wire *wire, const uint8_t *head, const uint8_t *payload,
                                   size_t len)
{
    unsigned flags = head[4];
    uint32_t stream = wire_read_number(head + 5, 4);
    const char *end = (flags & WIRE_END_STREAM) != 0 ? " end" : "";
    const char *ack = (flags & NGHTTP2_FLAG_ACK) != 0 ? "+ack" : "";
    switch (head[3]) {
    case NGHTTP2_DATA:
        wire_tell(wire, "data %u%s", stream, end);
        wire_tell_content(wire, payload, len);
        break;
    case NGHTTP2_HEADERS:
    case NGHTTP2_CONTINUATION:
        wire_put(&wire->block, (slice){(const char *)payload, len});
        if (head[3] == NGHTTP2_HEADERS) {
            wire_tell(wire, "headers %u%s", stream, end);
        }
        if ((flags & WIRE_END_HEADERS) == 0) {
            return;
        }
        wire_tell_fields(wire);
        break;
    case NGHTTP2_RST_STREAM:
        wire_tell(wire, "reset %u %u", stream, wire_read_number(payload, 4));
        break;
    case NGHTTP2_SETTINGS:
        wire_tell(wire, "settings%s", ack);
        wire_tell_settings(wire, payload, len);
        break;
    case NGHTTP2_PING:
        wire_tell(wire, "ping%s ", ack);
        wire_tell_text(wire, (slice){(const char *)payload, len});
        break;
    case NGHTTP2_GOAWAY:
        wire_tell(wire, "goaway %u %u", wire_read_number(payload, 4),
                  wire_read_number(payload + 4, 4));
        break;
    case NGHTTP2_WINDOW_UPDATE:
        wire_tell(wire, "window %u %u", stream, wire_read_number(payload, 4));
        break;
    default:
        wire_tell(wire, "frame %u %u %u", head[3], flags, stream);
        break;
    }
    wire_tell(wire, "\n");
}

/* Makes text of the whole frames that the peer has, and takes them away from it. */
static inline void wire_hear(struct wire *wire)
{
    struct peer *peer = wire->peer;
    size_t start = 0;
    for (;;) {
        const uint8_t *head = (const uint8_t *)peer->got + start;
        size_t left = peer->len - start;
        size_t len = left >= WIRE_HEADER ? wire_read_number(head, 3) : 0;
        if (left < WIRE_HEADER || left < WIRE_HEADER + len) {
            break;
        }
        wire_tell_frame(wire, head, head + WIRE_HEADER, len);
        start += WIRE_HEADER + len;
    }
    memmove(peer->got, peer->got + start, peer->len - start);
    peer->len -= start;
}

/* For turns_settle. */
static inline bool wire_listens(void *self)
{
    struct wire *wire = self;
    peer_hear(wire->peer);
    wire_hear(wire);
    return false;
}

/* The client's preface, for a test that plays the server. */
static inline void wire_drop_preface(struct wire *wire)
{
    slice preface = SLICE("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n");
    struct peer *peer = wire->peer;
    assert_true(slice_starts_with((slice){peer->got, peer->len}, preface));
    memmove(peer->got, peer->got + preface.len, peer->len - preface.len);
    peer->len -= preface.len;
}
