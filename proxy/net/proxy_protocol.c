/* proxy/net/proxy_protocol.c
 *
 * Reading; proxy_protocol_write.c writes.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "proxy/net/proxy_protocol.h"

#include <arpa/inet.h>
#include <assert.h>
#include <netinet/in.h>
#include <sys/un.h>

#include "proxy/net/proxy_protocol_wire.h"

static_assert(sizeof(((struct sockaddr_un *)0)->sun_path) == UNIX_PATH_BYTES,
              "a path of the protocol is a path of the system");

static unsigned byte_at(slice bytes, size_t at)
{
    return (unsigned char)bytes.at[at];
}

static size_t number_at(slice bytes, size_t at)
{
    return (size_t)byte_at(bytes, at) << 8 | byte_at(bytes, at + 1);
}

/* --- version 1 --- */

/* Takes the word before the next space; the last one ends with the text. */
static bool take_word(slice *text, slice *word)
{
    if (text->at == NULL) {
        return false;
    }
    size_t end = slice_find(*text, ' ');
    *word = slice_first(*text, end);
    *text = end == text->len ? (slice){NULL, 0} : slice_from(*text, end + 1);
    return word->len > 0;
}

static bool parse_address(slice text, int family, void *out)
{
    char copy[INET6_ADDRSTRLEN];
    if (text.len >= sizeof(copy) || memchr(text.at, '\0', text.len) != NULL) {
        return false;
    }
    memcpy(copy, text.at, text.len);
    copy[text.len] = '\0';
    return inet_pton(family, copy, out) == 1;
}

static bool parse_port(slice text, in_port_t *out)
{
    enum { PORT_MAX = 65535 };
    uint64_t port;
    bool has_leading_zero = text.len > 1 && text.at[0] == '0';
    if (has_leading_zero || !slice_to_number(text, &port) || port > PORT_MAX) {
        return false;
    }
    *out = htons((uint16_t)port);
    return true;
}

static bool parse_endpoint(slice address, slice port, int family, struct sockaddr_storage *out)
{
    out->ss_family = (sa_family_t)family;
    if (family == AF_INET) {
        struct sockaddr_in *in = (struct sockaddr_in *)out;
        return parse_address(address, family, &in->sin_addr) && parse_port(port, &in->sin_port);
    }
    struct sockaddr_in6 *in6 = (struct sockaddr_in6 *)out;
    return parse_address(address, family, &in6->sin6_addr) && parse_port(port, &in6->sin6_port);
}

/* "TCP4 SOURCE DESTINATION SOURCE-PORT DESTINATION-PORT", TCP6, or UNKNOWN and anything. */
static enum status parse_v1_line(slice line, struct proxy_protocol *out)
{
    slice protocol;
    slice words[4];
    if (!take_word(&line, &protocol)) {
        return STATUS_PEER;
    }
    if (slice_equal(protocol, SLICE("UNKNOWN"))) {
        out->is_local = true;
        return STATUS_OK;
    }
    bool is_tcp4 = slice_equal(protocol, SLICE("TCP4"));
    if (!is_tcp4 && !slice_equal(protocol, SLICE("TCP6"))) {
        return STATUS_PEER;
    }
    for (size_t i = 0; i < 4; i++) {
        if (!take_word(&line, &words[i])) {
            return STATUS_PEER;
        }
    }
    int family = is_tcp4 ? AF_INET : AF_INET6;
    bool is_valid = line.at == NULL && parse_endpoint(words[0], words[2], family, &out->source) &&
                    parse_endpoint(words[1], words[3], family, &out->destination);
    return is_valid ? STATUS_OK : STATUS_PEER;
}

static enum status parse_v1(slice bytes, struct proxy_protocol *out, size_t *consumed)
{
    slice prefix = SLICE("PROXY ");
    slice window = slice_first(
        bytes, bytes.len < PROXY_PROTOCOL_V1_BYTES ? bytes.len : PROXY_PROTOCOL_V1_BYTES);
    for (size_t i = 0; i < window.len; i++) {
        unsigned byte = byte_at(window, i);
        if (byte == '\r') {
            if (i + 1 == bytes.len && i + 1 < PROXY_PROTOCOL_V1_BYTES) {
                return STATUS_AGAIN;
            }
            if (i + 1 == window.len || window.at[i + 1] != '\n' || i < prefix.len) {
                return STATUS_PEER;
            }
            out->version = 1;
            *consumed = i + 2;
            return parse_v1_line(slice_from(slice_first(window, i), prefix.len), out);
        }
        if (byte < ' ' || byte > '~' || (i < prefix.len && window.at[i] != prefix.at[i])) {
            return STATUS_PEER;
        }
    }
    /* a whole window without its line end can only be the last byte short of one */
    return window.len < PROXY_PROTOCOL_V1_BYTES ? STATUS_AGAIN : STATUS_PEER;
}

