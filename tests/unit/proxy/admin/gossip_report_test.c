/* tests/unit/proxy/admin/gossip_report_test.c · SPDX-License-Identifier: Apache-2.0 */
#include "proxy/admin/gossip_report.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#define TEN(text) text text text text text text text text text text
#define KEY_A     TEN("ERER") "ERE=\n"
#define KEY_B     "RERERERERERERERERERERA==\n"

struct fixture {
    uint16_t ports[1];
    struct config_gossip gossip[2];
    struct config config;
    struct posture *posture;
    struct peer_pages *pages;
    struct peer_table *table;
    struct gossip_facts facts;
    int64_t now_s;
};

static void judge(struct fixture *fixture)
{
    const struct enforcement_findings findings = {.now = fixture->now_s};
    posture_free(fixture->posture);
    fixture->posture = posture_new(&fixture->config, &findings);
    assert_non_null(fixture->posture);
}

static int set_up(void **state)
{
    struct fixture *fixture = calloc(1, sizeof(*fixture));
    assert_non_null(fixture);
    fixture->ports[0] = 7946;
    for (size_t i = 0; i < 2; i++) {
        fixture->gossip[i] = (struct config_gossip){.name = i == 0 ? "alerts" : "mesh",
                                                    .keyring = {.path = "/etc/keys"},
                                                    .ports = fixture->ports,
                                                    .port_count = 1,
                                                    .version = 1};
    }
    fixture->config.gossip = fixture->gossip;
    fixture->config.gossip_count = 2;
    fixture->now_s = (int64_t)time(NULL);
    judge(fixture);
    int descriptor = peer_pages_new();
    fixture->pages = peer_pages_map(descriptor, true);
    (void)close(descriptor);
    assert_non_null(fixture->pages);
    fixture->table = peer_table_new(fixture->pages);
    assert_non_null(fixture->table);
    fixture->facts = (struct gossip_facts){.settings = &fixture->gossip[1],
                                           .index = 1,
                                           .pages = fixture->pages,
                                           .refusal = "",
                                           .is_ready = true};
    *state = fixture;
    return 0;
}

static int tear_down(void **state)
{
    struct fixture *fixture = *state;
    posture_free(fixture->posture);
    peer_table_free(fixture->table);
    peer_pages_unmap(fixture->pages);
    free(fixture);
    return 0;
}

static struct peer *get(struct fixture *fixture, uint8_t last, bool is_local)
{
    const uint8_t ip[] = {10, 0, 0, last};
    struct endpoint endpoint;
    assert_true(endpoint_from_ip(&endpoint, ip, sizeof(ip), 7946));
    return peer_table_get(fixture->table, &endpoint, is_local, fixture->now_s);
}

static void take_ring(struct fixture *fixture, const char *text)
{
    struct crypto_error error = {{0}};
    struct keyring *ring =
        keyring_parse((struct bytes){(const uint8_t *)text, strlen(text)}, &error);
    assert_non_null(ring);
    peer_table_set_ring(fixture->table, ring);
    keyring_free(ring);
}

static const char *text_at(const json_t *object, const char *key)
{
    const char *text = json_string_value(json_object_get(object, key));
    return text != NULL ? text : "(none)";
}

static json_int_t number_at(const json_t *object, const char *key)
{
    const json_t *number = json_object_get(object, key);
    assert_true(json_is_integer(number));
    return json_integer_value(number);
}

/* ---- keyrings ---- */

static void keys_are_told_with_how_lately_each_was_used(void **state)
{
    struct fixture *fixture = *state;
    take_ring(fixture, KEY_A KEY_B);
    peer_table_sealed(fixture->table, get(fixture, 1, true));
    peer_table_prove(fixture->table, get(fixture, 1, true), 1, fixture->now_s - 100);
    json_t *json = gossip_report_keyring(&fixture->facts);
    assert_string_equal(text_at(json, "name"), "mesh");
    assert_string_equal(text_at(json, "keyring"), "/etc/keys");
    assert_int_equal(number_at(json, "generation"), 1);
    assert_true(json_is_null(json_object_get(json, "error")));
    const json_t *keys = json_object_get(json, "keys");
    assert_int_equal(json_array_size(keys), 2);
    const json_t *primary = json_array_get(keys, 0);
    const json_t *other = json_array_get(keys, 1);
    assert_true(json_is_true(json_object_get(primary, "is_primary")));
    assert_true(json_is_false(json_object_get(other, "is_primary")));
    assert_int_equal(number_at(primary, "bits"), 256);
    assert_int_equal(number_at(primary, "sealed"), 1);
    assert_true(json_is_null(json_object_get(primary, "last_opened_seconds")));
    assert_int_equal(number_at(other, "bits"), 128);
    assert_int_equal(number_at(other, "opened"), 1);
    assert_in_range(number_at(other, "last_opened_seconds"), 100, 110);
    json_decref(json);
}

