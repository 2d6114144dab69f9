/* tests/unit/config/hop_gossip_test.c · SPDX-License-Identifier: Apache-2.0
 *
 * The hops of a cluster of gossip: what each claims, and how the policy judges it.
 */
#include "config/enforcement.h"

#include <stdio.h>

#include "config/bundle.h"
#include "config/check.h"
#include "config/load.h"

static const int64_t NOON = 1792584000; /* 2026-10-21 12:00 UTC */

#define TRANSPARENT(keys)                                                                          \
    "gossip: [{name: serf, keyring: k, ports: [7946, 7947], " keys "}]\nadmin: {address: off}\n"
#define RELAY(node, peer, keys)                                                                    \
    "gossip: [{name: serf, keyring: k, mode: relay, node: {virtual: 127.77.0.1, address: '" node   \
    "'},\n  peers: [{virtual: 127.77.0.2, address: '" peer                                         \
    "'}, {virtual: 127.77.0.3, address: '10.0.0.7:1'}], " keys "}]\nadmin: {address: off}\n"

static struct config *load(const char *text)
{
    struct bundle *bundle = bundle_new();
    assert_true(bundle_add(bundle, "f", text, strlen(text)));
    struct problem_list *problems = problem_list_new();
    struct source source = source_bundle(bundle);
    struct config *config = config_load(&source, "f", problems);
    problem_list_print(problems, stderr);
    assert_non_null(config);
    problem_list_free(problems);
    bundle_free(bundle);
    return config;
}

/* A ring with these sizes; 0: nothing is known of it. */
static struct posture *judge(const struct config *config, unsigned primary, unsigned least)
{
    const struct enforcement_gossip_facts facts = {
        .primary_bits = primary, .least_bits = least, .primary_id = "0123456789abcdef"};
    const struct enforcement_findings findings = {
        .gossip = &facts, .gossip_count = primary != 0 ? 1 : 0, .now = NOON};
    return posture_new(config, &findings);
}

static void a_cluster_has_three_hops(void **state)
{
    static const struct {
        const char *text;
        const char *lines[3];
    } ROWS[] = {
        {TRANSPARENT(""),
         {"gossip/serf/node plaintext node>sallyport steered to us before it leaves the machine: "
          "never on a network",
          "gossip/serf/out gossip-aes sallyport>peers, ports 7946, 7947 AES-GCM, shared key "
          "(version 1)",
          "gossip/serf/in gossip-aes peers>ports 7946, 7947 AES-GCM, shared key (version 0 or "
          "1)"}},
        {TRANSPARENT("version: 0, outgoing: plaintext, incoming: any"),
         {"gossip/serf/node plaintext node>sallyport steered to us before it leaves the machine: "
          "never on a network",
          "gossip/serf/out plaintext sallyport>peers, ports 7946, 7947 none: readable by whoever "
          "sees it",
          "gossip/serf/in plaintext peers>ports 7946, 7947 none: plaintext of anybody is taken as "
          "well"}},
        {RELAY("10.0.0.5:1", "10.0.0.6:1", "version: 0"),
         {"gossip/serf/node plaintext 127.77.0.1>sallyport loopback: never on a network",
          "gossip/serf/out gossip-aes sallyport>10.0.0.6:1, 10.0.0.7:1 AES-GCM, shared key "
          "(version 0)",
          "gossip/serf/in gossip-aes peers>10.0.0.5:1 AES-GCM, shared key (version 0 or 1)"}},
    };
    (void)state;
    for (size_t i = 0; i < COUNT(ROWS); i++) {
        struct config *config = load(ROWS[i].text);
        struct posture *posture = judge(config, 0, 0);
        assert_int_equal(posture->count, 3);
        for (size_t k = 0; k < 3; k++) {
            const struct hop *hop = &posture->hops[k].hop;
            char line[400];
            (void)snprintf(line, sizeof(line), "%s %s %s>%s %s", hop->name,
                           hop_protection_name(hop), hop->from, hop->to, hop->evidence);
            assert_string_equal(line, ROWS[i].lines[k]);
            assert_int_equal(hop->place.line, 1);
        }
        posture_free(posture);
        config_free(config);
    }
}

static void the_keyring_completes_the_evidence(void **state)
{
    (void)state;
    struct config *config = load(TRANSPARENT(""));
    struct posture *posture = judge(config, 256, 256);
    assert_string_equal(hop_protection_name(&posture->hops[1].hop), "gossip-aes-256-gcm");
    assert_string_equal(posture->hops[1].hop.evidence,
                        "AES-256-GCM, shared key 0123456789abcdef (version 1)");
    assert_string_equal(hop_protection_name(&posture->hops[2].hop), "gossip-aes-256-gcm");
    assert_string_equal(posture->hops[2].hop.evidence, "AES-256-GCM, shared key (version 0 or 1)");
    posture_free(posture);
    posture = judge(config, 256, 128);
    assert_string_equal(hop_protection_name(&posture->hops[1].hop), "gossip-aes-256-gcm");
    assert_string_equal(hop_protection_name(&posture->hops[2].hop), "gossip-aes-128-gcm");
    assert_string_equal(posture->hops[2].hop.evidence,
                        "AES-128-GCM or better, shared key (version 0 or 1)");
    posture_free(posture);
    config_free(config);
}

