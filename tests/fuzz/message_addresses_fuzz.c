/* tests/fuzz/message_addresses_fuzz.c
 *
 * A second look shows the same addresses, and a callback that stops at the last one is obeyed.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include <stdint.h>

#include "proxy/base/assert.h"
#include "proxy/gossip/message_addresses.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len);

struct shown {
    size_t count;
    size_t stop_at;
    uint32_t sum;
};

static bool show(void *self, slice ip, uint16_t port)
{
    struct shown *shown = self;
    for (size_t i = 0; i < ip.len; i++) {
        shown->sum = shown->sum * 31 + (uint8_t)ip.at[i];
    }
    shown->sum = shown->sum * 31 + port;
    return ++shown->count != shown->stop_at;
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
    slice message = {(const char *)bytes, len};
    struct shown first = {0, 0, 0};
    struct shown second = {0, 0, 0};
    enum status status = message_addresses(message, show, &first);
    assert_always(status == STATUS_OK || status == STATUS_PEER);
    assert_always(message_addresses(message, show, &second) == status);
    assert_always(first.count == second.count && first.sum == second.sum);
    if (first.count > 0) {
        struct shown stopped = {0, first.count, 0};
        assert_always(message_addresses(message, show, &stopped) == STATUS_REFUSED);
        assert_always(stopped.count == first.count);
    }
    return 0;
}