static void a_file_that_was_refused_is_told_beside_the_keys_in_use(void **state)
{
    struct fixture *fixture = *state;
    take_ring(fixture, KEY_A);
    fixture->facts.refusal = "line 2: no key";
    fixture->gossip[1].keyring.path = NULL;
    json_t *json = gossip_report_keyring(&fixture->facts);
    assert_string_equal(text_at(json, "error"), "line 2: no key");
    assert_true(json_is_null(json_object_get(json, "keyring")));
    assert_int_equal(json_array_size(json_object_get(json, "keys")), 1);
    json_decref(json);
}

/* ---- totals ---- */

static void totals_are_of_all_peers_and_of_those_without_a_place(void **state)
{
    struct fixture *fixture = *state;
    peer_count(get(fixture, 1, true), PEER_SEALED);
    peer_count(get(fixture, 2, true), PEER_SEALED);
    get(fixture, 3, false)->refused[GOSSIP_NO_KEY] = 5;
    fixture->pages->peers[0].refused[GOSSIP_SHORT] = 2;
    peer_count(&fixture->pages->peers[0], PEER_THROTTLED);
    json_t *json = gossip_report_summary(&fixture->facts);
    assert_string_equal(text_at(json, "mode"), "transparent");
    assert_true(json_is_true(json_object_get(json, "ready")));
    assert_int_equal(number_at(json, "peers"), 2);
    assert_int_equal(number_at(json, "strangers"), 1);
    assert_int_equal(number_at(json, "sealed"), 2);
    assert_int_equal(number_at(json, "refused"), 7);
    assert_int_equal(number_at(json, "throttled"), 1);
    for (int i = 0; i < PEER_COUNTERS; i++) {
        (void)number_at(json, peer_counter_name((enum peer_counter)i));
    }
    json_decref(json);
}

/* ---- peers ---- */

struct lists {
    json_t *hops;
    json_t *strangers;
};

static struct lists report(struct fixture *fixture)
{
    struct lists lists = {json_array(), json_array()};
    assert_true(
        gossip_report_peers(&fixture->facts, fixture->posture, lists.hops, lists.strangers));
    return lists;
}

static void lists_free(struct lists lists)
{
    json_decref(lists.hops);
    json_decref(lists.strangers);
}

static void each_peer_is_a_hop_with_what_was_seen_of_it(void **state)
{
    struct fixture *fixture = *state;
    take_ring(fixture, KEY_A);
    struct peer *proven = get(fixture, 1, true);
    peer_table_prove(fixture->table, proven, 0, fixture->now_s - 7);
    proven->refused[GOSSIP_NO_KEY] = 3;
    (void)get(fixture, 2, true);
    get(fixture, 3, false)->refused[GOSSIP_PLAINTEXT] = 1;
    struct lists lists = report(fixture);
    assert_int_equal(json_array_size(lists.hops), 2);
    const json_t *hop = json_array_get(lists.hops, 0);
    assert_string_equal(text_at(hop, "name"), "gossip/mesh/peer/10.0.0.1:7946");
    assert_string_equal(text_at(hop, "to"), "10.0.0.1:7946");
    assert_string_equal(text_at(hop, "verdict"), "ok");
    assert_non_null(strstr(text_at(hop, "evidence"), "by a packet that a key opened"));
    assert_in_range(number_at(hop, "proven_seconds"), 7, 17);
    assert_int_equal(number_at(json_object_get(hop, "counters"), "opened"), 1);
    assert_int_equal(json_object_size(json_object_get(hop, "counters")), 1);
    assert_int_equal(number_at(json_object_get(hop, "refused"), "no_key_fits"), 3);
    hop = json_array_get(lists.hops, 1);
    assert_true(json_is_null(json_object_get(hop, "proven_seconds")));
    assert_non_null(strstr(text_at(hop, "evidence"), "nothing of it was opened"));
    assert_int_equal(json_array_size(lists.strangers), 1);
    hop = json_array_get(lists.strangers, 0);
    assert_string_equal(text_at(hop, "to"), "10.0.0.3:7946");
    lists_free(lists);
}

