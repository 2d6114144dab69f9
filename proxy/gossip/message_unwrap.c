/* proxy/gossip/message_unwrap.c · SPDX-License-Identifier: Apache-2.0 */
#include "proxy/gossip/message_unwrap.h"

#include <stdint.h>
#include <stdlib.h>

#include "proxy/gossip/lzw.h"
#include "proxy/gossip/message_type.h"
#include "proxy/gossip/msgpack.h"

enum {
    CHECKSUM_BYTES = 4,
    LENGTH_BYTES = 2,
    /* Of a compound. Readers (0.2.2) reckon the bytes of the lengths in 8 bits, and take other
     * bytes for the parts when there are more; a packet has no room for so many anyhow. */
    PARTS_MAX = 127,
};

struct unwrapping {
    message_part_callback *on_part;
    void *self;
    size_t packed_room; /* bytes that may still be unpacked */
    unsigned depth;
};

static uint8_t byte_at(slice s, size_t at)
{
    return (uint8_t)s.at[at];
}

/* CRC-32 as in IEEE 802.3, four bits a step. */
static uint32_t checksum(slice s)
{
    static const uint32_t steps[16] = {
        0x00000000, 0x1db71064, 0x3b6e20c8, 0x26d930ac, 0x76dc4190, 0x6b6b51f4,
        0x4db26158, 0x5005713c, 0xedb88320, 0xf00f9344, 0xd6d6a3e8, 0xcb61b38c,
        0x9b64c2b0, 0x86d3d2d4, 0xa00ae278, 0xbdbdf21c,
    };
    uint32_t sum = UINT32_MAX;
    for (size_t i = 0; i < s.len; i++) {
        sum ^= byte_at(s, i);
        sum = sum >> 4 ^ steps[sum & 15];
        sum = sum >> 4 ^ steps[sum & 15];
    }
    return ~sum;
}

/* Outermost only: readers do not look for one further in. */
static enum status take_checksum(slice *message)
{
    if (message->len == 0 || byte_at(*message, 0) != MESSAGE_CHECKSUM) {
        return STATUS_OK;
    }
    if (message->len < 1 + CHECKSUM_BYTES) {
        return STATUS_PEER;
    }
    uint32_t said = 0;
    for (size_t i = 1; i <= CHECKSUM_BYTES; i++) {
        said = said << 8 | byte_at(*message, i);
    }
    *message = slice_from(*message, 1 + CHECKSUM_BYTES);
    return checksum(*message) == said ? STATUS_OK : STATUS_PEER;
}

static enum status unwrap(struct unwrapping *unwrapping, slice message);

/* After the type: how many, their lengths, and they. */
static enum status unwrap_compound(struct unwrapping *unwrapping, slice body)
{
    if (body.len == 0 || byte_at(body, 0) > PARTS_MAX) {
        return STATUS_PEER;
    }
    size_t count = byte_at(body, 0);
    slice lengths = slice_from(body, 1);
    if (lengths.len < count * LENGTH_BYTES) {
        return STATUS_PEER;
    }
    slice parts = slice_from(lengths, count * LENGTH_BYTES);
    for (size_t i = 0; i < count; i++) {
        size_t len = (size_t)byte_at(lengths, LENGTH_BYTES * i) << 8 |
                     byte_at(lengths, LENGTH_BYTES * i + 1);
        if (len > parts.len) {
            return STATUS_PEER;
        }
        enum status status = unwrap(unwrapping, slice_first(parts, len));
        if (status != STATUS_OK) {
            return status;
        }
        parts = slice_from(parts, len);
    }
    return parts.len == 0 ? STATUS_OK : STATUS_PEER;
}

/* The map after the type: {Algo: 0, Buf}. A field that is there twice is refused, since readers do
 * not agree which one counts. */
static enum status take_packed(slice body, slice *packed)
{
    uint64_t pairs = 0;
    bool has_algorithm = false;
    enum status status = msgpack_take_map(&body, &pairs);
    for (; status == STATUS_OK && pairs > 0; pairs--) {
        slice name;
        uint64_t algorithm = 0;
        status = msgpack_take_bytes(&body, &name);
        if (status != STATUS_OK) {
            return status;
        }
        if (slice_equal(name, SLICE("Buf")) && packed->at == NULL) {
            status = msgpack_take_bytes(&body, packed);
        } else if (slice_equal(name, SLICE("Algo")) && !has_algorithm) {
            has_algorithm = true;
            status = msgpack_take_number(&body, &algorithm);
            status = algorithm != 0 ? STATUS_PEER : status;
        } else {
            return STATUS_PEER;
        }
    }
    return status == STATUS_OK && packed->at != NULL && body.len == 0 ? STATUS_OK : STATUS_PEER;
}

static enum status unwrap_compressed(struct unwrapping *unwrapping, slice body)
{
    slice packed = {NULL, 0};
    char *unpacked = NULL;
    size_t len = 0;
    enum status status = take_packed(body, &packed);
    if (status == STATUS_OK) {
        status = lzw_unpack(packed, unwrapping->packed_room, &unpacked, &len);
    }
    if (status != STATUS_OK) {
        return status == STATUS_NOMEM ? STATUS_NOMEM : STATUS_PEER;
    }
    unwrapping->packed_room -= len;
    status = unwrap(unwrapping, (slice){unpacked, len});
    free(unpacked);
    return status;
}

static enum status unwrap(struct unwrapping *unwrapping, slice message)
{
    if (message.len == 0) {
        return STATUS_PEER;
    }
    uint8_t type = byte_at(message, 0);
    if (type != MESSAGE_COMPOUND && type != MESSAGE_COMPRESS) {
        return unwrapping->on_part(unwrapping->self, message);
    }
    if (unwrapping->depth == MESSAGE_WRAPPERS_MAX) {
        return STATUS_PEER;
    }
    unwrapping->depth++;
    slice body = slice_from(message, 1);
    enum status status = type == MESSAGE_COMPOUND ? unwrap_compound(unwrapping, body)
                                                  : unwrap_compressed(unwrapping, body);
    unwrapping->depth--;
    return status;
}

enum status message_unwrap(slice message, size_t room, message_part_callback *on_part, void *self)
{
    struct unwrapping unwrapping = {.on_part = on_part, .self = self, .packed_room = room};
    enum status status = take_checksum(&message);
    return status == STATUS_OK ? unwrap(&unwrapping, message) : status;
}
