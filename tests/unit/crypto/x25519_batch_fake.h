/* tests/unit/crypto/x25519_batch_fake.h
 *
 * crypto/x25519_batch.h by OpenSSL, so that what is built on it is tested on machines that cannot
 * compute in batches too; it can be told to refuse, or to compute wrongly. A test that includes it
 * is linked with it instead of the file that the build chose.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#pragma once

#include "crypto/x25519_batch.h"

#include <assert.h>
#include <string.h>

static struct {
    bool is_missing;      /* the machine cannot */
    unsigned refused;     /* bit i: the library refuses lane i */
    unsigned faulty_lane; /* 1 ..: a bit of this lane's result is flipped; 0: none */
    unsigned base_calls;
    unsigned point_calls;
    unsigned points; /* lanes of all point_calls */
    size_t last_count;
    size_t runs_of_ones; /* points that it must not be given */
} fake_batch;

bool x25519_batch_is_there(void)
{
    return !fake_batch.is_missing;
}

static void fake_end(struct x25519_lane *lanes, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        lanes[i].is_computed = (fake_batch.refused >> i & 1) == 0;
        if (fake_batch.faulty_lane == i + 1) {
            lanes[i].out[7] ^= 0x10;
        }
    }
}

void x25519_batch_base(struct x25519_lane *lanes, size_t count)
{
    assert(count >= 1 && count <= X25519_BATCH_LANES);
    fake_batch.base_calls++;
    struct x25519 *openssl = x25519_new();
    for (size_t i = 0; i < count; i++) {
        struct x25519_share share;
        memcpy(share.scalar, lanes[i].scalar, X25519_BYTES);
        bool is_made = x25519_complete_share(openssl, &share);
        assert(is_made);
        memcpy(lanes[i].out, share.point, X25519_BYTES);
    }
    x25519_free(openssl);
    fake_end(lanes, count);
}

/* As the library: all zero when the point has a low order, which OpenSSL refuses. */
static void fake_agree(struct x25519 *openssl, const struct x25519_lane *lane)
{
    struct x25519_share share;
    memcpy(share.scalar, lane->scalar, X25519_BYTES);
    bool is_made = x25519_complete_share(openssl, &share);
    assert(is_made);
    if (!x25519_agree(openssl, &share, lane->point, lane->out)) {
        memset(lane->out, 0, X25519_BYTES);
    }
}

void x25519_batch_points(struct x25519_lane *lanes, size_t count)
{
    static const uint8_t ONES[3] = {0xff, 0xff, 0xff};
    assert(count >= 1 && count <= X25519_BATCH_LANES);
    fake_batch.point_calls++;
    fake_batch.points += (unsigned)count;
    fake_batch.last_count = count;
    struct x25519 *openssl = x25519_new();
    for (size_t i = 0; i < count; i++) {
        fake_agree(openssl, &lanes[i]);
        if (memmem(lanes[i].point, X25519_BYTES, ONES, sizeof(ONES)) != NULL) {
            fake_batch.runs_of_ones++;
        }
    }
    x25519_free(openssl);
    fake_end(lanes, count);
}