static void hops_are_judged_by_the_policy(void **state)
{
    /* node, out, in: o ok, v violation, w waived. */
    static const struct {
        const char *text;
        unsigned primary;
        unsigned least;
        const char *verdicts;
    } ROWS[] = {
        {TRANSPARENT(""), 256, 256, "ooo"},
        {TRANSPARENT(""), 0, 0, "ooo"},
        {TRANSPARENT(""), 256, 192, "oov"},
        {TRANSPARENT(""), 256, 128, "oov"},
        {TRANSPARENT(""), 192, 192, "ovv"},
        {TRANSPARENT(""), 128, 128, "ovv"},
        {"enforcement: {ciphers: modern}\n" TRANSPARENT(""), 128, 128, "ooo"},
        {"enforcement: {ciphers: [TLS_AES_256_GCM_SHA384]}\n" TRANSPARENT(""), 256, 192, "oov"},
        {"enforcement: {ciphers: [TLS_AES_256_GCM_SHA384, TLS_AES_128_GCM_SHA256]}\n" TRANSPARENT(
             ""),
         128, 128, "ooo"},
        {"enforcement: {ciphers: ECDHE-RSA-AES128-GCM-SHA256}\n" TRANSPARENT(""), 128, 128, "ooo"},
        {TRANSPARENT("outgoing: plaintext"), 256, 256, "ovo"},
        {TRANSPARENT("incoming: any"), 256, 256, "oov"},
        {TRANSPARENT("outgoing: plaintext, incoming: any"), 0, 0, "ovv"},
        {"enforcement: {plaintext: any}\n" TRANSPARENT("outgoing: plaintext, incoming: any"), 256,
         256, "ooo"},
        {"enforcement: {plaintext: never}\n" TRANSPARENT(""), 256, 256, "voo"},
        {"enforcement: {waivers: [{hop: gossip/serf/out, reason: r, expires: 2026-10-21},\n"
         "  {hop: gossip/serf/in, reason: r, expires: 2026-10-20}]}\n" TRANSPARENT(
             "outgoing: plaintext, incoming: any"),
         256, 256, "owv"},
        {"enforcement: {waivers: [{hop: gossip/serf/in, reason: r, expires: "
         "2099-12-31}]}\n" TRANSPARENT(""),
         256, 128, "oow"},
        {RELAY("10.0.0.5:1", "127.0.0.2:1", "outgoing: plaintext, incoming: any"), 256, 256, "ovv"},
        {"gossip: [{name: serf, keyring: k, mode: relay, outgoing: plaintext, incoming: any,\n"
         "  node: {virtual: 127.77.0.1, address: '127.0.0.1:1'},\n"
         "  peers: [{virtual: 127.77.0.2, address: '127.0.0.2:1'}]}]\nadmin: {address: off}\n",
         256, 256, "ooo"},
    };
    (void)state;
    for (size_t i = 0; i < COUNT(ROWS); i++) {
        struct config *config = load(ROWS[i].text);
        struct posture *posture = judge(config, ROWS[i].primary, ROWS[i].least);
        char verdicts[4] = {0};
        for (size_t k = 0; k < 3; k++) {
            verdicts[k] = verdict_name(posture->hops[k].verdict)[0];
        }
        assert_string_equal(verdicts, ROWS[i].verdicts);
        posture_free(posture);
        config_free(config);
    }
}

static void a_short_key_is_told_by_what_it_does(void **state)
{
    (void)state;
    struct config *config = load(TRANSPARENT(""));
    struct posture *posture = judge(config, 192, 128);
    assert_string_equal(
        posture->hops[1].reason,
        "the key that encrypts for cluster 'serf' has 192 bits, the policy asks for 256");
    assert_string_equal(
        posture->hops[2].reason,
        "a key that decrypts for cluster 'serf' has 128 bits, the policy asks for 256");
    posture_free(posture);
    config_free(config);
}

static void json_names_the_protection(void **state)
{
    (void)state;
    struct config *config = load(TRANSPARENT(""));
    struct posture *posture = judge(config, 256, 256);
    json_t *json = posture_to_json(posture);
    const json_t *hop = json_array_get(json_object_get(json, "hops"), 1);
    assert_string_equal(json_string_value(json_object_get(hop, "name")), "gossip/serf/out");
    assert_string_equal(json_string_value(json_object_get(hop, "protection")),
                        "gossip-aes-256-gcm");
    json_decref(json);
    posture_free(posture);
    config_free(config);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_cluster_has_three_hops),
        cmocka_unit_test(the_keyring_completes_the_evidence),
        cmocka_unit_test(hops_are_judged_by_the_policy),
        cmocka_unit_test(a_short_key_is_told_by_what_it_does),
        cmocka_unit_test(json_names_the_protection),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
