/* tests/unit/crypto/key_scheme_test.c · SPDX-License-Identifier: Apache-2.0 */
#include "crypto/key_scheme.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>

#include <cmocka.h>

static void each_number_of_the_table_is_its_own_row(void **state)
{
    (void)state;
    for (unsigned number = 1; number <= KEY_SCHEME_COUNT; number++) {
        const struct key_scheme_facts *facts = key_scheme_facts(number);
        assert_non_null(facts);
        assert_int_equal(facts->scheme, number);
        assert_true(facts->hash_bytes <= KEY_HASH_BYTES_MAX);
        assert_ptr_equal(key_scheme_find(facts->family, facts->digest), facts);
    }
}

static void numbers_outside_the_table_are_unknown(void **state)
{
    (void)state;
    assert_null(key_scheme_facts(0));
    assert_null(key_scheme_facts(KEY_SCHEME_COUNT + 1));
    assert_null(key_scheme_facts(255));
}

static void digests_have_several_names(void **state)
{
    (void)state;
    static const struct {
        const char *name;
        size_t hash_bytes;
    } rows[] = {{"SHA256", 32},  {"sha256", 32}, {"SHA2-256", 32},   {"SHA-256", 32},
                {"SHA384", 48},  {"SHA512", 64}, {"SHA2-512", 64},   {"SHA1", 0},
                {"MD5-SHA1", 0}, {"", 0},        {"SHA2-512/256", 0}};
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        const struct key_scheme_facts *facts = key_scheme_find(KEY_FAMILY_RSA_PSS, rows[i].name);
        assert_int_equal(facts != NULL ? facts->hash_bytes : 0, rows[i].hash_bytes);
    }
    assert_null(key_scheme_find(KEY_FAMILY_ECDSA, NULL));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_number_of_the_table_is_its_own_row),
        cmocka_unit_test(numbers_outside_the_table_are_unknown),
        cmocka_unit_test(digests_have_several_names),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
