/* tests/unit/proxy/upstream/balance_test.c · SPDX-License-Identifier: Apache-2.0 */
#include "proxy/upstream/balance.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

enum { SERVERS = 3, NOW = 1000 };

static const struct {
    const char *claim;
    enum config_balance kind;
    uint32_t next;
    struct balance_server servers[SERVERS];
    balance_tried tried;
    int chosen;
    bool is_busy;
} cases[] = {
    {"round robin starts where it stopped",
     CONFIG_BALANCE_ROUND_ROBIN,
     1,
     {{0, 0, 0}},
     0,
     1,
     false},
    {"round robin wraps", CONFIG_BALANCE_ROUND_ROBIN, 3, {{0, 0, 0}}, 0, 0, false},
    {"round robin ignores the load",
     CONFIG_BALANCE_ROUND_ROBIN,
     0,
     {{9, 0, 0}, {0, 0, 0}, {0, 0, 0}},
     0,
     0,
     false},
    {"least requests goes by load",
     CONFIG_BALANCE_LEAST_REQUESTS,
     0,
     {{3, 0, 0}, {1, 0, 0}, {2, 0, 0}},
     0,
     1,
     false},
    {"equal load goes round",
     CONFIG_BALANCE_LEAST_REQUESTS,
     2,
     {{1, 0, 0}, {1, 0, 0}, {1, 0, 0}},
     0,
     2,
     false},
    {"another than those tried", CONFIG_BALANCE_ROUND_ROBIN, 0, {{0, 0, 0}}, 1 | 4, 1, false},
    {"all tried", CONFIG_BALANCE_ROUND_ROBIN, 0, {{0, 0, 0}}, 7, BALANCE_NONE, false},
    {"a full one is passed over", CONFIG_BALANCE_ROUND_ROBIN, 0, {{2, 2, 0}}, 0, 1, true},
    {"all full",
     CONFIG_BALANCE_ROUND_ROBIN,
     0,
     {{2, 2, 0}, {5, 5, 0}, {9, 1, 0}},
     0,
     BALANCE_NONE,
     true},
    {"a failed one is passed over", CONFIG_BALANCE_ROUND_ROBIN, 0, {{0, 0, NOW + 1}}, 0, 1, false},
    {"its time over, it is back", CONFIG_BALANCE_ROUND_ROBIN, 0, {{0, 0, NOW}}, 0, 0, false},
    {"a failed one goes behind any load",
     CONFIG_BALANCE_LEAST_REQUESTS,
     0,
     {{0, 0, NOW + 1}, {90, 0, 0}, {80, 0, 0}},
     0,
     2,
     false},
    {"all failed: the first to be back",
     CONFIG_BALANCE_ROUND_ROBIN,
     0,
     {{0, 0, NOW + 9}, {0, 0, NOW + 3}, {0, 0, NOW + 5}},
     0,
     1,
     false},
    {"all failed, that one tried",
     CONFIG_BALANCE_ROUND_ROBIN,
     0,
     {{0, 0, NOW + 9}, {0, 0, NOW + 3}, {0, 0, NOW + 5}},
     2,
     2,
     false},
    {"a place at a healthy one is worth waiting for",
     CONFIG_BALANCE_ROUND_ROBIN,
     0,
     {{0, 0, NOW + 9}, {2, 2, 0}, {0, 0, NOW + 5}},
     0,
     BALANCE_NONE,
     true},
    {"the healthy one tried, a failed one is next",
     CONFIG_BALANCE_ROUND_ROBIN,
     0,
     {{0, 0, NOW + 9}, {2, 2, 0}, {0, 0, NOW + 5}},
     2,
     2,
     false},
};

static void chooses(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct balance balance = {.kind = cases[i].kind, .next = cases[i].next};
        int chosen = balance_choose(&balance, cases[i].servers, SERVERS, cases[i].tried, NOW);
        if (chosen != cases[i].chosen) {
            fail_msg("%s: %d, expected %d", cases[i].claim, chosen, cases[i].chosen);
        }
        if (balance_is_busy(cases[i].servers, SERVERS, cases[i].tried) != cases[i].is_busy) {
            fail_msg("%s: busy", cases[i].claim);
        }
    }
}

static void round_robin_is_even(void **state)
{
    (void)state;
    struct balance balance = {.kind = CONFIG_BALANCE_ROUND_ROBIN};
    struct balance_server servers[SERVERS] = {{0}};
    unsigned taken[SERVERS] = {0};
    for (int i = 0; i < 300; i++) {
        taken[balance_choose(&balance, servers, SERVERS, 0, NOW)]++;
    }
    for (int i = 0; i < SERVERS; i++) {
        assert_int_equal(taken[i], 100);
    }
}

static void least_requests_is_even_when_nothing_ends(void **state)
{
    (void)state;
    struct balance balance = {.kind = CONFIG_BALANCE_LEAST_REQUESTS};
    struct balance_server servers[SERVERS] = {{0}};
    for (int i = 0; i < 300; i++) {
        servers[balance_choose(&balance, servers, SERVERS, 0, NOW)].in_flight++;
    }
    for (int i = 0; i < SERVERS; i++) {
        assert_int_equal(servers[i].in_flight, 100);
    }
}

static void a_retry_meets_every_server_once(void **state)
{
    (void)state;
    struct balance balance = {.kind = CONFIG_BALANCE_LEAST_REQUESTS};
    struct balance_server servers[BALANCE_SERVERS_MAX] = {{0}};
    balance_tried tried = 0;
    for (int i = 0; i < BALANCE_SERVERS_MAX; i++) {
        int chosen = balance_choose(&balance, servers, BALANCE_SERVERS_MAX, tried, NOW);
        assert_true(chosen >= 0 && (tried >> chosen & 1) == 0);
        tried = balance_mark(tried, chosen);
    }
    assert_int_equal(balance_choose(&balance, servers, BALANCE_SERVERS_MAX, tried, NOW),
                     BALANCE_NONE);
}

static void no_server_is_no_choice(void **state)
{
    (void)state;
    struct balance balance = {0};
    assert_int_equal(balance_choose(&balance, NULL, 0, 0, NOW), BALANCE_NONE);
    assert_false(balance_is_busy(NULL, 0, 0));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(chooses),
        cmocka_unit_test(round_robin_is_even),
        cmocka_unit_test(least_requests_is_even_when_nothing_ends),
        cmocka_unit_test(a_retry_meets_every_server_once),
        cmocka_unit_test(no_server_is_no_choice),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
