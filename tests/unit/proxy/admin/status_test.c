/* tests/unit/proxy/admin/status_test.c · SPDX-License-Identifier: Apache-2.0 */
#include "proxy/admin/status.h"

#include <jansson.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

static struct instance_status plain(void)
{
    return (struct instance_status){.config = "/etc/x.yaml",
                                    .pid = 7,
                                    .is_ready = true,
                                    .upgrade = {.state = "none", .reason = ""}};
}

static json_t *json_of(const struct instance_status *status)
{
    char *text = instance_status_to_json(status);
    assert_non_null(text);
    assert_null(strchr(text, '\n'));
    json_t *json = json_loads(text, 0, NULL);
    assert_non_null(json);
    free(text);
    return json;
}

static const char *text_of(const json_t *json, const char *key)
{
    return json_string_value(json_object_get(json, key));
}

static void state_and_readiness_agree(void **state)
{
    (void)state;
    static const struct {
        bool is_ready;
        bool is_draining;
        const char *state;
        bool ready;
    } ROWS[] = {
        {false, false, "starting", false},
        {true, false, "ready", true},
        {true, true, "draining", false},
        {false, true, "draining", false},
    };
    for (size_t i = 0; i < sizeof(ROWS) / sizeof(ROWS[0]); i++) {
        struct instance_status status = plain();
        status.is_ready = ROWS[i].is_ready;
        status.is_draining = ROWS[i].is_draining;
        json_t *json = json_of(&status);
        assert_string_equal(text_of(json, "state"), ROWS[i].state);
        assert_int_equal(json_is_true(json_object_get(json, "ready")), ROWS[i].ready);
        json_decref(json);
    }
}

/* Ready, although the new children are not: the former ones serve. */
static void an_upgrade_is_told_of(void **state)
{
    (void)state;
    struct instance_status status = plain();
    status.is_ready = false;
    status.is_succeeding = true;
    status.upgrade = (struct status_upgrade){
        .state = "failed", .reason = "no such file", .since = 86400, .former_processes = 3};
    json_t *json = json_of(&status);
    const json_t *upgrade = json_object_get(json, "upgrade");
    assert_string_equal(text_of(json, "state"), "upgrading");
    assert_true(json_is_true(json_object_get(json, "ready")));
    assert_string_equal(text_of(upgrade, "state"), "failed");
    assert_string_equal(text_of(upgrade, "reason"), "no such file");
    assert_string_equal(text_of(upgrade, "since"), "1970-01-02T00:00:00Z");
    assert_int_equal(json_integer_value(json_object_get(upgrade, "former_processes")), 3);
    json_decref(json);
}

static void who_holds_the_place_says_what_serves(void **state)
{
    (void)state;
    const struct status_child child = {.role = "worker 1", .pid = 8, .is_ready = true};
    const struct holding_status status = {.pid = 7,
                                          .serves = true,
                                          .children = &child,
                                          .child_count = 1,
                                          .upgrade = {.state = "failed", .reason = "no"}};
    char *text = instance_holding_to_json(&status);
    json_t *json = json_loads(text, 0, NULL);
    assert_string_equal(text_of(json, "state"), "holding");
    assert_true(json_is_true(json_object_get(json, "ready")));
    assert_int_equal(json_array_size(json_object_get(json, "processes")), 1);
    json_decref(json);
    free(text);
}

static void report_mode_is_told(void **state)
{
    (void)state;
    struct instance_status status = plain();
    status.violations = 2;
    for (int i = 0; i < 2; i++) {
        status.is_report_mode = i == 1;
        json_t *json = json_of(&status);
        assert_string_equal(text_of(json, "mode"), i == 1 ? "report" : "strict");
        assert_int_equal(json_integer_value(json_object_get(json, "violations")), 2);
        json_decref(json);
    }
}

static void lists_hold_what_was_gathered(void **state)
{
    (void)state;
    const struct status_child children[] = {
        {.role = "keyholder", .pid = -1, .restarts = 3},
        {.role = "worker 1", .pid = 12, .is_ready = true},
    };
    const struct status_listener listeners[] = {{"web", "[::]:8443"}};
    const struct status_certificate certificates[] = {
        {.name = "web", .file = "a.pem", .expires = (int64_t)time(NULL) + 10 * 86400 + 60}};
    const char *const notices[] = {"a \"quoted\" notice"};
    struct instance_status status = plain();
    status.children = children;
    status.child_count = 2;
    status.listeners = listeners;
    status.listener_count = 1;
    status.certificates = certificates;
    status.certificate_count = 1;
    status.notices = notices;
    status.notice_count = 1;
    json_t *json = json_of(&status);
    const json_t *keyholder = json_array_get(json_object_get(json, "processes"), 0);
    assert_true(json_is_null(json_object_get(keyholder, "pid")));
    assert_int_equal(json_integer_value(json_object_get(keyholder, "restarts")), 3);
    assert_null(json_object_get(keyholder, "conns"));
    const json_t *web = json_array_get(json_object_get(json, "listeners"), 0);
    assert_string_equal(text_of(web, "address"), "[::]:8443");
    const json_t *certificate = json_array_get(json_object_get(json, "certificates"), 0);
    assert_int_equal(json_integer_value(json_object_get(certificate, "days_left")), 10);
    const json_t *notice = json_array_get(json_object_get(json, "notices"), 0);
    assert_string_equal(json_string_value(notice), notices[0]);
    json_decref(json);
}

