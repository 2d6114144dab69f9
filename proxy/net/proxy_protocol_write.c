/* proxy/net/proxy_protocol_write.c · SPDX-License-Identifier: Apache-2.0 */
#include "proxy/net/proxy_protocol.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/un.h>

#include "proxy/net/proxy_protocol_wire.h"

/* Writes as long as there is room, and counts on after that. */
struct writer {
    char *out;
    size_t room;
    size_t len;
};

static void put(struct writer *writer, const void *bytes, size_t len)
{
    if (len > 0 && writer->len <= writer->room && len <= writer->room - writer->len) {
        memcpy(writer->out + writer->len, bytes, len);
    }
    writer->len += len;
}

static void put_byte(struct writer *writer, unsigned byte)
{
    put(writer, &(char){(char)byte}, 1);
}

static void put_number(struct writer *writer, size_t number)
{
    put_byte(writer, (unsigned)(number >> 8));
    put_byte(writer, (unsigned)number);
}

static size_t written(const struct writer *writer)
{
    return writer->len <= writer->room ? writer->len : 0;
}

static in_port_t port_of(const struct sockaddr_storage *address)
{
    return address->ss_family == AF_INET ? ((const struct sockaddr_in *)address)->sin_port
                                         : ((const struct sockaddr_in6 *)address)->sin6_port;
}

static const void *address_of(const struct sockaddr_storage *address)
{
    return address->ss_family == AF_INET
               ? (const void *)&((const struct sockaddr_in *)address)->sin_addr
               : (const void *)&((const struct sockaddr_in6 *)address)->sin6_addr;
}

static void put_text(struct writer *writer, const char *text)
{
    put(writer, text, strlen(text));
}

static void put_address(struct writer *writer, const struct sockaddr_storage *address)
{
    char text[INET6_ADDRSTRLEN] = "";
    (void)inet_ntop(address->ss_family, address_of(address), text, sizeof(text));
    put_text(writer, text);
    put_text(writer, " ");
}

static void put_decimal(struct writer *writer, unsigned number)
{
    char digits[10];
    size_t at = sizeof(digits);
    do {
        digits[--at] = (char)('0' + number % 10);
        number /= 10;
    } while (number > 0);
    put(writer, digits + at, sizeof(digits) - at);
}

static bool is_ip(const struct sockaddr_storage *address)
{
    return address->ss_family == AF_INET || address->ss_family == AF_INET6;
}

/* RFC 4291 §2.5.5.2 */
static void map_to_inet6(struct sockaddr_storage *address)
{
    struct sockaddr_in in;
    memcpy(&in, address, sizeof(in));
    struct sockaddr_in6 in6 = {.sin6_family = AF_INET6, .sin6_port = in.sin_port};
    in6.sin6_addr.s6_addr[10] = 0xff;
    in6.sin6_addr.s6_addr[11] = 0xff;
    memcpy(in6.sin6_addr.s6_addr + 12, &in.sin_addr, sizeof(in.sin_addr));
    memcpy(address, &in6, sizeof(in6));
}

/* The header with its addresses in one family: a client of IPv6 may have come to an address of
 * IPv4 by way of another proxy. AF_UNSPEC: they cannot be told. */
static int unify_families(struct proxy_protocol *header)
{
    struct sockaddr_storage *source = &header->source;
    struct sockaddr_storage *destination = &header->destination;
    if (header->is_local) {
        return AF_UNSPEC;
    }
    if (is_ip(source) && is_ip(destination) && source->ss_family != destination->ss_family) {
        map_to_inet6(source->ss_family == AF_INET ? source : destination);
    }
    return source->ss_family == destination->ss_family ? source->ss_family : AF_UNSPEC;
}

