/* tests/unit/crypto/nonce_pool_test.c · SPDX-License-Identifier: Apache-2.0 */
#include "crypto/nonce_pool.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

enum { TAKEN = 3 * NONCE_POOL_COUNT + 1 };

static int compare(const void *a, const void *b)
{
    return memcmp(a, b, NONCE_BYTES);
}

static void no_nonce_is_handed_out_twice(void **state)
{
    (void)state;
    static uint8_t nonces[TAKEN][NONCE_BYTES];
    static const uint8_t zero[NONCE_BYTES];
    struct nonce_pool pool;
    assert_true(nonce_pool_init(&pool));
    for (size_t i = 0; i < TAKEN; i++) {
        assert_true(nonce_pool_take(&pool, nonces[i]));
    }
    qsort(nonces, TAKEN, NONCE_BYTES, compare);
    for (size_t i = 1; i < TAKEN; i++) {
        assert_memory_not_equal(nonces[i - 1], nonces[i], NONCE_BYTES);
    }
    assert_memory_not_equal(nonces[0], zero, NONCE_BYTES);
    nonce_pool_fini(&pool);
    nonce_pool_fini(&pool);
}

/* What a child takes, told over a pipe. */
static void take_in_child(struct nonce_pool *pool, uint8_t nonce[NONCE_BYTES])
{
    int ends[2];
    assert_int_equal(pipe(ends), 0);
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        bool is_taken = nonce_pool_take(pool, nonce);
        _exit(is_taken && write(ends[1], nonce, NONCE_BYTES) == NONCE_BYTES ? 0 : 1);
    }
    int how = -1;
    assert_int_equal(waitpid(child, &how, 0), child);
    assert_int_equal(how, 0);
    assert_int_equal(read(ends[0], nonce, NONCE_BYTES), NONCE_BYTES);
    (void)close(ends[0]);
    (void)close(ends[1]);
}

static void a_forked_child_takes_other_nonces_than_its_parent(void **state)
{
    (void)state;
    uint8_t first[NONCE_BYTES];
    uint8_t of_child[NONCE_BYTES];
    uint8_t of_parent[NONCE_BYTES];
    struct nonce_pool pool;
    assert_true(nonce_pool_init(&pool));
    assert_true(nonce_pool_take(&pool, first)); /* the pool is full but for one */
    take_in_child(&pool, of_child);
    assert_true(nonce_pool_take(&pool, of_parent));
    assert_memory_not_equal(of_child, of_parent, NONCE_BYTES);
    assert_memory_not_equal(of_child, first, NONCE_BYTES);
    nonce_pool_fini(&pool);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(no_nonce_is_handed_out_twice),
        cmocka_unit_test(a_forked_child_takes_other_nonces_than_its_parent),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
