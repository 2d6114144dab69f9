/* tests/unit/proxy/relay/random_pool_test.c · SPDX-License-Identifier: Apache-2.0 */
#include "proxy/relay/random_pool.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

enum { ID_BYTES = 8, IDS = 2000 };

/* Far more than one page: no byte is given out twice, so no id comes twice. */
static void ids_do_not_repeat_across_refills(void **state)
{
    (void)state;
    static uint8_t ids[IDS][ID_BYTES];
    struct random_pool pool = {0};
    const struct random_source source = random_pool_source(&pool);
    for (size_t i = 0; i < IDS; i++) {
        source.fill(source.self, ids[i], ID_BYTES);
        for (size_t j = 0; j < i; j++) {
            assert_memory_not_equal(ids[i], ids[j], ID_BYTES);
        }
    }
}

static void a_request_larger_than_what_is_left_comes_from_a_new_page(void **state)
{
    (void)state;
    struct random_pool pool = {0};
    const struct random_source source = random_pool_source(&pool);
    uint8_t small[1];
    source.fill(source.self, small, sizeof(small));
    uint8_t all[RANDOM_POOL_BYTES] = {0};
    source.fill(source.self, all, sizeof(all));
    assert_int_equal(pool.left, 0);
    size_t zeros = 0;
    for (size_t i = 0; i < sizeof(all); i++) {
        zeros += all[i] == 0 ? 1U : 0U;
    }
    assert_true(zeros < 200); /* 16 are to be expected */
}

static void two_pools_differ(void **state)
{
    (void)state;
    struct random_pool pools[2] = {{0}, {0}};
    uint8_t bytes[2][32];
    for (size_t i = 0; i < 2; i++) {
        const struct random_source source = random_pool_source(&pools[i]);
        source.fill(source.self, bytes[i], sizeof(bytes[i]));
    }
    assert_memory_not_equal(bytes[0], bytes[1], sizeof(bytes[0]));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(ids_do_not_repeat_across_refills),
        cmocka_unit_test(a_request_larger_than_what_is_left_comes_from_a_new_page),
        cmocka_unit_test(two_pools_differ),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