static void a_peer_that_spoke_plaintext_is_judged_as_such(void **state)
{
    struct fixture *fixture = *state;
    fixture->gossip[1].takes_plaintext = true;
    judge(fixture);
    peer_count(get(fixture, 1, true), PEER_CLEAR_IN);
    (void)get(fixture, 2, true);
    struct lists lists = report(fixture);
    const json_t *clear = json_array_get(lists.hops, 0);
    assert_string_equal(text_at(clear, "protection"), "plaintext");
    assert_string_equal(text_at(clear, "verdict"), "violation");
    assert_non_null(strstr(text_at(clear, "evidence"), "plaintext was exchanged"));
    assert_string_equal(text_at(json_array_get(lists.hops, 1), "verdict"), "ok");
    lists_free(lists);
}

static void of_strangers_only_some_are_listed(void **state)
{
    struct fixture *fixture = *state;
    for (int i = 0; i < 200; i++) {
        (void)get(fixture, (uint8_t)i, false);
    }
    (void)get(fixture, 250, true);
    struct lists lists = report(fixture);
    assert_int_equal(json_array_size(lists.strangers), GOSSIP_REPORT_STRANGERS);
    assert_int_equal(json_array_size(lists.hops), 1);
    lists_free(lists);
}

/* ---- pages that a compromised process has written ---- */

static void expect_reports(struct fixture *fixture)
{
    json_t *json = gossip_report_summary(&fixture->facts);
    assert_non_null(json);
    char *text = json_dumps(json, 0);
    assert_non_null(text);
    free(text);
    json_decref(json);
    json = gossip_report_keyring(&fixture->facts);
    assert_non_null(json);
    text = json_dumps(json, 0);
    assert_non_null(text);
    free(text);
    json_decref(json);
    struct lists lists = report(fixture);
    assert_true(json_array_size(lists.hops) <= PEER_TABLE_PEERS);
    lists_free(lists);
}

static void no_number_of_peers_leads_out_of_the_pages(void **state)
{
    struct fixture *fixture = *state;
    static const uint32_t USED[] = {0, PEER_TABLE_PEERS, PEER_TABLE_PEERS + 1, UINT32_MAX};
    (void)get(fixture, 1, true);
    for (size_t i = 0; i < sizeof(USED) / sizeof(USED[0]); i++) {
        fixture->pages->used = USED[i];
        expect_reports(fixture);
    }
}

static void whatever_is_in_the_pages_a_report_comes_of_it(void **state)
{
    struct fixture *fixture = *state;
    static const int FILLS[] = {0x00, 0x01, 0x7f, 0x80, 0xff};
    for (size_t i = 0; i < sizeof(FILLS) / sizeof(FILLS[0]); i++) {
        memset(fixture->pages, FILLS[i], sizeof(*fixture->pages));
        fixture->pages->used = 300;
        expect_reports(fixture);
        fixture->pages->is_changing = 0;
        fixture->pages->key_count = KEYRING_KEYS_MAX;
        expect_reports(fixture);
    }
}

static void no_time_is_too_early_or_too_late(void **state)
{
    struct fixture *fixture = *state;
    static const int64_t TIMES[] = {INT64_MIN, -1, INT64_MAX};
    take_ring(fixture, KEY_A);
    struct peer *peer = get(fixture, 1, true);
    for (size_t i = 0; i < sizeof(TIMES) / sizeof(TIMES[0]); i++) {
        peer->proven_s = TIMES[i];
        fixture->pages->keys[0].opened_s = TIMES[i];
        expect_reports(fixture);
    }
}

#define TEST(claim) cmocka_unit_test_setup_teardown(claim, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(keys_are_told_with_how_lately_each_was_used),
        TEST(a_file_that_was_refused_is_told_beside_the_keys_in_use),
        TEST(totals_are_of_all_peers_and_of_those_without_a_place),
        TEST(each_peer_is_a_hop_with_what_was_seen_of_it),
        TEST(a_peer_that_spoke_plaintext_is_judged_as_such),
        TEST(of_strangers_only_some_are_listed),
        TEST(no_number_of_peers_leads_out_of_the_pages),
        TEST(whatever_is_in_the_pages_a_report_comes_of_it),
        TEST(no_time_is_too_early_or_too_late),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
