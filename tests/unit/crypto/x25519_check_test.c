/* tests/unit/crypto/x25519_check_test.c · SPDX-License-Identifier: Apache-2.0 */
#include "crypto/x25519_batch_fake.h"
#include "crypto/x25519_check.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

static void a_sound_library_passes(void **state)
{
    (void)state;
    struct x25519 *openssl = x25519_new();
    assert_true(x25519_check_batches(openssl));
    x25519_free(openssl);
}

static void a_fault_in_any_lane_is_found(void **state)
{
    (void)state;
    struct x25519 *openssl = x25519_new();
    for (unsigned lane = 0; lane < X25519_BATCH_LANES; lane++) {
        fake_batch.faulty_lane = lane + 1;
        assert_false(x25519_check_batches(openssl));
        fake_batch.faulty_lane = 0;
        fake_batch.refused = 1U << lane;
        assert_false(x25519_check_batches(openssl));
        fake_batch.refused = 0;
    }
    x25519_free(openssl);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_sound_library_passes),
        cmocka_unit_test(a_fault_in_any_lane_is_found),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
