/* proxy/net/proxy_protocol.h
 *
 * The PROXY protocol, versions 1 (text) and 2 (binary): a header before everything else by which
 * one proxy tells the next whose conn it carries. Pure bytes: whether the sender may be believed
 * is the caller's question (trusted_proxies).
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#pragma once

#include <stdbool.h>
#include <sys/socket.h>

#include "proxy/base/slice.h"
#include "proxy/base/status.h"

enum {
    PROXY_PROTOCOL_V1_BYTES = 107,  /* the longest line, CRLF included */
    PROXY_PROTOCOL_V2_BYTES = 2064, /* the longest header that we take: 16 and 2 KiB */
};

struct proxy_protocol {
    unsigned version; /* 1 or 2 */
    bool is_local;    /* the sender's own conn (v2 LOCAL, a health check) or v1 UNKNOWN: the
                         addresses are those of the transport; source and destination unset */
    bool is_datagram; /* v2: UDP or unix datagram */
    struct sockaddr_storage source; /* AF_INET, AF_INET6, AF_UNIX or AF_UNSPEC (not told) */
    struct sockaddr_storage destination;
    /* v2 only; slices into the parsed bytes, empty when not told */
    slice alpn;
    slice authority; /* the server name that the client asked for */
    slice unique_id;
    bool client_used_tls;
    bool client_verified; /* presented a certificate and it verified */
    slice tls_version;
    slice tls_cipher;
    slice tls_common_name;
};

/* Parses the header at the start of `bytes`; both versions are recognised.
 *   STATUS_OK     *consumed bytes are the header; what follows is the stream
 *   STATUS_AGAIN  a beginning of a header: more bytes are needed
 *   STATUS_PEER   not a PROXY header, or a malformed one (the CRC32c is checked if there is one) */
MUST_CHECK enum status proxy_protocol_parse(slice bytes, struct proxy_protocol *out,
                                            size_t *consumed);

/* Writes a header. Returns its length, or 0 if `room` is too small. Addresses of IPv4 and IPv6
 * mixed are told as IPv6. Version 1 tells TCP over IP only, and says UNKNOWN of anything else;
 * version 2 tells unix paths too, and the TLVs of the fields that are set. */
size_t proxy_protocol_write_v1(const struct proxy_protocol *header, char *out, size_t room);
size_t proxy_protocol_write_v2(const struct proxy_protocol *header, char *out, size_t room);
