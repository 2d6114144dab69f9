/* tests/fuzz/dns_message_fuzz.c
 *
 * The input stands behind the head and question of a query, as an answer's records do, with its
 * own first bytes as flags and counts. A piece of the message never tells of more than the whole.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include <stdint.h>

#include "proxy/base/assert.h"
#include "proxy/net/dns_message.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len);

enum { FLAGS_AT = 2, FLAGS_BYTES = 2, COUNTS_AT = 6, COUNTS_BYTES = 6, MESSAGE_BYTES = 2048 };

static void check(slice message, slice query)
{
    struct dns_answer answer;
    for (size_t len = message.len; len > 0; len--) {
        dns_answer_parse(slice_first(message, len), query, &answer);
        assert_always(answer.count <= DNS_ADDRESSES_MAX);
        assert_always((answer.outcome == DNS_FOUND) == (answer.count > 0));
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
    char query[DNS_QUERY_BYTES];
    char message[MESSAGE_BYTES];
    const enum dns_type types[] = {DNS_TYPE_A, DNS_TYPE_AAAA};
    if (len < FLAGS_BYTES + COUNTS_BYTES || len > MESSAGE_BYTES - DNS_QUERY_BYTES) {
        return 0;
    }
    for (size_t i = 0; i < 2; i++) {
        size_t query_len = dns_query_write(query, 7, SLICE("a.test"), types[i]);
        assert_always(query_len > 0);
        check((slice){(const char *)bytes, len}, (slice){query, query_len});
        memcpy(message, query, query_len);
        memcpy(message + FLAGS_AT, bytes, FLAGS_BYTES);
        memcpy(message + COUNTS_AT, bytes + FLAGS_BYTES, COUNTS_BYTES);
        size_t rest = len - FLAGS_BYTES - COUNTS_BYTES;
        memcpy(message + query_len, bytes + FLAGS_BYTES + COUNTS_BYTES, rest);
        check((slice){message, query_len + rest}, (slice){query, query_len});
    }
    return 0;
}