size_t proxy_protocol_write_v1(const struct proxy_protocol *header, char *out, size_t room)
{
    struct writer writer = {.out = out, .room = room};
    struct proxy_protocol unified = *header;
    int family = unify_families(&unified);
    if (header->is_datagram || (family != AF_INET && family != AF_INET6)) {
        put_text(&writer, "PROXY UNKNOWN\r\n");
        return written(&writer);
    }
    put_text(&writer, family == AF_INET ? "PROXY TCP4 " : "PROXY TCP6 ");
    put_address(&writer, &unified.source);
    put_address(&writer, &unified.destination);
    put_decimal(&writer, ntohs(port_of(&unified.source)));
    put_text(&writer, " ");
    put_decimal(&writer, ntohs(port_of(&unified.destination)));
    put_text(&writer, "\r\n");
    return written(&writer);
}

static void put_tlv(struct writer *writer, enum tlv type, slice value)
{
    if (value.len > 0) {
        put_byte(writer, type);
        put_number(writer, value.len);
        put(writer, value.at, value.len);
    }
}

static size_t tlv_len(slice value)
{
    return value.len > 0 ? TLV_HEAD_BYTES + value.len : 0;
}

static void put_tls(struct writer *writer, const struct proxy_protocol *header)
{
    if (!header->client_used_tls) {
        return;
    }
    put_byte(writer, TLV_TLS);
    put_number(writer, TLS_HEAD_BYTES + tlv_len(header->tls_version) + tlv_len(header->tls_cipher) +
                           tlv_len(header->tls_common_name));
    put_byte(writer, TLS_USED | (header->client_verified ? TLS_CERT_THIS_CONN : 0U));
    put_number(writer, 0);
    put_number(writer, header->client_verified ? 0 : 1);
    put_tlv(writer, TLV_TLS_VERSION, header->tls_version);
    put_tlv(writer, TLV_TLS_CIPHER, header->tls_cipher);
    put_tlv(writer, TLV_TLS_COMMON_NAME, header->tls_common_name);
}

static unsigned put_addresses(struct writer *writer, const struct proxy_protocol *header)
{
    struct proxy_protocol unified = *header;
    int unified_family = unify_families(&unified);
    const struct sockaddr_storage *source = &unified.source;
    const struct sockaddr_storage *destination = &unified.destination;
    if (unified_family == AF_UNIX) {
        put(writer, ((const struct sockaddr_un *)source)->sun_path, UNIX_PATH_BYTES);
        put(writer, ((const struct sockaddr_un *)destination)->sun_path, UNIX_PATH_BYTES);
        return FAMILY_UNIX;
    }
    if (unified_family != AF_INET && unified_family != AF_INET6) {
        return FAMILY_UNSPEC;
    }
    bool is_inet = unified_family == AF_INET;
    size_t len = is_inet ? sizeof(struct in_addr) : sizeof(struct in6_addr);
    put(writer, address_of(source), len);
    put(writer, address_of(destination), len);
    put_number(writer, ntohs(port_of(source)));
    put_number(writer, ntohs(port_of(destination)));
    return is_inet ? FAMILY_INET : FAMILY_INET6;
}

size_t proxy_protocol_write_v2(const struct proxy_protocol *header, char *out, size_t room)
{
    struct writer body = {.out = out, .room = room, .len = V2_HEAD_BYTES};
    unsigned family = put_addresses(&body, header);
    if (family != FAMILY_UNSPEC) {
        put_tlv(&body, TLV_ALPN, header->alpn);
        put_tlv(&body, TLV_AUTHORITY, header->authority);
        put_tlv(&body, TLV_UNIQUE_ID, header->unique_id);
        put_tls(&body, header);
    }
    if (body.len > room || body.len > PROXY_PROTOCOL_V2_BYTES) {
        return 0;
    }
    struct writer head = {.out = out, .room = room};
    unsigned transport = header->is_datagram ? TRANSPORT_DATAGRAM : TRANSPORT_STREAM;
    put(&head, signature, sizeof(signature));
    put_byte(&head, header->is_local ? COMMAND_LOCAL : COMMAND_PROXY);
    put_byte(&head, family == FAMILY_UNSPEC ? 0 : family << 4 | transport);
    put_number(&head, body.len - V2_HEAD_BYTES);
    return body.len;
}
