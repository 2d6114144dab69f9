/* proxy/net/dns_message.h
 *
 * DNS messages as bytes (RFC 1035 §4): one question for the addresses of a name, and its answer.
 * It exists apart from the resolver because whatever is on the network may send the answer.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "proxy/base/slice.h"

enum {
    DNS_QUERY_BYTES = 12 + 255 + 4,
    DNS_NAME_TEXT = 254, /* 253 characters and NUL */
    DNS_UDP_BYTES = 512, /* what a server may send without EDNS (RFC 1035 §4.2.1) */
    DNS_ADDRESSES_MAX = 16,
};

enum dns_type { DNS_TYPE_A = 1, DNS_TYPE_AAAA = 28 };

enum dns_outcome {
    DNS_UNANSWERED, /* nothing came yet, or what came is no answer to the query */
    DNS_FOUND,      /* addresses */
    DNS_NO_ADDRESS, /* the name is there, but has none of this type */
    DNS_NO_NAME,    /* there is no such name */
    DNS_TRUNCATED,  /* ask again over TCP */
    DNS_FAILED,     /* this server cannot tell: another may */
};

struct dns_answer {
    enum dns_outcome outcome;
    uint32_t ttl_s; /* for how long the outcome holds; 0 when the answer does not say */
    size_t count;
    uint8_t at[DNS_ADDRESSES_MAX][16]; /* network order; 4 bytes of it for DNS_TYPE_A */
};

/* True for what can be asked: labels of 1 to 63 characters, 253 in all, no dot at the end. */
bool dns_name_is_valid(slice name);

/* Writes a query and returns its length. 0: the name is not valid. */
size_t dns_query_write(char out[DNS_QUERY_BYTES], uint16_t id, slice name, enum dns_type type);

/* Reads what came from the server that `query` was sent to. DNS_UNANSWERED: not an answer to it
 * (wrong id, another question, no whole header): go on waiting, as somebody may be guessing. */
void dns_answer_parse(slice message, slice query, struct dns_answer *answer);
