/* tests/unit/config/expiry_test.c · SPDX-License-Identifier: Apache-2.0 */
#include "config/expiry.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

enum { DAY = 86400 };

static const int64_t NOON = 1792584000; /* 2026-10-21 12:00 UTC */

/* In no order, as an operator may write them. */
static uint64_t spans[] = {14ULL * DAY * 1000, 3ULL * DAY * 1000, 30ULL * DAY * 1000};
static const struct config_expiry POLICY = {.warn_ms = spans, .warn_count = 3};

static void each_span_is_entered_at_its_second(void **state)
{
    (void)state;
    static const struct {
        int64_t left;
        bool is_near;
        bool is_urgent;
        bool is_expired;
        uint64_t within_days;
        int64_t days_left;
    } ROWS[] = {
        {400 * DAY, false, false, false, 0, 400},
        {30 * DAY + 1, false, false, false, 0, 30},
        {30 * DAY, true, false, false, 30, 30},
        {14 * DAY + 1, true, false, false, 30, 14},
        {14 * DAY, true, false, false, 14, 14},
        {3 * DAY + 1, true, false, false, 14, 3},
        {3 * DAY, true, true, false, 3, 3},
        {DAY - 1, true, true, false, 3, 0},
        {0, true, true, false, 3, 0}, /* notAfter itself is still valid (RFC 5280 §4.1.2.5) */
        {-1, true, true, true, 0, -1},
        {-DAY, true, true, true, 0, -1},
        {-DAY - 1, true, true, true, 0, -2},
    };
    for (size_t i = 0; i < sizeof(ROWS) / sizeof(ROWS[0]); i++) {
        struct expiry_view view = expiry_look(&POLICY, NOON + ROWS[i].left, NOON);
        assert_int_equal(view.is_near, ROWS[i].is_near);
        assert_int_equal(view.is_urgent, ROWS[i].is_urgent);
        assert_int_equal(view.is_expired, ROWS[i].is_expired);
        assert_int_equal(view.within_days, ROWS[i].within_days);
        assert_int_equal(view.days_left, ROWS[i].days_left);
    }
}

static void without_spans_only_the_end_is_told(void **state)
{
    (void)state;
    const struct config_expiry none = {0};
    assert_false(expiry_look(&none, NOON + 1, NOON).is_near);
    assert_true(expiry_look(&none, NOON - 1, NOON).is_near);
}

static void sentences_name_what_ends(void **state)
{
    (void)state;
    static const struct {
        struct expiry_date date;
        const char *sentence;
    } ROWS[] = {
        {{EXPIRY_OWN, "web", "web.pem", "", NOON + 3 * DAY},
         "our certificate 'web' (web.pem) expires on 2026-10-24, in 3 days"},
        {{EXPIRY_OWN, "web", "web.pem", "", NOON + DAY},
         "our certificate 'web' (web.pem) expires on 2026-10-22, in 1 day"},
        {{EXPIRY_OWN, "web", "web.pem", "", NOON + DAY - 1},
         "our certificate 'web' (web.pem) expires on 2026-10-22, in less than a day"},
        {{EXPIRY_OWN, "web", "web.pem", "", NOON - DAY},
         "our certificate 'web' (web.pem) expired on 2026-10-20"},
        {{EXPIRY_CLIENT_CA, "web", "ca.pem", "CN=staff", NOON + 2 * DAY},
         "authority CN=staff for clients of listener 'web' (ca.pem) expires on 2026-10-23, in 2 "
         "days"},
        {{EXPIRY_BACKEND_CA, "app", "ca.pem", "CN=inner", NOON + 2 * DAY},
         "authority CN=inner for backend 'app' (ca.pem) expires on 2026-10-23, in 2 days"},
        {{EXPIRY_BACKEND, "app", "https://a:1", "", NOON + 2 * DAY},
         "the certificate of https://a:1 in backend 'app' expires on 2026-10-23, in 2 days"},
    };
    for (size_t i = 0; i < sizeof(ROWS) / sizeof(ROWS[0]); i++) {
        char sentence[EXPIRY_SENTENCE_BYTES];
        struct expiry_view view = expiry_look(&POLICY, ROWS[i].date.not_after, NOON);
        expiry_sentence(&ROWS[i].date, &view, sentence);
        assert_string_equal(sentence, ROWS[i].sentence);
    }
}

static void json_says_how_near_it_is(void **state)
{
    (void)state;
    struct expiry_date date = {EXPIRY_OWN, "web", "web.pem", "", NOON + 5 * DAY};
    struct expiry_view view = expiry_look(&POLICY, date.not_after, NOON);
    json_t *json = expiry_to_json(&date, &view);
    assert_string_equal(json_string_value(json_object_get(json, "kind")), "own");
    assert_string_equal(json_string_value(json_object_get(json, "expires")),
                        "2026-10-26T12:00:00Z");
    assert_int_equal(json_integer_value(json_object_get(json, "days_left")), 5);
    assert_int_equal(json_integer_value(json_object_get(json, "within_days")), 14);
    json_decref(json);
    view = expiry_look(&POLICY, NOON + 100 * DAY, NOON);
    json = expiry_to_json(&date, &view);
    assert_true(json_is_null(json_object_get(json, "within_days")));
    json_decref(json);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_span_is_entered_at_its_second),
        cmocka_unit_test(without_spans_only_the_end_is_told),
        cmocka_unit_test(sentences_name_what_ends),
        cmocka_unit_test(json_says_how_near_it_is),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
