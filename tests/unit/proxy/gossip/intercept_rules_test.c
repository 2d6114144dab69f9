/* tests/unit/proxy/gossip/intercept_rules_test.c · SPDX-License-Identifier: Apache-2.0
 *
 * What is written; that the kernel does what is meant by it is in tests/e2e/test_gossip_rules.py.
 */
#include "proxy/gossip/intercept_rules.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static uint16_t ports[] = {7946, 7947};
static const struct config_gossip SERF = {
    .name = "serf", .ports = ports, .port_count = 2, .own_port = 15946};
static const struct config_gossip OTHER = {
    .name = "other-1.x", .ports = ports, .port_count = 1, .own_port = 65535};

/* To be freed. */
static char *write_rules(const struct config_gossip *gossip, enum intercept_step step)
{
    char *text = NULL;
    size_t len = 0;
    FILE *out = open_memstream(&text, &len);
    assert_non_null(out);
    intercept_rules_write(gossip, step, out);
    assert_int_equal(fclose(out), 0);
    return text;
}

static void replaces_its_table_in_one_script(void **state)
{
    (void)state;
    static const char HEAD[] = "table inet sallyport-gossip-serf\n"
                               "delete table inet sallyport-gossip-serf\n"
                               "table inet sallyport-gossip-serf {\n";
    char *text = write_rules(&SERF, INTERCEPT_INSTALL);
    assert_int_equal(strncmp(text, HEAD, strlen(HEAD)), 0);
    assert_non_null(strstr(text, "elements = { 7946, 7947 }"));
    assert_non_null(strstr(text, "redirect to :15946\n"));
    assert_non_null(strstr(text, "tproxy ip to :15946 "));
    assert_non_null(strstr(text, "tproxy ip6 to :15946 "));
    assert_string_equal(text + strlen(text) - 4, "}\n}\n");
    free(text);
}

static void removes_its_table_whether_there_is_one_or_not(void **state)
{
    (void)state;
    char *text = write_rules(&OTHER, INTERCEPT_REMOVE);
    assert_string_equal(text, "table inet sallyport-gossip-other-1.x\n"
                              "delete table inet sallyport-gossip-other-1.x\n");
    free(text);
}

static void exempts_ours_by_mark_and_nobody_by_user(void **state)
{
    (void)state;
    char *text = write_rules(&SERF, INTERCEPT_INSTALL);
    assert_null(strstr(text, "skuid"));
    assert_non_null(strstr(text, "meta mark 0x6753 return"));
    free(text);
}

static void clusters_have_marks_and_tables_of_their_own(void **state)
{
    (void)state;
    assert_int_equal(intercept_steering_mark(&SERF), 0x67543e4a);
    assert_int_equal(intercept_steering_mark(&OTHER), 0x6754ffff);
    assert_int_equal(intercept_routing_table(&SERF), 675315946);
    assert_int_equal(intercept_routing_table(&OTHER), 675365535);
    assert_int_not_equal(intercept_steering_mark(&SERF), INTERCEPT_OWN_MARK);
}

static void steers_by_one_rule_and_one_route_a_family(void **state)
{
    static const char *const LINES[] = {
        "4?ip -4 rule del fwmark 0x67543e4a lookup 675315946 priority 100",
        "4!ip -4 rule add fwmark 0x67543e4a lookup 675315946 priority 100",
        "4!ip -4 route replace local 0.0.0.0/0 dev lo table 675315946",
        "6?ip -6 rule del fwmark 0x67543e4a lookup 675315946 priority 100",
        "6!ip -6 rule add fwmark 0x67543e4a lookup 675315946 priority 100",
        "6!ip -6 route replace local ::/0 dev lo table 675315946",
    };
    struct intercept_command commands[INTERCEPT_COMMANDS_MAX];
    (void)state;
    assert_int_equal(intercept_rules_commands(&SERF, INTERCEPT_INSTALL, commands), 6);
    for (size_t i = 0; i < 6; i++) {
        assert_int_equal(commands[i].is_ip6, LINES[i][0] == '6');
        assert_int_equal(commands[i].may_fail, LINES[i][1] == '?');
        assert_string_equal(commands[i].text, LINES[i] + 2);
    }
    assert_int_equal(intercept_rules_commands(&SERF, INTERCEPT_REMOVE, commands), 4);
    for (size_t i = 0; i < 4; i++) {
        assert_true(commands[i].may_fail);
    }
    assert_string_equal(commands[3].text, "ip -6 route flush table 675315946");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(replaces_its_table_in_one_script),
        cmocka_unit_test(removes_its_table_whether_there_is_one_or_not),
        cmocka_unit_test(exempts_ours_by_mark_and_nobody_by_user),
        cmocka_unit_test(clusters_have_marks_and_tables_of_their_own),
        cmocka_unit_test(steers_by_one_rule_and_one_route_a_family),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
