/* proxy/net/dns_message.c · SPDX-License-Identifier: Apache-2.0 */
#include "proxy/net/dns_message.h"

enum {
    HEADER_BYTES = 12,
    CLASS_IN = 1,
    TYPE_CNAME = 5,
    TYPE_SOA = 6,
    LABEL_MAX = 63,
    FLAGS_HIGH_RESPONSE = 0x80,
    FLAGS_HIGH_OPCODE = 0x78,
    FLAGS_HIGH_TRUNCATED = 0x02,
    FLAGS_HIGH_RECURSE = 0x01,
    FLAGS_LOW_CODE = 0x0f,
    CODE_NO_NAME = 3,
    SOA_FIXED_BYTES = 20,
    POINTER = 0xc0,
};

bool dns_name_is_valid(slice name)
{
    if (name.len == 0 || name.len >= DNS_NAME_TEXT) {
        return false;
    }
    size_t label = 0;
    for (size_t i = 0; i < name.len; i++) {
        if (name.at[i] == '.') {
            if (label == 0) {
                return false;
            }
            label = 0;
            continue;
        }
        if (name.at[i] <= ' ' || name.at[i] > '~' || ++label > LABEL_MAX) {
            return false;
        }
    }
    return label > 0;
}

/* RFC 1035 §3.1: each label after its length, an empty one at the end. */
static size_t write_name(char *out, slice name)
{
    size_t at = 0;
    while (name.len > 0) {
        size_t label = slice_find(name, '.');
        out[at++] = (char)label;
        memcpy(out + at, name.at, label);
        at += label;
        name = slice_from(name, label < name.len ? label + 1 : label);
    }
    out[at++] = 0;
    return at;
}

size_t dns_query_write(char out[DNS_QUERY_BYTES], uint16_t id, slice name, enum dns_type type)
{
    if (!dns_name_is_valid(name)) {
        return 0;
    }
    memset(out, 0, HEADER_BYTES);
    out[0] = (char)(id >> 8);
    out[1] = (char)(id & 0xff);
    out[2] = FLAGS_HIGH_RECURSE;
    out[5] = 1; /* one question */
    size_t at = HEADER_BYTES + write_name(out + HEADER_BYTES, name);
    const char tail[] = {0, (char)type, 0, CLASS_IN};
    memcpy(out + at, tail, sizeof(tail));
    return at + sizeof(tail);
}

/* ---- reading ---- */

static unsigned byte_at(slice message, size_t at)
{
    return (unsigned char)message.at[at];
}

static unsigned read_16(slice message, size_t at)
{
    return byte_at(message, at) << 8 | byte_at(message, at + 1);
}

static uint32_t read_32(slice message, size_t at)
{
    return (uint32_t)read_16(message, at) << 16 | read_16(message, at + 2);
}

/* Steps over a name; where a pointer leads is of no interest. False: it does not end. */
static bool skip_name(slice message, size_t *at)
{
    while (*at < message.len) {
        unsigned label = byte_at(message, *at);
        if ((label & POINTER) == POINTER) {
            *at += 2;
            return *at <= message.len;
        }
        if (label > LABEL_MAX) {
            return false;
        }
        *at += 1 + label;
        if (label == 0) {
            return *at <= message.len;
        }
    }
    return false;
}

struct record {
    unsigned type;
    unsigned class;
    uint32_t ttl_s;
    slice content;
};

static bool next_record(slice message, size_t *at, struct record *record)
{
    enum { FIXED_BYTES = 10 };
    if (!skip_name(message, at) || message.len - *at < FIXED_BYTES) {
        return false;
    }
    *record = (struct record){.type = read_16(message, *at),
                              .class = read_16(message, *at + 2),
                              .ttl_s = read_32(message, *at + 4)};
    size_t len = read_16(message, *at + 8);
    *at += FIXED_BYTES;
    if (message.len - *at < len) {
        return false;
    }
    record->content = (slice){message.at + *at, len};
    *at += len;
    /* RFC 2181 §8: the highest bit set means zero. */
    record->ttl_s = record->ttl_s > INT32_MAX ? 0 : record->ttl_s;
    return true;
}

/* Same id, a response to a standard query, and the question as it was asked. Names are equal but
 * for case (RFC 1035 §2.3.3); folding the whole question folds its type and class too, which have
 * no other value that would then be equal. */
static bool is_answer_to(slice message, slice query)
{
    return message.len >= query.len && memcmp(message.at, query.at, 2) == 0 &&
           (byte_at(message, 2) & FLAGS_HIGH_RESPONSE) != 0 &&
           (byte_at(message, 2) & FLAGS_HIGH_OPCODE) == 0 && read_16(message, 4) == 1 &&
           slice_equal_nocase(
               slice_first(slice_from(message, HEADER_BYTES), query.len - HEADER_BYTES),
               slice_from(query, HEADER_BYTES));
}

/* The answer section: addresses, and the aliases that led to them. False: malformed. */
static bool read_addresses(slice message, size_t *at, unsigned type, struct dns_answer *answer)
{
    size_t address_bytes = type == DNS_TYPE_A ? 4 : 16;
    unsigned records = read_16(message, 6);
    uint32_t ttl_s = UINT32_MAX;
    for (unsigned i = 0; i < records; i++) {
        struct record record;
        if (!next_record(message, at, &record)) {
            return false;
        }
        bool is_wanted = record.type == type && record.class == CLASS_IN;
        if (is_wanted && record.content.len != address_bytes) {
            return false;
        }
        if (is_wanted && answer->count < DNS_ADDRESSES_MAX) {
            memcpy(answer->at[answer->count++], record.content.at, address_bytes);
        }
        if ((is_wanted || record.type == TYPE_CNAME) && record.ttl_s < ttl_s) {
            ttl_s = record.ttl_s;
        }
    }
    answer->ttl_s = answer->count > 0 ? ttl_s : 0;
    return true;
}

/* The authority section of a negative answer: for how long it holds (RFC 2308 §5). */
static uint32_t read_negative_ttl(slice message, size_t at)
{
    unsigned records = read_16(message, 8);
    for (unsigned i = 0; i < records; i++) {
        struct record record;
        if (!next_record(message, &at, &record)) {
            return 0;
        }
        if (record.type == TYPE_SOA && record.content.len > SOA_FIXED_BYTES) {
            uint32_t least = read_32(record.content, record.content.len - 4);
            return least < record.ttl_s ? least : record.ttl_s;
        }
    }
    return 0;
}

void dns_answer_parse(slice message, slice query, struct dns_answer *answer)
{
    *answer = (struct dns_answer){.outcome = DNS_UNANSWERED};
    if (query.len < HEADER_BYTES || !is_answer_to(message, query)) {
        return;
    }
    answer->outcome = DNS_FAILED;
    unsigned code = byte_at(message, 3) & FLAGS_LOW_CODE;
    if (code != 0 && code != CODE_NO_NAME) {
        return;
    }
    if ((byte_at(message, 2) & FLAGS_HIGH_TRUNCATED) != 0) {
        answer->outcome = DNS_TRUNCATED;
        return;
    }
    size_t at = query.len;
    unsigned type = read_16(query, query.len - 4);
    if (!read_addresses(message, &at, type, answer)) {
        *answer = (struct dns_answer){.outcome = DNS_FAILED};
        return;
    }
    if (code == 0 && answer->count > 0) {
        answer->outcome = DNS_FOUND;
        return;
    }
    answer->count = 0;
    answer->outcome = code == CODE_NO_NAME ? DNS_NO_NAME : DNS_NO_ADDRESS;
    answer->ttl_s = read_negative_ttl(message, at);
}
