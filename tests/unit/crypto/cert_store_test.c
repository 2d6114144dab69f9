/* tests/unit/crypto/cert_store_test.c · SPDX-License-Identifier: Apache-2.0 */
#include "crypto/tls_rig.h"

#include <time.h>

struct fixture {
    struct rig_authority authority;
    EVP_PKEY *rsa;
    EVP_PKEY *ec;
    struct cert_store *store;
};

struct held {
    const char *label;
    const char *names;
    bool is_rsa;
    int from_days;
    int to_days;
};

static const struct held HELD[] = {
    {"default", "DNS:default.example,DNS:also.default.example", false, 0, 0},
    {"default rsa", "DNS:DEFAULT.example", true, 0, 0},
    {"exact", "DNS:a.wild.example", false, 0, 0},
    {"wild", "DNS:*.wild.example", false, 0, 0},
    {"wild rsa", "DNS:*.wild.example", true, 0, 0},
    {"old exact", "DNS:old.wild.example", false, -20, -10},
    {"future", "DNS:soon.example", false, 5, 10},
    {"soon rsa", "DNS:soon.example", true, -20, -10},
    {"second", "DNS:twice.example", false, 0, 0},
    {"third", "DNS:twice.example", false, 0, 0},
    {"odd", "DNS:f*.odd.example,DNS:*,IP:127.0.0.1", false, 0, 0},
    {"old wild", "DNS:*.past.example", false, -20, -10},
    {"top", "DNS:single", false, 0, 0},
};

static int set_up(void **state)
{
    struct fixture *fixture = calloc(1, sizeof(*fixture));
    rig_authority_init(&fixture->authority, "rig authority");
    fixture->rsa = rig_rsa_new();
    fixture->ec = rig_ec_new();
    fixture->store = cert_store_new();
    for (size_t i = 0; i < sizeof(HELD) / sizeof(HELD[0]); i++) {
        struct rig_wish wish = {.common_name = HELD[i].label,
                                .names = HELD[i].names,
                                .from_days = HELD[i].from_days,
                                .to_days = HELD[i].to_days};
        rig_store_take(fixture->store,
                       rig_identity_new(&fixture->authority, &wish,
                                        HELD[i].is_rsa ? fixture->rsa : fixture->ec));
    }
    *state = fixture;
    return 0;
}

static int tear_down(void **state)
{
    struct fixture *fixture = *state;
    cert_store_unref(fixture->store);
    rig_authority_fini(&fixture->authority);
    EVP_PKEY_free(fixture->rsa);
    EVP_PKEY_free(fixture->ec);
    free(fixture);
    return 0;
}

static const char *label_of(const struct identity *identity)
{
    if (identity == NULL) {
        return "";
    }
    return certificate_facts(identity_certificate(identity))->subject + strlen("CN=");
}

static const struct {
    const char *name;
    bool is_known;
    const char *ec;
    const char *rsa;
} CHOICES[] = {
    {"default.example", true, "default", "default rsa"},
    {"DEFAULT.EXAMPLE.", true, "default", "default rsa"},
    {"also.default.example", true, "default", ""},
    {NULL, false, "default", "default rsa"},
    {"", false, "default", "default rsa"},
    {".", false, "default", "default rsa"},
    {"..", false, "default", "default rsa"},
    {".wild.example", false, "default", "default rsa"},
    {"wild.example", false, "default", "default rsa"},
    {"*.wild.example", true, "wild", "wild rsa"},
    {"a.wild.example", true, "exact", ""},
    {"A.Wild.Example", true, "exact", ""},
    {"b.wild.example", true, "wild", "wild rsa"},
    {"b.a.wild.example", false, "default", "default rsa"},
    {"old.wild.example", true, "wild", "wild rsa"},
    {"soon.example", true, "future", "soon rsa"},
    {"twice.example", true, "second", ""},
    {"foo.odd.example", false, "default", "default rsa"},
    {"127.0.0.1", false, "default", "default rsa"},
    {"x.past.example", true, "old wild", ""},
    {"single", true, "top", ""},
    {"single.", true, "top", ""},
    {"nowhere", false, "default", "default rsa"},
};

static void chooses_exact_then_wildcard_then_default_and_valid_before_all(void **state)
{
    struct fixture *fixture = *state;
    for (size_t i = 0; i < sizeof(CHOICES) / sizeof(CHOICES[0]); i++) {
        struct cert_choice choice;
        bool is_known = cert_store_choose(fixture->store, CHOICES[i].name, time(NULL), &choice);
        const char *ec = label_of(choice.of[CERTIFICATE_EC]);
        const char *rsa = label_of(choice.of[CERTIFICATE_RSA]);
        if (is_known != CHOICES[i].is_known || strcmp(ec, CHOICES[i].ec) != 0 ||
            strcmp(rsa, CHOICES[i].rsa) != 0) {
            fail_msg("row %zu: known %d, ec %s, rsa %s", i, is_known, ec, rsa);
        }
    }
}

static void takes_names_of_any_length(void **state)
{
    struct fixture *fixture = *state;
    char name[1024];
    for (size_t len = 1; len < sizeof(name); len++) {
        memset(name, 'a', len);
        name[len] = '\0';
        struct cert_choice choice;
        assert_false(cert_store_choose(fixture->store, name, time(NULL), &choice));
        assert_string_equal(label_of(choice.of[CERTIFICATE_EC]), "default");
    }
}

static void the_choice_moves_on_with_the_clock(void **state)
{
    struct fixture *fixture = *state;
    struct cert_choice choice;
    (void)cert_store_choose(fixture->store, "soon.example", time(NULL) + 7 * RIG_DAY, &choice);
    assert_string_equal(label_of(choice.of[CERTIFICATE_EC]), "future");
    assert_null(choice.of[CERTIFICATE_RSA]);
    (void)cert_store_choose(fixture->store, "old.wild.example", time(NULL) - 15 * RIG_DAY, &choice);
    assert_string_equal(label_of(choice.of[CERTIFICATE_EC]), "old exact");
}

static void an_empty_store_chooses_nothing(void **state)
{
    (void)state;
    struct cert_store *store = cert_store_new();
    struct cert_choice choice;
    assert_false(cert_store_choose(store, "a.example", time(NULL), &choice));
    for (int i = 0; i < CERTIFICATE_KEYS; i++) {
        assert_null(choice.of[i]);
    }
    cert_store_unref(store);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(chooses_exact_then_wildcard_then_default_and_valid_before_all),
        cmocka_unit_test(takes_names_of_any_length),
        cmocka_unit_test(the_choice_moves_on_with_the_clock),
        cmocka_unit_test(an_empty_store_chooses_nothing),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