/* --- version 2 --- */

/* RFC 3720 appendix B.4; four bits at a time, as this is rare and short. */
static uint32_t crc32c_add(uint32_t crc, unsigned byte)
{
    static const uint32_t table[16] = {
        0x00000000, 0x105ec76f, 0x20bd8ede, 0x30e349b1, 0x417b1dbc, 0x5125dad3,
        0x61c69362, 0x7198540d, 0x82f63b78, 0x92a8fc17, 0xa24bb5a6, 0xb21572c9,
        0xc38d26c4, 0xd3d3e1ab, 0xe330a81a, 0xf36e6f75,
    };
    crc ^= byte;
    crc = crc >> 4 ^ table[crc & 15];
    return crc >> 4 ^ table[crc & 15];
}

/* Over the whole header, with the checksum itself read as zero. */
static bool crc_is_right(slice header, slice value)
{
    if (value.len != 4) {
        return false;
    }
    uint32_t crc = 0xffffffff;
    for (size_t i = 0; i < header.len; i++) {
        bool is_in_value = header.at + i >= value.at && header.at + i < value.at + value.len;
        crc = crc32c_add(crc, is_in_value ? 0 : byte_at(header, i));
    }
    crc = ~crc;
    uint32_t told = (uint32_t)(number_at(value, 0) << 16 | number_at(value, 2));
    return crc == told;
}

/* Takes the next TLV. False: the bytes do not hold one. */
static bool take_tlv(slice *rest, unsigned *type, slice *value)
{
    if (rest->len < TLV_HEAD_BYTES || number_at(*rest, 1) > rest->len - TLV_HEAD_BYTES) {
        return false;
    }
    *type = byte_at(*rest, 0);
    *value = slice_first(slice_from(*rest, TLV_HEAD_BYTES), number_at(*rest, 1));
    *rest = slice_from(*rest, TLV_HEAD_BYTES + value->len);
    return true;
}

/* Sets what was not set before: a repeated TLV is refused, since readers differ on which counts. */
static bool set_once(slice *field, slice value, size_t len_max)
{
    if (field->at != NULL || value.len > len_max) {
        return false;
    }
    *field = value;
    return true;
}

/* As set_once; these are shown to people, so they hold no control characters. */
static bool set_text(slice *field, slice value)
{
    enum { TEXT_MAX = 255 };
    for (size_t i = 0; i < value.len; i++) {
        if (byte_at(value, i) < ' ' || byte_at(value, i) == 0x7f) {
            return false;
        }
    }
    return set_once(field, value, TEXT_MAX);
}

static bool parse_tls(slice value, struct proxy_protocol *out)
{
    if (value.len < TLS_HEAD_BYTES || out->client_used_tls) {
        return false;
    }
    unsigned flags = byte_at(value, 0);
    bool verified = number_at(value, 1) == 0 && number_at(value, 3) == 0;
    out->client_used_tls = (flags & TLS_USED) != 0;
    out->client_verified = verified && (flags & (TLS_CERT_THIS_CONN | TLS_CERT_THIS_SESSION)) != 0;
    slice rest = slice_from(value, TLS_HEAD_BYTES);
    while (rest.len > 0) {
        unsigned type;
        slice inner;
        if (!take_tlv(&rest, &type, &inner)) {
            return false;
        }
        bool is_valid = true;
        if (type == TLV_TLS_VERSION) {
            is_valid = set_text(&out->tls_version, inner);
        } else if (type == TLV_TLS_CIPHER) {
            is_valid = set_text(&out->tls_cipher, inner);
        } else if (type == TLV_TLS_COMMON_NAME) {
            is_valid = set_text(&out->tls_common_name, inner);
        }
        if (!is_valid) {
            return false;
        }
    }
    return true;
}

static bool parse_tlv(unsigned type, slice value, slice header, struct proxy_protocol *out)
{
    switch (type) {
    case TLV_ALPN:
        return set_text(&out->alpn, value);
    case TLV_AUTHORITY:
        return set_text(&out->authority, value);
    case TLV_CRC32C:
        return crc_is_right(header, value);
    case TLV_UNIQUE_ID:
        return set_once(&out->unique_id, value, UNIQUE_ID_MAX);
    case TLV_TLS:
        return parse_tls(value, out);
    default:
        return true; /* padding, network name space, types of others */
    }
}

