/* tests/unit/proxy/process/gossip_rules_test.c · SPDX-License-Identifier: Apache-2.0
 *
 * In a network namespace of this process alone. What the rules do is in
 * tests/e2e/test_gossip_rules.py.
 */
#include "proxy/process/gossip_rules.h"

#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "proxy/process/program.h"

static uint16_t ports[] = {7946, 7947};
static const struct config_gossip SERF = {
    .name = "serf", .ports = ports, .port_count = 2, .own_port = 15946};
static const struct config_gossip OTHER = {
    .name = "other", .ports = ports, .port_count = 1, .own_port = 18074};

static bool has_space;

/* Whether a line of sh ends well. */
static bool holds(const char *line)
{
    char said[PROGRAM_SAID_BYTES];
    const struct program_run run = {.words = {"sh", "-c", line}, .timeout_ms = 10000};
    return program_run(&run, said) == STATUS_OK;
}

#define RULE_COUNT(count)                                                                          \
    "test $(ip -4 rule | grep -c fwmark) = " count " && test $(ip -6 rule | grep -c fwmark) "      \
    "= " count
#define NOTHING                                                                                    \
    "test -z \"$(nft list ruleset)\" && test -z \"$(ip -4 route show table 675315946)\" && "       \
    "test -z \"$(ip -6 route show table 675315946)\""

static void needs_space(void)
{
    if (!has_space) {
        skip();
    }
}

static void installs_and_leaves_nothing_behind(void **state)
{
    struct process_error error = {{0}};
    (void)state;
    needs_space();
    assert_true(holds(NOTHING));
    for (int i = 0; i < 2; i++) { /* a second start finds what the first has left */
        assert_int_equal(gossip_rules_install(&SERF, &error), STATUS_OK);
        assert_true(holds("nft list table inet sallyport-gossip-serf"));
        assert_true(holds(RULE_COUNT("1")));
        assert_true(holds("ip -4 route show table 675315946 | grep -q '^local default dev lo'"));
        assert_true(holds("ip -6 route show table 675315946 | grep -q '^local default dev lo'"));
    }
    for (int i = 0; i < 2; i++) {
        gossip_rules_remove(&SERF);
        assert_true(holds(NOTHING));
        assert_true(holds(RULE_COUNT("0")));
    }
}

static void removes_one_cluster_and_leaves_the_other(void **state)
{
    struct process_error error = {{0}};
    (void)state;
    needs_space();
    assert_int_equal(gossip_rules_install(&SERF, &error), STATUS_OK);
    assert_int_equal(gossip_rules_install(&OTHER, &error), STATUS_OK);
    gossip_rules_remove(&SERF);
    assert_true(holds("test \"$(nft list tables)\" = 'table inet sallyport-gossip-other'"));
    assert_true(holds(RULE_COUNT("1")));
    gossip_rules_remove(&OTHER);
    assert_true(holds(NOTHING));
}

static void says_what_was_missing(void **state)
{
    struct process_error error = {{0}};
    (void)state;
    needs_space();
    pid_t child = fork();
    if (child == 0) {
        /* Without the right, root or not: the bounding set counts at exec. */
        bool is_told =
            prctl(PR_CAPBSET_DROP, 12 /* CAP_NET_ADMIN */, 0, 0, 0) == 0 &&
            gossip_rules_install(&SERF, &error) == STATUS_REFUSED &&
            strstr(error.text, "gossip cluster 'serf': its rules cannot be installed: nft: ") ==
                error.text &&
            strstr(error.text, "not permitted") != NULL &&
            strstr(error.text, "; expected root or CAP_NET_ADMIN, or 'rules: external'") != NULL;
        (void)fprintf(stderr, "%s\n", error.text);
        _exit(is_told ? 0 : 1);
    }
    int ending = 0;
    assert_int_equal(waitpid(child, &ending, 0), child);
    assert_int_equal(ending, 0);
    assert_true(holds(NOTHING));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(installs_and_leaves_nothing_behind),
        cmocka_unit_test(removes_one_cluster_and_leaves_the_other),
        cmocka_unit_test(says_what_was_missing),
    };
    has_space = unshare(CLONE_NEWNET) == 0 && holds("ip link set lo up && nft list ruleset");
    return cmocka_run_group_tests(tests, NULL, NULL);
}
