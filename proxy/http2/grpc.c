/* proxy/http2/grpc.c · SPDX-License-Identifier: Apache-2.0 */
#include "proxy/http2/grpc.h"

enum { PREFIX_BYTES = 5 };

bool grpc_messages_take(struct grpc_messages *messages, slice bytes, uint64_t limit)
{
    while (bytes.len > 0) {
        if (messages->left > 0) {
            size_t part = messages->left < bytes.len ? (size_t)messages->left : bytes.len;
            messages->left -= part;
            bytes = slice_from(bytes, part);
            continue;
        }
        /* The first byte, of compression, leaves by the top of the four that follow it. */
        messages->len = messages->len << 8 | (unsigned char)bytes.at[0];
        messages->prefix_bytes++;
        bytes = slice_from(bytes, 1);
        if (messages->prefix_bytes == PREFIX_BYTES) {
            messages->prefix_bytes = 0;
            messages->left = messages->len;
            if (messages->left > limit) {
                return false;
            }
        }
    }
    return true;
}
