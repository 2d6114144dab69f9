/* tests/fuzz/lzw_fuzz.c
 *
 * Bounded by the limit, and what unpacks to some length does so with just that limit and not with
 * one byte less.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include <stdint.h>
#include <stdlib.h>

#include "proxy/base/assert.h"
#include "proxy/gossip/lzw.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len);

enum { LIMIT = 1 << 20 };

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
    slice packed = {(const char *)bytes, len};
    char *unpacked = NULL;
    char *again = NULL;
    size_t unpacked_len = 0;
    size_t again_len = 0;
    enum status status = lzw_unpack(packed, LIMIT, &unpacked, &unpacked_len);
    assert_always(status == STATUS_OK || unpacked == NULL);
    if (status != STATUS_OK) {
        return 0;
    }
    assert_always(unpacked_len <= LIMIT);
    assert_always(lzw_unpack(packed, unpacked_len, &again, &again_len) == STATUS_OK);
    assert_always(again_len == unpacked_len && memcmp(unpacked, again, again_len) == 0);
    free(again);
    again = NULL;
    if (unpacked_len > 0) {
        assert_always(lzw_unpack(packed, unpacked_len - 1, &again, &again_len) == STATUS_REFUSED);
    }
    free(unpacked);
    return 0;
}
