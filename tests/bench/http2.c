/* tests/bench/http2.c
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "tests/bench/http2.h"

#include <string.h>

#include "tests/bench/pattern.h"

enum {
    HEAD_BYTES = 9, /* of a frame: length (3), type, flags, stream (4) */
    FIELD_MAX = 64, /* longest value, so that its length is one byte */

    TYPE_DATA = 0,
    TYPE_HEADERS = 1,
    TYPE_RST_STREAM = 3,
    TYPE_SETTINGS = 4,
    TYPE_PUSH_PROMISE = 5,
    TYPE_PING = 6,
    TYPE_GOAWAY = 7,

    FLAG_ACK = 0x1,
    FLAG_END_STREAM = 0x1,
    FLAG_END_HEADERS = 0x4,
    FLAG_PADDED = 0x8,
    FLAG_PRIORITY = 0x20,

    PING_BYTES = 8,
    STATUS_200 = 0x88, /* indexed field 8, RFC 7541 Appendix A */
};

struct frame_head {
    size_t len; /* of the payload */
    uint8_t type;
    uint8_t flags;
    uint32_t stream;
};

static size_t put(uint8_t *out, size_t at, const void *bytes, size_t len)
{
    memcpy(out + at, bytes, len);
    return at + len;
}

/* `opcode` says which name of the static table, and whether the field enters the dynamic one. */
static size_t put_field(uint8_t *out, size_t at, uint8_t opcode, const char *value)
{
    size_t len = strlen(value);
    out[at] = opcode;
    out[at + 1] = (uint8_t)len;
    return put(out, at + 2, value, len);
}

/* Fields enter the dynamic table as with any browser: what a proxy keeps for that table belongs to
 * the memory of an idle connection. */
static size_t put_fields(uint8_t *out, size_t at, const char *name)
{
    static const uint8_t pseudo[] = {0x82, 0x87}; /* :method GET, :scheme https */
    at = put(out, at, pseudo, sizeof(pseudo));
    at = put_field(out, at, 0x04, "/small");                    /* :path, not entered */
    at = put_field(out, at, 0x41, name);                        /* :authority */
    at = put_field(out, at, 0x7a, "Mozilla/5.0 (bench; idle)"); /* user-agent */
    return put_field(out, at, 0x53, "text/html,*/*;q=0.8");     /* accept */
}

size_t http2_write_request(uint8_t out[HTTP2_REQUEST_MAX], const char *name)
{
    static const char preface[] = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
    /* What browsers say: no push, windows of 6 MiB for a stream and 15 MiB for all. */
    static const uint8_t settings[] = {0, 0, 12, TYPE_SETTINGS, 0, 0, 0, 0, 0, 0, 2, 0, 0, 0, 0,
                                       0, 4, 0,  0x60,          0, 0};
    static const uint8_t window[] = {0, 0, 4, 8, 0, 0, 0, 0, 0, 0, 0xef, 0, 1};
    static const uint8_t headers[] = {0, 0, 0, TYPE_HEADERS, FLAG_END_STREAM | FLAG_END_HEADERS, 0,
                                      0, 0, 1};
    if (strlen(name) > FIELD_MAX) {
        return 0;
    }
    size_t at = put(out, 0, preface, sizeof(preface) - 1);
    at = put(out, at, settings, sizeof(settings));
    at = put(out, at, window, sizeof(window));
    size_t head = at;
    at = put(out, at, headers, sizeof(headers));
    size_t end = put_fields(out, at, name);
    out[head + 2] = (uint8_t)(end - at); /* below 256: the fields are short */
    return end;
}

static bool read_head(const uint8_t *bytes, size_t len, struct frame_head *head)
{
    if (len < HEAD_BYTES) {
        return false;
    }
    head->len = (size_t)bytes[0] << 16 | (size_t)bytes[1] << 8 | bytes[2];
    head->type = bytes[3];
    head->flags = bytes[4];
    head->stream =
        ((uint32_t)bytes[5] << 24 | (uint32_t)bytes[6] << 16 | (uint32_t)bytes[7] << 8 | bytes[8]) &
        0x7fffffff;
    return len - HEAD_BYTES >= head->len;
}

