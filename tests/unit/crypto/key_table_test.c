/* tests/unit/crypto/key_table_test.c · SPDX-License-Identifier: Apache-2.0 */
#include "crypto/key_table.h"

#include "crypto/rig.h"
#include "crypto/signing_key.h"

enum { MOST = 50 };

static struct signing_key *key_new(void)
{
    struct signing_key *key = signing_key_new(rig_key_new(false));
    assert_non_null(key);
    return key;
}

static void keys_are_found_in_whatever_order_they_came(void **state)
{
    (void)state;
    static const uint32_t ids[] = {5, 0, UINT32_MAX, 7, 6, 1};
    struct key_table table = {0};
    struct signing_key *keys[6];
    for (size_t i = 0; i < 6; i++) {
        assert_null(key_table_find(&table, ids[i]));
        keys[i] = key_new();
        assert_true(key_table_put(&table, ids[i], keys[i], MOST));
    }
    for (size_t i = 0; i < 6; i++) {
        assert_ptr_equal(key_table_find(&table, ids[i]), keys[i]);
    }
    key_table_remove(&table, 6);
    key_table_remove(&table, 6);
    assert_null(key_table_find(&table, 6));
    assert_ptr_equal(key_table_find(&table, 7), keys[3]);
    assert_null(key_table_find(&table, 2));
    key_table_fini(&table);
    assert_null(key_table_find(&table, 5));
}

static void an_id_put_again_gets_the_new_key(void **state)
{
    (void)state;
    struct key_table table = {0};
    assert_true(key_table_put(&table, 1, key_new(), 1));
    struct signing_key *newer = key_new();
    assert_true(key_table_put(&table, 1, newer, 1));
    assert_ptr_equal(key_table_find(&table, 1), newer);
    assert_false(key_table_put(&table, 2, key_new(), 1));
    key_table_fini(&table);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(keys_are_found_in_whatever_order_they_came),
        cmocka_unit_test(an_id_put_again_gets_the_new_key),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
