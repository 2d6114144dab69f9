/* tests/unit/config/enforcement_test.c · SPDX-License-Identifier: Apache-2.0 */
#include "config/enforcement.h"

#include "config/bundle.h"
#include "config/check.h"
#include "config/load.h"

enum { DAY = 86400 };

static const int64_t NOON = 1792584000; /* 2026-10-21 12:00 UTC */

/* Certificate, listener and two servers; what a row adds comes before it. */
static const char REST[] =
    "certificates: [{name: chat, chain: chat.pem, key: chat.key}]\n"
    "listeners:\n"
    "  - {name: web, address: '[::]:443', default_backend: app}\n"
    "  - {name: inner, address: ['127.0.0.1:1', 'unix:/x'], tls: off, default_backend: app}\n"
    "  - {name: open, address: ['127.0.0.1:5', '[::]:2'], tls: off, default_backend: app}\n"
    "  - {name: plain, address: '[::]:80', mode: redirect}\n"
    "backends:\n"
    "  app: {servers: ['http://127.0.0.1:3', 'http://legacy:4', 'https://safe', 'unix:/app',\n"
    "                 'h2c://127.0.0.1:5', 'h2c://legacy:6', 'h2://safe:7']}\n";

static const char *const HOPS[] = {
    "listener/web",  "listener/inner", "listener/open", "listener/plain",
    "backend/app/0", "backend/app/1",  "backend/app/2", "backend/app/3",
    "backend/app/4", "backend/app/5",  "backend/app/6", "admin",
};

