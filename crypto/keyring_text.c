/* crypto/keyring_text.c
 *
 * How a keyring is spelled: lines, or serf's JSON array of strings, of which only what keys need is
 * read. What is wrong is told by line and number of characters, never by what stands there.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include <openssl/crypto.h>
#include <string.h>

#include "crypto/base64.h"
#include "crypto/keyring.h"
#include "crypto/keyring_state.h"

struct reader {
    struct keyring *ring;
    const uint8_t *at;
    const uint8_t *end;
    unsigned line;
    struct crypto_error *error;
};

/* Tab, space, and the ends of lines. */
static bool is_space(uint8_t c)
{
    return c == ' ' || c == '\t' || c == '\n' || c == '\r';
}

static struct bytes trim(struct bytes text)
{
    while (text.len > 0 && is_space(text.at[0])) {
        text.at++;
        text.len--;
    }
    while (text.len > 0 && is_space(text.at[text.len - 1])) {
        text.len--;
    }
    return text;
}

/* ---- reading ---- */

static bool refuse_full(struct reader *reader)
{
    crypto_error_set(reader->error, "line %u: one key too many; expected at most %d", reader->line,
                     KEYRING_KEYS_MAX);
    return false;
}

static bool take_key(struct reader *reader, struct bytes text)
{
    struct keyring *ring = reader->ring;
    if (ring->count == KEYRING_KEYS_MAX) {
        return refuse_full(reader);
    }
    struct keyring_key *key = &ring->keys[ring->count];
    size_t len = 0;
    size_t twin = 0;
    if (!base64_read(key->bytes, sizeof(key->bytes), text.at, text.len, &len) ||
        !keyring_is_key_size(len)) {
        crypto_error_set(reader->error,
                         "line %u: %zu characters that are no key in base64; expected 24, 32 or 44 "
                         "(of 16, 24 or 32 bytes)",
                         reader->line, text.len);
        return false;
    }
    key->line = reader->line;
    enum keyring_change change = keyring_take_slot(ring, len, &twin);
    if (change == KEYRING_UNCHANGED) {
        crypto_error_set(reader->error, "line %u: the key of line %u again; expected each key once",
                         reader->line, ring->keys[twin].line);
    } else if (change != KEYRING_CHANGED) {
        crypto_error_set(reader->error, "line %u: out of memory", reader->line);
    }
    return change == KEYRING_CHANGED;
}

/* Comments are kept where they came from: before which key is known when it comes. */
static void keep_comment(struct keyring *ring, struct bytes line)
{
    memcpy(ring->comments + ring->comments_len, line.at, line.len);
    ring->comments_len += line.len;
    ring->comments[ring->comments_len++] = '\n';
    ring->tail_len += line.len + 1;
}

static bool take_line(struct reader *reader, struct bytes line)
{
    struct keyring *ring = reader->ring;
    if (line.len == 0) {
        return true;
    }
    if (line.at[0] == '#') {
        keep_comment(ring, line);
        return true;
    }
    if (!take_key(reader, line)) {
        return false;
    }
    if (ring->count == 1) {
        ring->top_len = ring->tail_len;
    } else {
        ring->keys[ring->count - 1].comment_at = ring->comments_len - ring->tail_len;
        ring->keys[ring->count - 1].comment_len = ring->tail_len;
    }
    ring->tail_len = 0;
    return true;
}

static bool read_lines(struct reader *reader)
{
    while (reader->at < reader->end) {
        size_t left = (size_t)(reader->end - reader->at);
        const uint8_t *end = memchr(reader->at, '\n', left);
        struct bytes line = {reader->at, end != NULL ? (size_t)(end - reader->at) : left};
        if (!take_line(reader, trim(line))) {
            return false;
        }
        reader->at = end != NULL ? end + 1 : reader->end;
        reader->line++;
    }
    return true;
}

/* ---- reading JSON ---- */

/* The next character that is not space; 0 at the end, or for a NUL: neither is ever expected. */
static uint8_t peek(struct reader *reader)
{
    while (reader->at < reader->end && is_space(*reader->at)) {
        reader->line += *reader->at == '\n' ? 1 : 0;
        reader->at++;
    }
    return reader->at < reader->end ? *reader->at : 0;
}

static bool expect(struct reader *reader, uint8_t c, const char *what)
{
    if (peek(reader) == c) {
        reader->at++;
        return true;
    }
    crypto_error_set(reader->error,
                     "line %u: this is no JSON array of strings, as serf's keyring file is; "
                     "expected %s",
                     reader->line, what);
    return false;
}

static bool read_string(struct reader *reader)
{
    if (!expect(reader, '"', "a key in quotes")) {
        return false;
    }
    const uint8_t *begin = reader->at;
    while (reader->at < reader->end && *reader->at != '"' && *reader->at >= ' ') {
        if (*reader->at == '\\') {
            crypto_error_set(reader->error,
                             "line %u: a backslash; expected base64, which needs no escapes",
                             reader->line);
            return false;
        }
        reader->at++;
    }
    if (reader->at == reader->end || *reader->at != '"') {
        crypto_error_set(reader->error,
                         "line %u: a key without its end; expected a quote on the same line",
                         reader->line);
        return false;
    }
    struct bytes text = {begin, (size_t)(reader->at - begin)};
    reader->at++;
    return take_key(reader, text);
}

