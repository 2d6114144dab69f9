/* crypto/x25519_batch_none.c: no library for it in this build · SPDX-License-Identifier: Apache-2.0
 */
#include "crypto/x25519_batch.h"

bool x25519_batch_is_there(void)
{
    return false;
}

static void refuse(struct x25519_lane *lanes, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        lanes[i].is_computed = false;
    }
}

void x25519_batch_base(struct x25519_lane *lanes, size_t count)
{
    refuse(lanes, count);
}

void x25519_batch_points(struct x25519_lane *lanes, size_t count)
{
    refuse(lanes, count);
}
