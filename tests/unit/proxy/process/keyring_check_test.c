/* tests/unit/proxy/process/keyring_check_test.c · SPDX-License-Identifier: Apache-2.0 */
#include "proxy/process/keyring_check.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define TEN(text) text text text text text text text text text text
#define STRONG    TEN("ERER") "ERE=\n"                 /* 256 bits */
#define MIDDLE    "IiIiIiIiIiIiIiIiIiIiIiIiIiIiIiIi\n" /* 192 */
#define WEAK      "RERERERERERERERERERERA==\n"         /* 128 */

struct fixture {
    struct config_waiver waivers[2];
    struct config_gossip gossip[2];
    struct config config;
    struct enforcement_gossip_facts facts;
    struct process_error error;
};

static int set_up(void **state)
{
    static uint16_t ports[] = {7946};
    struct fixture *fixture = calloc(1, sizeof(*fixture));
    assert_non_null(fixture);
    for (size_t i = 0; i < 2; i++) {
        fixture->gossip[i] = (struct config_gossip){
            .name = i == 0 ? "alerts" : "mesh", .ports = ports, .port_count = 1, .version = 1};
    }
    fixture->config.enforcement.mode = CONFIG_MODE_STRICT;
    fixture->config.enforcement.plaintext = CONFIG_PLAINTEXT_LOOPBACK;
    fixture->config.enforcement.cipher_policy = CONFIG_CIPHERS_AES256;
    fixture->config.gossip = fixture->gossip;
    fixture->config.gossip_count = 2;
    *state = fixture;
    return 0;
}

static int tear_down(void **state)
{
    free(*state);
    return 0;
}

static enum status check(struct fixture *fixture, const char *text)
{
    fixture->facts = (struct enforcement_gossip_facts){.cluster = 99};
    fixture->error.text[0] = '\0';
    return keyring_check(&fixture->config, 1, (struct bytes){(const uint8_t *)text, strlen(text)},
                         &fixture->facts, &fixture->error);
}

static void expect_taken(struct fixture *fixture, const char *text, unsigned primary,
                         unsigned least)
{
    if (check(fixture, text) != STATUS_OK) {
        fail_msg("%s", fixture->error.text);
    }
    assert_int_equal(fixture->facts.cluster, 1);
    assert_int_equal(fixture->facts.primary_bits, primary);
    assert_int_equal(fixture->facts.least_bits, least);
    assert_int_equal(strlen(fixture->facts.primary_id), 16);
}

/* The facts of the ring that is in use stay. */
static void expect_refused(struct fixture *fixture, const char *text, const char *sentence)
{
    assert_int_equal(check(fixture, text), STATUS_REFUSED);
    if (strstr(fixture->error.text, sentence) == NULL) {
        fail_msg("%s", fixture->error.text);
    }
    assert_int_equal(fixture->facts.cluster, 99);
}

static void strong_keys_are_taken(void **state)
{
    expect_taken(*state, STRONG, 256, 256);
}

static void what_is_no_keyring_is_refused_in_every_mode_and_no_key_is_told(void **state)
{
    struct fixture *fixture = *state;
    for (int i = 0; i < 2; i++) {
        fixture->config.enforcement.mode = i == 0 ? CONFIG_MODE_STRICT : CONFIG_MODE_REPORT;
        expect_refused(fixture, "", "");
        assert_int_not_equal(fixture->error.text[0], '\0');
        expect_refused(fixture, STRONG "EREREREREREREREREQ==x\n", "line 2");
        assert_null(strstr(fixture->error.text, "ERER"));
    }
}

static void a_weak_key_is_refused_in_strict_mode_and_the_hop_is_named(void **state)
{
    struct fixture *fixture = *state;
    expect_refused(fixture, WEAK, "gossip/mesh/out");
    assert_non_null(strstr(fixture->error.text, "128 bits, the policy asks for 256"));
    expect_refused(fixture, MIDDLE, "192 bits");
    expect_refused(fixture, STRONG WEAK, "gossip/mesh/in"); /* it decrypts */
    expect_refused(fixture, WEAK STRONG, "gossip/mesh/out");
}

static void a_policy_that_asks_for_less_takes_it(void **state)
{
    struct fixture *fixture = *state;
    fixture->config.enforcement.cipher_policy = CONFIG_CIPHERS_MODERN;
    expect_taken(fixture, WEAK STRONG, 128, 128);
    expect_taken(fixture, STRONG MIDDLE, 256, 192);
}

static void report_mode_refuses_no_weak_key(void **state)
{
    struct fixture *fixture = *state;
    fixture->config.enforcement.mode = CONFIG_MODE_REPORT;
    expect_taken(fixture, STRONG WEAK, 256, 128);
    expect_taken(fixture, WEAK, 128, 128);
}

static void a_waiver_lets_it_in_until_it_expires(void **state)
{
    struct fixture *fixture = *state;
    fixture->waivers[0] = (struct config_waiver){.hop = "gossip/mesh/in"};
    fixture->waivers[1] = (struct config_waiver){.hop = "gossip/mesh/out"};
    fixture->config.enforcement.waivers = fixture->waivers;
    fixture->config.enforcement.waiver_count = 2;
    fixture->waivers[0].expires = INT32_MAX;
    fixture->waivers[1].expires = INT32_MAX;
    expect_taken(fixture, WEAK, 128, 128);
    fixture->config.enforcement.waiver_count = 1;
    expect_taken(fixture, STRONG WEAK, 256, 128);
    expect_refused(fixture, WEAK, "gossip/mesh/out"); /* which is not waived */
    fixture->waivers[0].expires = 1;
    expect_refused(fixture, STRONG WEAK, "its waiver expired");
}

/* What else violates the policy has stopped the start, or was let in: it is not this ring's. */
static void other_violations_do_not_count(void **state)
{
    struct fixture *fixture = *state;
    fixture->gossip[0].takes_plaintext = true;
    fixture->gossip[0].sends_plaintext = true;
    expect_taken(fixture, STRONG, 256, 256);
    fixture->gossip[1].takes_plaintext = true;
    expect_taken(fixture, STRONG, 256, 256);
}

#define TEST(claim) cmocka_unit_test_setup_teardown(claim, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(strong_keys_are_taken),
        TEST(what_is_no_keyring_is_refused_in_every_mode_and_no_key_is_told),
        TEST(a_weak_key_is_refused_in_strict_mode_and_the_hop_is_named),
        TEST(a_policy_that_asks_for_less_takes_it),
        TEST(report_mode_refuses_no_weak_key),
        TEST(a_waiver_lets_it_in_until_it_expires),
        TEST(other_violations_do_not_count),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