static void an_expired_certificate_is_a_state_where_the_policy_says_so(void **state)
{
    (void)state;
    struct instance_status status = plain();
    status.is_ready = true;
    status.is_expired = true;
    json_t *json = json_of(&status);
    assert_string_equal(text_of(json, "state"), "expired");
    assert_true(json_is_false(json_object_get(json, "ready")));
    json_decref(json);
    status.is_draining = true;
    json = json_of(&status);
    assert_string_equal(text_of(json, "state"), "draining");
    json_decref(json);
}

static void what_ends_soon_is_listed_and_the_rest_is_not(void **state)
{
    (void)state;
    uint64_t spans[] = {30ULL * 86400 * 1000};
    const struct config_expiry policy = {.warn_ms = spans, .warn_count = 1};
    const int64_t now = (int64_t)time(NULL);
    const struct expiry_date dates[] = {
        {EXPIRY_OWN, "lasts", "a.pem", "", now + 31 * 86400 + 60},
        {EXPIRY_CLIENT_CA, "web", "ca.pem", "CN=staff", now + 10 * 86400 + 60},
        {EXPIRY_OWN, "past", "b.pem", "", now - 60},
    };
    struct instance_status status = plain();
    status.expiry = &policy;
    status.dates = dates;
    status.date_count = 3;
    json_t *json = json_of(&status);
    const json_t *expiring = json_object_get(json, "expiring");
    assert_int_equal(json_array_size(expiring), 2);
    assert_string_equal(text_of(json_array_get(expiring, 0), "subject"), "CN=staff");
    const json_t *past = json_array_get(expiring, 1);
    assert_int_equal(json_integer_value(json_object_get(past, "days_left")), -1);
    json_decref(json);
}

static void processes_tell_what_they_compute_in_batches(void **state)
{
    (void)state;
    static const struct {
        const char *batched;
        bool is_ready;
        uint32_t batch_lanes;
        const char *expected; /* NULL: no word of it */
    } rows[] = {
        {"signing", true, 0, "\"signing\":\"openssl\""},
        {"signing", true, 8, "\"signing\":\"batches of 8 (libcrypto-mb)\""},
        {"signing", false, 8, "\"signing\":null"},
        {"agreements", true, 8, "\"agreements\":\"batches of 8 (libcrypto-mb)\""},
        {NULL, true, 8, NULL},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        const struct status_child child = {.role = "any",
                                           .is_ready = rows[i].is_ready,
                                           .batched = rows[i].batched,
                                           .batch_lanes = rows[i].batch_lanes};
        struct instance_status status = plain();
        status.children = &child;
        status.child_count = 1;
        char *text = instance_status_to_json(&status);
        assert_non_null(text);
        const char *found = strstr(text, rows[i].expected != NULL ? rows[i].expected : "batches");
        assert_int_equal(found != NULL, rows[i].expected != NULL);
        free(text);
    }
}

static void who_keeps_failing_is_told_of_apart(void **state)
{
    (void)state;
    static const struct status_child children[] = {
        {.role = "worker 1", .is_ready = true, .restarts = 3, .sandbox = "none"},
        {.role = "worker 2", .pid = -1, .restarts = 4, .keeps_failing = true, .delay_ms = 800},
    };
    struct instance_status status = plain();
    status.children = children;
    status.child_count = 2;
    json_t *json = json_of(&status);
    const json_t *failing = json_object_get(json, "failing");
    assert_int_equal(json_array_size(failing), 1);
    const json_t *row = json_array_get(failing, 0);
    assert_string_equal(text_of(row, "child"), "worker 2");
    assert_int_equal(json_integer_value(json_object_get(row, "restarts")), 4);
    assert_int_equal(json_integer_value(json_object_get(row, "delay_ms")), 800);
    json_decref(json);
}

static void text_that_is_no_utf8_fails_whole(void **state)
{
    (void)state;
    struct instance_status status = plain();
    status.config = "/etc/\xff.yaml";
    char *text = instance_status_to_json(&status);
    assert_null(text);
    free(text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(state_and_readiness_agree),
        cmocka_unit_test(an_upgrade_is_told_of),
        cmocka_unit_test(who_holds_the_place_says_what_serves),
        cmocka_unit_test(report_mode_is_told),
        cmocka_unit_test(lists_hold_what_was_gathered),
        cmocka_unit_test(an_expired_certificate_is_a_state_where_the_policy_says_so),
        cmocka_unit_test(what_ends_soon_is_listed_and_the_rest_is_not),
        cmocka_unit_test(processes_tell_what_they_compute_in_batches),
        cmocka_unit_test(who_keeps_failing_is_told_of_apart),
        cmocka_unit_test(text_that_is_no_utf8_fails_whole),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
