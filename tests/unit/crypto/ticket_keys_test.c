/* tests/unit/crypto/ticket_keys_test.c · SPDX-License-Identifier: Apache-2.0 */
#include "crypto/ticket_keys.h"

#include "crypto/secret.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

static struct secret secret_of(uint8_t byte, size_t len)
{
    struct secret secret;
    uint8_t bytes[64];
    memset(bytes, byte, sizeof(bytes));
    assert_true(secret_init(&secret, sizeof(bytes)) && secret_set(&secret, bytes, len));
    return secret;
}

/* Computed apart, with Python's hmac: HKDF-SHA256, no salt, info = label, 41000, 43200. */
static void keys_are_those_of_the_documented_derivation(void **state)
{
    (void)state;
    static const uint8_t name[] = {0x15, 0x6f, 0x54, 0x02, 0xfe, 0x83, 0xfc, 0x71,
                                   0x92, 0x48, 0x32, 0xc6, 0x65, 0x1d, 0xcb, 0xf5};
    static const uint8_t hmac_end[] = {0x02, 0x38, 0xa0, 0x4f, 0x0e, 0x8d, 0x83, 0xa5};
    struct secret secret = secret_of(0x5a, 32);
    struct ticket_keys keys;
    assert_true(ticket_keys_derive(&keys, &secret, 41000, 43200));
    assert_int_equal(keys.epoch, 41000);
    assert_memory_equal(keys.name, name, sizeof(name));
    assert_memory_equal(keys.hmac + 24, hmac_end, sizeof(hmac_end));
    secret_fini(&secret);
}

static void secret_epoch_and_length_each_change_everything(void **state)
{
    (void)state;
    struct secret one = secret_of(1, 32);
    struct secret two = secret_of(2, 32);
    struct secret longer = secret_of(1, 33);
    struct ticket_keys keys[5];
    assert_true(ticket_keys_derive(&keys[0], &one, 7, 3600));
    assert_true(ticket_keys_derive(&keys[1], &two, 7, 3600));
    assert_true(ticket_keys_derive(&keys[2], &one, 8, 3600));
    assert_true(ticket_keys_derive(&keys[3], &one, 7, 3601));
    assert_true(ticket_keys_derive(&keys[4], &longer, 7, 3600));
    for (size_t i = 0; i < 5; i++) {
        for (size_t j = i + 1; j < 5; j++) {
            assert_memory_not_equal(keys[i].name, keys[j].name, TICKET_NAME_BYTES);
            assert_memory_not_equal(keys[i].aes, keys[j].aes, TICKET_AES_BYTES);
            assert_memory_not_equal(keys[i].hmac, keys[j].hmac, TICKET_HMAC_BYTES);
        }
    }
    secret_fini(&one);
    secret_fini(&two);
    secret_fini(&longer);
}

static void short_secrets_are_refused(void **state)
{
    (void)state;
    struct secret secret = secret_of(1, 31);
    struct ticket_keys keys;
    memset(&keys, 1, sizeof(keys));
    assert_false(ticket_keys_derive(&keys, &secret, 7, 3600));
    static const struct ticket_keys nothing;
    assert_memory_equal(&keys, &nothing, sizeof(keys));
    secret_fini(&secret);
}

static void epochs_change_at_multiples_of_their_length(void **state)
{
    (void)state;
    assert_int_equal(ticket_epoch(0, 3600), 0);
    assert_int_equal(ticket_epoch(3599, 3600), 0);
    assert_int_equal(ticket_epoch(3600, 3600), 1);
    assert_int_equal(ticket_epoch(1, 0), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(keys_are_those_of_the_documented_derivation),
        cmocka_unit_test(secret_epoch_and_length_each_change_everything),
        cmocka_unit_test(short_secrets_are_refused),
        cmocka_unit_test(epochs_change_at_multiples_of_their_length),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
