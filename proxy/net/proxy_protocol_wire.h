/* proxy/net/proxy_protocol_wire.h
 *
 * The numbers of PROXY protocol version 2, for the two files that read and write it.
 *
 *   signature(12) version|command(1) family|transport(1) length(2) addresses TLVs
 *   a TLV: type(1) length(2) value
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#pragma once

#include "proxy/net/proxy_protocol.h"

enum { V2_HEAD_BYTES = 16, V2_LENGTH_MAX = PROXY_PROTOCOL_V2_BYTES - V2_HEAD_BYTES };
enum { COMMAND_LOCAL = 0x20, COMMAND_PROXY = 0x21 };
enum { FAMILY_UNSPEC = 0, FAMILY_INET = 1, FAMILY_INET6 = 2, FAMILY_UNIX = 3 };
enum { TRANSPORT_STREAM = 1, TRANSPORT_DATAGRAM = 2 };
enum { UNIX_PATH_BYTES = 108, UNIQUE_ID_MAX = 128, TLV_HEAD_BYTES = 3, TLS_HEAD_BYTES = 5 };

enum tlv {
    TLV_ALPN = 0x01,
    TLV_AUTHORITY = 0x02,
    TLV_CRC32C = 0x03,
    TLV_UNIQUE_ID = 0x05,
    TLV_TLS = 0x20,
    TLV_TLS_VERSION = 0x21,
    TLV_TLS_COMMON_NAME = 0x22,
    TLV_TLS_CIPHER = 0x23,
};

enum { TLS_USED = 0x01, TLS_CERT_THIS_CONN = 0x02, TLS_CERT_THIS_SESSION = 0x04 };

static const char signature[12] = "\r\n\r\n\0\r\nQUIT\n";