static void set_inet(struct sockaddr_storage *out, slice address, size_t port)
{
    struct sockaddr_in *in = (struct sockaddr_in *)out;
    in->sin_family = AF_INET;
    in->sin_port = htons((uint16_t)port);
    memcpy(&in->sin_addr, address.at, sizeof(in->sin_addr));
}

static void set_inet6(struct sockaddr_storage *out, slice address, size_t port)
{
    struct sockaddr_in6 *in6 = (struct sockaddr_in6 *)out;
    in6->sin6_family = AF_INET6;
    in6->sin6_port = htons((uint16_t)port);
    memcpy(&in6->sin6_addr, address.at, sizeof(in6->sin6_addr));
}

static void set_unix(struct sockaddr_storage *out, slice path)
{
    struct sockaddr_un *un = (struct sockaddr_un *)out;
    un->sun_family = AF_UNIX;
    memcpy(un->sun_path, path.at, UNIX_PATH_BYTES);
}

/* The length of the addresses of a family; SIZE_MAX: no such family. */
static size_t addresses_len(unsigned family)
{
    static const size_t lens[] = {[FAMILY_UNSPEC] = 0,
                                  [FAMILY_INET] = 12,
                                  [FAMILY_INET6] = 36,
                                  [FAMILY_UNIX] = (size_t)2 * UNIX_PATH_BYTES};
    return family < sizeof(lens) / sizeof(lens[0]) ? lens[family] : SIZE_MAX;
}

static void set_addresses(slice body, unsigned family, struct proxy_protocol *out)
{
    if (family == FAMILY_INET) {
        set_inet(&out->source, body, number_at(body, 8));
        set_inet(&out->destination, slice_from(body, 4), number_at(body, 10));
    } else if (family == FAMILY_INET6) {
        set_inet6(&out->source, body, number_at(body, 32));
        set_inet6(&out->destination, slice_from(body, 16), number_at(body, 34));
    } else {
        set_unix(&out->source, body);
        set_unix(&out->destination, slice_from(body, UNIX_PATH_BYTES));
    }
}

static enum status parse_v2_body(slice header, struct proxy_protocol *out)
{
    unsigned family = byte_at(header, 13) >> 4;
    unsigned transport = byte_at(header, 13) & 15;
    slice body = slice_from(header, V2_HEAD_BYTES);
    size_t len = addresses_len(family);
    out->version = 2;
    if (len > body.len || transport > TRANSPORT_DATAGRAM) {
        return STATUS_PEER;
    }
    /* of a family or transport that is not told, the rest is to be passed over */
    out->is_local =
        byte_at(header, 12) == COMMAND_LOCAL || family == FAMILY_UNSPEC || transport == 0;
    if (out->is_local) {
        return STATUS_OK;
    }
    out->is_datagram = transport == TRANSPORT_DATAGRAM;
    set_addresses(body, family, out);
    slice rest = slice_from(body, len);
    while (rest.len > 0) {
        unsigned type;
        slice value;
        if (!take_tlv(&rest, &type, &value) || !parse_tlv(type, value, header, out)) {
            return STATUS_PEER;
        }
    }
    return STATUS_OK;
}

static enum status parse_v2(slice bytes, struct proxy_protocol *out, size_t *consumed)
{
    if (bytes.len > 12 && byte_at(bytes, 12) != COMMAND_LOCAL &&
        byte_at(bytes, 12) != COMMAND_PROXY) {
        return STATUS_PEER;
    }
    if (bytes.len < V2_HEAD_BYTES) {
        return STATUS_AGAIN;
    }
    size_t len = number_at(bytes, 14);
    if (len > V2_LENGTH_MAX) {
        return STATUS_PEER;
    }
    if (bytes.len < V2_HEAD_BYTES + len) {
        return STATUS_AGAIN;
    }
    *consumed = V2_HEAD_BYTES + len;
    return parse_v2_body(slice_first(bytes, *consumed), out);
}

enum status proxy_protocol_parse(slice bytes, struct proxy_protocol *out, size_t *consumed)
{
    *out = (struct proxy_protocol){0};
    size_t len = bytes.len < sizeof(signature) ? bytes.len : sizeof(signature);
    if (len == 0) {
        return STATUS_AGAIN;
    }
    if (bytes.at[0] != signature[0]) {
        return parse_v1(bytes, out, consumed);
    }
    if (memcmp(bytes.at, signature, len) != 0) {
        return STATUS_PEER;
    }
    return len < sizeof(signature) ? STATUS_AGAIN : parse_v2(bytes, out, consumed);
}