static struct config *load(const char *first)
{
    char text[3000];
    (void)snprintf(text, sizeof(text), "%s%s", first, REST);
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

static struct enforcement_facts good_facts(void)
{
    return (struct enforcement_facts){.key_type = ENFORCEMENT_KEY_RSA,
                                      .key_bits = 2048,
                                      .not_before = NOON - 10 * DAY,
                                      .not_after = NOON + 10 * DAY};
}

/* `facts` of the only certificate; NULL: none. */
static struct posture *judge(const struct config *config, const struct enforcement_facts *facts)
{
    const struct enforcement_findings findings = {
        .certificates = facts, .certificate_count = facts != NULL ? 1 : 0, .now = NOON};
    return posture_new(config, &findings);
}

static const struct judged_hop *find(const struct posture *posture, const char *name)
{
    for (size_t i = 0; i < posture->count; i++) {
        if (strcmp(posture->hops[i].hop.name, name) == 0) {
            return &posture->hops[i];
        }
    }
    fail_msg("no hop %s", name);
    return NULL;
}

static void every_leg_is_a_hop(void **state)
{
    (void)state;
    struct config *config = load("");
    struct posture *posture = judge(config, NULL);
    assert_non_null(posture);
    assert_int_equal(posture->count, COUNT(HOPS));
    for (size_t i = 0; i < COUNT(HOPS); i++) {
        assert_string_equal(posture->hops[i].hop.name, HOPS[i]);
    }
    assert_int_equal(find(posture, "listener/web")->hop.protection, HOP_TLS);
    assert_int_equal(find(posture, "listener/plain")->hop.kind, HOP_REDIRECT);
    assert_int_equal(find(posture, "backend/app/5")->hop.protection, HOP_PLAINTEXT);
    assert_int_equal(find(posture, "backend/app/6")->hop.protection, HOP_TLS);
    assert_string_equal(find(posture, "backend/app/2")->hop.evidence,
                        "TLS 1.2 or 1.3, AES-256-GCM, ECDHE, chain to a system CA, name safe");
    posture_free(posture);
    config_free(config);
}

static void plaintext_is_judged_by_the_policy(void **state)
{
    /* In the order of HOPS: o ok, v violation, w waived. */
    static const struct {
        const char *policy;
        const char *verdicts;
    } ROWS[] = {
        {"", "oovoovooovoo"},
        {"enforcement: {plaintext: loopback}\n", "oovoovooovoo"},
        {"enforcement: {plaintext: never}\n", "ovvovvovvvoo"},
        {"enforcement: {plaintext: any}\n", "oooooooooooo"},
        {"enforcement: {mode: report}\n", "oovoovooovoo"},
        {"enforcement: {waivers: [{hop: backend/app/1, reason: r, expires: 2026-10-21}]}\n",
         "oovoowooovoo"},
        {"enforcement: {waivers: [{hop: backend/app/1, reason: r, expires: 2026-10-20}]}\n",
         "oovoovooovoo"},
        {"enforcement: {waivers: [{hop: backend/app/1, reason: r, expires: 2026-12-01},\n"
         "                        {hop: listener/open, reason: r, expires: 2099-12-31},\n"
         "                        {hop: listener/web, reason: r, expires: 2099-12-31}]}\n",
         "oowoowooovoo"},
    };
    (void)state;
    for (size_t i = 0; i < COUNT(ROWS); i++) {
        struct config *config = load(ROWS[i].policy);
        struct enforcement_facts facts = good_facts();
        struct posture *posture = judge(config, &facts);
        char verdicts[COUNT(HOPS) + 1] = {0};
        size_t violations = 0;
        for (size_t k = 0; k < posture->count; k++) {
            verdicts[k] = verdict_name(posture->hops[k].verdict)[0];
            violations += verdicts[k] == 'v' ? 1 : 0;
            assert_non_null(posture->hops[k].reason);
        }
        assert_string_equal(verdicts, ROWS[i].verdicts);
        assert_int_equal(posture->violations, violations);
        posture_free(posture);
        config_free(config);
    }
}

static void our_own_certificates_are_judged(void **state)
{
    static const struct {
        struct enforcement_facts facts;
        const char *reason; /* NULL: ok */
    } ROWS[] = {
        {{.key_type = ENFORCEMENT_KEY_RSA, .key_bits = 2048, .not_after = NOON}, NULL},
        {{.key_type = ENFORCEMENT_KEY_RSA, .key_bits = 2048, .not_after = NOON - 1},
         "our certificate 'chat' (chat.pem) expired on 2026-10-21"},
        {{.key_type = ENFORCEMENT_KEY_RSA,
          .key_bits = 2048,
          .not_before = NOON + DAY,
          .not_after = NOON + 2 * DAY},
         "our certificate 'chat' (chat.pem) is not valid before 2026-10-22"},
        {{.key_type = ENFORCEMENT_KEY_RSA, .key_bits = 1024, .not_after = NOON},
         "our certificate 'chat' (chat.pem) has an RSA key of 1024 bits, the policy asks for "
         "2048"},
        {{.key_type = ENFORCEMENT_KEY_EC, .key_bits = 256, .not_after = NOON}, NULL},
        {{.key_type = ENFORCEMENT_KEY_EC, .key_bits = 253, .not_after = NOON}, NULL},
        {{.key_type = ENFORCEMENT_KEY_EC, .key_bits = 224, .not_after = NOON},
         "our certificate 'chat' (chat.pem) has an elliptic curve of 224 bits, the policy asks "
         "for 256"},
        {{.key_type = ENFORCEMENT_KEY_OTHER, .key_bits = 2048, .not_after = NOON},
         "our certificate 'chat' (chat.pem) has a key that is neither RSA nor an elliptic curve"},
        {{.key_type = ENFORCEMENT_KEY_EC, .key_bits = 256, .not_after = NOON, .is_revoked = true},
         "our certificate 'chat' (chat.pem) is revoked, says its issuer"},
    };
    (void)state;
    struct config *config = load("");
    for (size_t i = 0; i < COUNT(ROWS); i++) {
        struct posture *posture = judge(config, &ROWS[i].facts);
        const struct judged_hop *web = find(posture, "listener/web");
        assert_int_equal(web->verdict == VERDICT_VIOLATION, ROWS[i].reason != NULL);
        if (ROWS[i].reason != NULL) {
            assert_string_equal(web->reason, ROWS[i].reason);
        }
        /* It is not shown on the other hops. */
        assert_int_equal(find(posture, "backend/app/2")->verdict, VERDICT_OK);
        posture_free(posture);
    }
    config_free(config);
}

static void what_must_be_stapled_and_is_not_is_remarked(void **state)
{
    (void)state;
    struct config *config = load("");
    for (int i = 0; i < 4; i++) {
        struct enforcement_facts facts = good_facts();
        facts.must_staple = (i & 1) != 0;
        facts.has_staple = (i & 2) != 0;
        struct posture *posture = judge(config, &facts);
        const struct judged_hop *web = find(posture, "listener/web");
        assert_int_equal(web->verdict, VERDICT_OK);
        assert_int_equal(strstr(web->reason,
                                "; our certificate 'chat' (chat.pem) demands a "
                                "stapled OCSP response (RFC 7633) and has none") != NULL,
                         i == 1);
        posture_free(posture);
    }
    config_free(config);
}

static void the_policy_may_ask_for_longer_keys(void **state)
{
    (void)state;
    struct config *config = load("enforcement: {minimum_rsa_bits: 3072}\n");
    struct enforcement_facts facts = good_facts();
    struct posture *posture = judge(config, &facts);
    assert_int_equal(find(posture, "listener/web")->verdict, VERDICT_VIOLATION);
    posture_free(posture);
    config_free(config);
}

static void an_expired_waiver_says_so(void **state)
{
    (void)state;
    struct config *config = load("enforcement: {waivers: [{hop: backend/app/1, reason: moves, "
                                 "expires: 2026-10-20}]}\n");
    struct posture *posture = judge(config, NULL);
    const struct judged_hop *hop = find(posture, "backend/app/1");
    assert_true(hop->waiver_expired);
    assert_string_equal(hop->reason,
                        "plaintext that leaves this machine, the policy allows it on loopback "
                        "only; its waiver expired on 2026-10-20");
    posture_free(posture);
    config_free(config);
}

static void json_holds_the_hops_and_the_count(void **state)
{
    (void)state;
    struct config *config = load("enforcement: {mode: report, waivers: [{hop: backend/app/1, "
                                 "reason: moves, expires: 2026-12-31}]}\n");
    struct posture *posture = judge(config, NULL);
    json_t *json = posture_to_json(posture);
    assert_non_null(json);
    assert_int_equal(json_integer_value(json_object_get(json, "violations")), 2);
    assert_int_equal(json_integer_value(json_object_get(json, "waived")), 1);
    assert_string_equal(json_string_value(json_object_get(json, "mode")), "report");
    const json_t *hops = json_object_get(json, "hops");
    assert_int_equal(json_array_size(hops), COUNT(HOPS));
    const json_t *hop = json_array_get(hops, 5);
    const char *name = NULL;
    const char *from = NULL;
    const char *to = NULL;
    const char *protection = NULL;
    const char *verdict = NULL;
    const char *reason = NULL;
    const char *expires = NULL;
    assert_int_equal(json_unpack((json_t *)(uintptr_t)hop,
                                 "{s:s, s:s, s:s, s:s, s:s, s:{s:s, s:s}}", "name", &name, "from",
                                 &from, "to", &to, "protection", &protection, "verdict", &verdict,
                                 "waiver", "reason", &reason, "expires", &expires),
                     0);
    assert_string_equal(name, "backend/app/1");
    assert_string_equal(to, "http://legacy:4");
    assert_string_equal(protection, "plaintext");
    assert_string_equal(verdict, "waived");
    assert_string_equal(expires, "2026-12-31");
    assert_true(json_is_null(json_object_get(json_array_get(hops, 0), "waiver")));
    json_decref(json);
    posture_free(posture);
    config_free(config);
}

static void the_table_is_for_people(void **state)
{
    (void)state;
    struct config *config = load("");
    struct posture *posture = judge(config, NULL);
    char *text = NULL;
    size_t len = 0;
    FILE *out = open_memstream(&text, &len);
    assert_non_null(out);
    posture_print(posture, out);
    posture_print_violations(posture, out);
    assert_int_equal(fclose(out), 0);
    for (size_t i = 0; i < COUNT(HOPS); i++) {
        assert_non_null(strstr(text, HOPS[i]));
    }
    assert_non_null(strstr(text, "12 hops, 3 violations, 0 waived\n"));
    assert_non_null(strstr(text, "f:5:5: hop listener/open: plaintext that leaves this machine"));
    assert_non_null(strstr(text, "f:8:41: hop backend/app/1: plaintext that leaves this machine"));
    free(text);
    posture_free(posture);
    config_free(config);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_leg_is_a_hop),
        cmocka_unit_test(plaintext_is_judged_by_the_policy),
        cmocka_unit_test(our_own_certificates_are_judged),
        cmocka_unit_test(what_must_be_stapled_and_is_not_is_remarked),
        cmocka_unit_test(the_policy_may_ask_for_longer_keys),
        cmocka_unit_test(an_expired_waiver_says_so),
        cmocka_unit_test(json_holds_the_hops_and_the_count),
        cmocka_unit_test(the_table_is_for_people),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
