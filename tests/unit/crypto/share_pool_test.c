/* tests/unit/crypto/share_pool_test.c · SPDX-License-Identifier: Apache-2.0 */
#include "crypto/x25519_batch_fake.h"

#include "crypto/share_pool.c"

#include <setjmp.h>
#include <stdarg.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

static int set_up(void **state)
{
    static struct share_pool pool;
    memset(&fake_batch, 0, sizeof(fake_batch));
    pool = (struct share_pool){0};
    assert_true(share_pool_init(&pool));
    *state = &pool;
    return 0;
}

static int tear_down(void **state)
{
    share_pool_fini(*state);
    share_pool_fini(*state);
    return 0;
}

static bool is_wiped(const void *bytes, size_t len)
{
    const uint8_t *at = bytes;
    for (size_t i = 0; i < len; i++) {
        if (at[i] != 0) {
            return false;
        }
    }
    return true;
}

static void each_share_is_given_once_and_wiped(void **state)
{
    struct share_pool *pool = *state;
    static struct x25519_share taken[SHARE_POOL_MOST];
    struct x25519_share none;
    assert_false(share_pool_take(pool, &none));
    share_pool_refill(pool);
    assert_int_equal(share_pool_count(pool), SHARE_POOL_MOST);
    assert_int_equal(fake_batch.base_calls, SHARE_POOL_MOST / X25519_BATCH_LANES);
    for (size_t i = 0; i < SHARE_POOL_MOST; i++) {
        assert_true(share_pool_take(pool, &taken[i]));
        for (size_t j = 0; j < i; j++) {
            assert_memory_not_equal(taken[i].scalar, taken[j].scalar, X25519_BYTES);
        }
    }
    assert_false(share_pool_take(pool, &none));
    assert_true(is_wiped(pool->page.pages, pool->page.mapped));
    struct x25519 *openssl = x25519_new();
    for (size_t i = 0; i < SHARE_POOL_MOST; i++) {
        struct x25519_share share = taken[i];
        assert_true(x25519_complete_share(openssl, &share));
        assert_memory_equal(share.point, taken[i].point, X25519_BYTES);
    }
    x25519_free(openssl);
}

static void is_refilled_by_whole_batches(void **state)
{
    struct share_pool *pool = *state;
    struct x25519_share share;
    share_pool_refill(pool);
    fake_batch.base_calls = 0;
    for (size_t i = 1; i < X25519_BATCH_LANES; i++) {
        assert_true(share_pool_take(pool, &share));
        share_pool_refill(pool);
        assert_int_equal(share_pool_count(pool), SHARE_POOL_MOST - i);
    }
    assert_true(share_pool_take(pool, &share));
    share_pool_refill(pool);
    assert_int_equal(share_pool_count(pool), SHARE_POOL_MOST);
    assert_int_equal(fake_batch.base_calls, 1);
}

static void nothing_of_a_refused_batch_is_kept(void **state)
{
    struct share_pool *pool = *state;
    fake_batch.refused = 1 << 5;
    share_pool_refill(pool);
    assert_int_equal(share_pool_count(pool), 0);
    assert_true(is_wiped(pool->page.pages, pool->page.mapped));
}

static void a_forked_process_has_none(void **state)
{
    struct share_pool *pool = *state;
    share_pool_refill(pool);
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        struct x25519_share share;
        bool is_empty = is_wiped(pool->page.pages, pool->page.mapped);
        _exit(is_empty && !share_pool_take(pool, &share) ? 0 : 1);
    }
    int status = 0;
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_int_equal(status, 0);
    assert_int_equal(share_pool_count(pool), SHARE_POOL_MOST);
}

static void one_that_was_never_made_is_empty(void **state)
{
    (void)state;
    struct share_pool pool = {0};
    struct x25519_share share;
    share_pool_refill(&pool);
    assert_int_equal(share_pool_count(&pool), 0);
    assert_false(share_pool_take(&pool, &share));
    share_pool_fini(&pool);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(each_share_is_given_once_and_wiped, set_up, tear_down),
        cmocka_unit_test_setup_teardown(is_refilled_by_whole_batches, set_up, tear_down),
        cmocka_unit_test_setup_teardown(nothing_of_a_refused_batch_is_kept, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_forked_process_has_none, set_up, tear_down),
        cmocka_unit_test(one_that_was_never_made_is_empty),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
