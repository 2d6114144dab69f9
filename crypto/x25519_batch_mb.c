/* crypto/x25519_batch_mb.c
 *
 * With libcrypto-mb (Intel Cryptography Primitives, multi-buffer), on processors with the
 * instructions that it needs (AVX-512 IFMA). A call computes eight lanes whatever it is given.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "crypto/x25519_batch.h"

#include <crypto_mb/cpu_features.h>
#include <crypto_mb/x25519.h>
#include <openssl/crypto.h>

/* The lanes as the library wants them: a row of pointers a number. */
struct rows {
    const int8u *scalar[X25519_BATCH_LANES];
    const int8u *point[X25519_BATCH_LANES];
    int8u *out[X25519_BATCH_LANES];
    uint8_t spare[X25519_BYTES]; /* where lanes that nobody asked for end */
};

bool x25519_batch_is_there(void)
{
    return mbx_is_crypto_mb_applicable(0) != 0;
}

/* Lanes left over compute the first one again, which costs nothing and has no special case. */
static void fill_rows(struct rows *rows, const struct x25519_lane *lanes, size_t count)
{
    for (size_t i = 0; i < X25519_BATCH_LANES; i++) {
        const struct x25519_lane *lane = &lanes[i < count ? i : 0];
        rows->scalar[i] = lane->scalar;
        rows->point[i] = lane->point;
        rows->out[i] = i < count ? lane->out : rows->spare;
    }
}

static void tell(struct x25519_lane *lanes, size_t count, mbx_status status)
{
    for (size_t i = 0; i < count; i++) {
        lanes[i].is_computed = MBX_GET_STS(status, (int)i) == MBX_STATUS_OK;
    }
}

void x25519_batch_base(struct x25519_lane *lanes, size_t count)
{
    struct rows rows;
    fill_rows(&rows, lanes, count);
    tell(lanes, count, mbx_x25519_public_key_mb8(rows.out, rows.scalar));
}

void x25519_batch_points(struct x25519_lane *lanes, size_t count)
{
    struct rows rows;
    fill_rows(&rows, lanes, count);
    tell(lanes, count, mbx_x25519_mb8(rows.out, rows.scalar, rows.point));
    OPENSSL_cleanse(rows.spare, sizeof(rows.spare)); /* the first lane's secret */
}