static bool read_json(struct reader *reader)
{
    reader->ring->is_json = true;
    if (!expect(reader, '[', "a [")) {
        return false;
    }
    while (peek(reader) != ']') {
        if (reader->ring->count > 0 && !expect(reader, ',', "a comma or a ]")) {
            return false;
        }
        if (!read_string(reader)) {
            return false;
        }
    }
    reader->at++;
    if (peek(reader) != 0 || reader->at < reader->end) {
        crypto_error_set(reader->error, "line %u: something behind the ]; expected the end",
                         reader->line);
        return false;
    }
    return true;
}

static bool read_text(struct reader *reader, struct bytes text)
{
    struct bytes trimmed = trim(text);
    bool is_json = trimmed.len > 0 && trimmed.at[0] == '[';
    if (!(is_json ? read_json(reader) : read_lines(reader))) {
        return false;
    }
    if (reader->ring->count == 0) {
        crypto_error_set(reader->error,
                         "line 1: there is no key; expected one a line in base64, or a JSON array "
                         "of such strings");
        return false;
    }
    return true;
}

struct keyring *keyring_parse(struct bytes text, struct crypto_error *error)
{
    struct keyring *ring = keyring_blank();
    if (ring == NULL) {
        crypto_error_set(error, "line 1: out of memory");
        return NULL;
    }
    struct reader reader = {
        .ring = ring, .at = text.at, .end = text.at + text.len, .line = 1, .error = error};
    /* What is written may be longer by the ends of lines, and must be read again. */
    bool is_short = text.len <= KEYRING_TEXT_BYTES_MAX;
    bool is_read = is_short && read_text(&reader, text);
    if (!is_short || (is_read && keyring_render(ring, NULL) > KEYRING_TEXT_BYTES_MAX)) {
        crypto_error_set(error, "line 1: this is too long; expected at most %d bytes",
                         KEYRING_TEXT_BYTES_MAX);
        is_read = false;
    }
    if (!is_read) {
        keyring_free(ring);
        return NULL;
    }
    return ring;
}

bool keyring_key_from_text(struct secret *key, struct bytes text)
{
    if (!secret_init(key, KEYRING_KEY_BYTES_MAX)) {
        return false;
    }
    /* Decoded into pages of its own: secret_set wipes what it fills. */
    struct secret room;
    struct bytes trimmed = trim(text);
    size_t len = 0;
    bool is_read = false;
    if (secret_init(&room, KEYRING_KEY_BYTES_MAX)) {
        is_read =
            base64_read(secret_room(&room), KEYRING_KEY_BYTES_MAX, trimmed.at, trimmed.len, &len) &&
            keyring_is_key_size(len) && secret_set(key, secret_room(&room), len);
    }
    secret_fini(&room);
    if (!is_read) {
        secret_fini(key);
    }
    return is_read;
}

/* ---- writing ---- */

static size_t put(char *room, size_t at, const char *text, size_t len)
{
    if (room != NULL && len > 0) {
        memcpy(room + at, text, len);
    }
    return at + len;
}

static size_t put_key(char *room, size_t at, const struct keyring_key *key)
{
    if (room != NULL) {
        base64_write(room + at, key->bytes, key->len);
    }
    return at + base64_chars(key->len);
}

static size_t render_json(const struct keyring *ring, char *room)
{
    size_t at = put(room, 0, "[\n", 2);
    for (size_t i = 0; i < ring->count; i++) {
        at = put(room, at, "  \"", 3);
        at = put_key(room, at, &ring->keys[i]);
        at = i + 1 < ring->count ? put(room, at, "\",\n", 3) : put(room, at, "\"\n", 2);
    }
    return put(room, at, "]\n", 2);
}

size_t keyring_render(const struct keyring *ring, char *room)
{
    if (ring->is_json) {
        return render_json(ring, room);
    }
    size_t at = put(room, 0, ring->comments, ring->top_len);
    for (size_t i = 0; i < ring->count; i++) {
        const struct keyring_key *key = &ring->keys[i];
        at = put(room, at, ring->comments + key->comment_at, key->comment_len);
        at = put_key(room, at, key);
        at = put(room, at, "\n", 1);
    }
    return put(room, at, ring->comments + ring->comments_len - ring->tail_len, ring->tail_len);
}

bool keyring_write(const struct keyring *ring, struct secret *text)
{
    size_t len = keyring_render(ring, NULL);
    struct secret room;
    if (!secret_init(text, len)) {
        return false;
    }
    if (!secret_init(&room, len)) {
        secret_fini(text);
        return false;
    }
    (void)keyring_render(ring, secret_room(&room));
    bool is_set = secret_set(text, secret_room(&room), len);
    secret_fini(&room);
    return is_set;
}