static const char *take_end(struct http2_answer *answer)
{
    if (!answer->has_head || answer->body_len != PATTERN_SMALL) {
        return "the stream ended before the answer was whole";
    }
    answer->is_complete = true;
    return NULL;
}

/* The status must come first (RFC 9113 §8.3); only updates of the table's size may precede it. */
static bool has_status_200(const uint8_t *block, size_t len)
{
    size_t at = 0;
    while (at < len && (block[at] & 0xe0) == 0x20) {
        bool is_long = (block[at++] & 0x1f) == 0x1f;
        while (is_long && at < len) {
            is_long = (block[at++] & 0x80) != 0;
        }
    }
    return at < len && block[at] == STATUS_200;
}

static const char *take_headers(struct http2_answer *answer, const struct frame_head *head,
                                const uint8_t *payload)
{
    bool is_plain =
        (head->flags & (FLAG_END_HEADERS | FLAG_PADDED | FLAG_PRIORITY)) == FLAG_END_HEADERS;
    if (head->stream != 1 || answer->has_head || !is_plain) {
        return "HEADERS that the bench does not understand";
    }
    if (!has_status_200(payload, head->len)) {
        return "not status 200";
    }
    answer->has_head = true;
    return (head->flags & FLAG_END_STREAM) != 0 ? take_end(answer) : NULL;
}

static const char *take_data(struct http2_answer *answer, const struct frame_head *head,
                             const uint8_t *payload)
{
    if (head->stream != 1 || !answer->has_head || answer->is_complete ||
        (head->flags & FLAG_PADDED) != 0) {
        return "DATA that the bench does not understand";
    }
    if (head->len > PATTERN_SMALL - answer->body_len ||
        !pattern_matches(answer->body_len, payload, head->len)) {
        return "the body is not what the backend sent";
    }
    answer->body_len += head->len;
    return (head->flags & FLAG_END_STREAM) != 0 ? take_end(answer) : NULL;
}

/* Settings are acknowledged with an empty frame, a PING with its own payload. */
static size_t write_reply(const struct frame_head *head, const uint8_t *payload,
                          uint8_t reply[HTTP2_REPLY_MAX])
{
    bool is_ping = head->type == TYPE_PING && head->len == PING_BYTES;
    if ((head->type != TYPE_SETTINGS && !is_ping) || (head->flags & FLAG_ACK) != 0) {
        return 0;
    }
    memset(reply, 0, HEAD_BYTES);
    reply[2] = is_ping ? PING_BYTES : 0;
    reply[3] = head->type;
    reply[4] = FLAG_ACK;
    return put(reply, HEAD_BYTES, payload, reply[2]);
}

ssize_t http2_take(struct http2_answer *answer, const uint8_t *bytes, size_t len,
                   uint8_t reply[HTTP2_REPLY_MAX], size_t *reply_len)
{
    struct frame_head head;
    *reply_len = 0;
    if (!read_head(bytes, len, &head)) {
        return 0;
    }
    const uint8_t *payload = bytes + HEAD_BYTES;
    switch (head.type) {
    case TYPE_DATA:
        answer->fault = take_data(answer, &head, payload);
        break;
    case TYPE_HEADERS:
        answer->fault = take_headers(answer, &head, payload);
        break;
    case TYPE_RST_STREAM:
        answer->fault = "RST_STREAM";
        break;
    case TYPE_PUSH_PROMISE:
        answer->fault = "PUSH_PROMISE";
        break;
    case TYPE_GOAWAY:
        answer->fault = "GOAWAY";
        break;
    default: /* WINDOW_UPDATE, and types that are not known: RFC 9113 §5.5 */
        *reply_len = write_reply(&head, payload, reply);
        break;
    }
    return answer->fault != NULL ? -1 : (ssize_t)(HEAD_BYTES + head.len);
}
