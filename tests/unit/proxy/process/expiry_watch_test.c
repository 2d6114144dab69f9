/* tests/unit/proxy/process/expiry_watch_test.c: the source itself, so that a day can pass in a
 * moment
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "proxy/process/expiry_watch.c"

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

enum { DAY = 86400, TEXT_BYTES = 8192 };

static uint64_t spans[] = {30ULL * DAY * 1000, 14ULL * DAY * 1000, 3ULL * DAY * 1000};
static const struct config_expiry POLICY = {.warn_ms = spans, .warn_count = 3};

/* A log into a pipe, and a watch over one certificate. */
struct rig {
    int pipe[2];
    struct log *log;
    struct loop *loop;
    struct expiry_date date;
    struct expiry_watch *watch;
    char text[TEXT_BYTES];
};

static const char *heard(struct rig *rig)
{
    log_flush(rig->log);
    ssize_t len = read(rig->pipe[0], rig->text, sizeof(rig->text) - 1);
    rig->text[len > 0 ? len : 0] = '\0';
    return rig->text;
}

static void open_rig(struct rig *rig, int64_t left)
{
    *rig = (struct rig){.date = {EXPIRY_OWN, "web", "web.pem", "", (int64_t)time(NULL) + left}};
    assert_int_equal(pipe2(rig->pipe, O_CLOEXEC | O_NONBLOCK), 0);
    rig->log = log_new(LOG_WARN, LOG_JSON, rig->pipe[1], "master");
    rig->loop = loop_new();
    assert_non_null(rig->log);
    assert_non_null(rig->loop);
    const struct expiry_subjects subjects = {&POLICY, &rig->date, 1};
    assert_int_equal(expiry_watch_open(&rig->watch, rig->loop, rig->log, &subjects), STATUS_OK);
}

static void close_rig(struct rig *rig)
{
    expiry_watch_close(rig->watch);
    loop_free(rig->loop);
    log_free(rig->log);
    (void)close(rig->pipe[0]);
    (void)close(rig->pipe[1]);
}

static void says_nothing_of_an_end_that_is_far(void **state)
{
    (void)state;
    struct rig rig;
    open_rig(&rig, 31 * DAY);
    assert_string_equal(heard(&rig), "");
    close_rig(&rig);
}

static void tells_at_the_start_once(void **state)
{
    (void)state;
    struct rig rig;
    open_rig(&rig, 20 * DAY + 60);
    assert_non_null(strstr(heard(&rig), "\"event\":\"certificate_expires\""));
    assert_non_null(strstr(rig.text, "\"level\":\"warn\""));
    assert_non_null(strstr(rig.text, "\"days_left\":20,\"within_days\":30"));
    look(rig.watch, (int64_t)time(NULL) + 60);
    assert_string_equal(heard(&rig), "");
    close_rig(&rig);
}

static void tells_again_every_day_and_with_each_span(void **state)
{
    (void)state;
    struct rig rig;
    open_rig(&rig, 20 * DAY);
    int64_t start = (int64_t)time(NULL);
    int events = 0;
    for (int64_t hour = 0; hour < 22 * 24; hour++) {
        look(rig.watch, start + hour * 3600);
        for (const char *at = strstr(heard(&rig), "\"event\""); at != NULL;
             at = strstr(at + 1, "\"event\"")) {
            events++;
        }
    }
    /* Each day, and when it comes within 14 days, within 3 days, and ends. A reminder that falls
     * due at such a moment is the same line. */
    assert_in_range(events, 21, 26);
    close_rig(&rig);
}

static void the_last_span_and_the_end_are_errors(void **state)
{
    (void)state;
    struct rig rig;
    open_rig(&rig, 20 * DAY);
    int64_t end = rig.date.not_after;
    (void)heard(&rig);
    look(rig.watch, end - 14 * DAY);
    assert_non_null(strstr(heard(&rig), "\"level\":\"warn\""));
    look(rig.watch, end - 3 * DAY);
    assert_non_null(strstr(heard(&rig), "\"level\":\"error\""));
    look(rig.watch, end + 1);
    assert_non_null(strstr(heard(&rig), "\"event\":\"certificate_expired\""));
    assert_non_null(strstr(rig.text, "\"level\":\"error\""));
    look(rig.watch, end + 2);
    assert_string_equal(heard(&rig), "");
    close_rig(&rig);
}

static void only_our_own_certificates_make_it_unready(void **state)
{
    (void)state;
    struct expiry_date dates[] = {{EXPIRY_CLIENT_CA, "web", "ca.pem", "CN=x", 10},
                                  {EXPIRY_OWN, "web", "web.pem", "", 20}};
    const struct expiry_subjects subjects = {&POLICY, dates, 2};
    assert_false(expiry_has_own_expired(&subjects, 15));
    assert_false(expiry_has_own_expired(&subjects, 20));
    assert_true(expiry_has_own_expired(&subjects, 21));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(says_nothing_of_an_end_that_is_far),
        cmocka_unit_test(tells_at_the_start_once),
        cmocka_unit_test(tells_again_every_day_and_with_each_span),
        cmocka_unit_test(the_last_span_and_the_end_are_errors),
        cmocka_unit_test(only_our_own_certificates_make_it_unready),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
