/* tests/unit/proxy/process/reload_limits_test.c · SPDX-License-Identifier: Apache-2.0 */
#include "proxy/process/reload_limits.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static struct config base(void)
{
    static struct config_listener listener;
    return (struct config){
        .file = "f.yaml",
        .listeners = &listener,
        .listener_count = 1,
        .certificate_count = 1,
        .workers = 2,
        .user = "web",
        .admin = {{.kind = CONFIG_ADDRESS_UNIX, .path = "/run/a.sock"}},
        .log = {.destination = {.word = "stderr"}},
    };
}

/* How many, and whether `part` is said. */
static size_t tell(const struct config *next, size_t keyholder_count, const char *part)
{
    const struct config present = base();
    char *text = NULL;
    size_t len = 0;
    FILE *out = open_memstream(&text, &len);
    assert_non_null(out);
    size_t count = reload_limits_tell(&present, next, keyholder_count, out);
    assert_int_equal(fclose(out), 0);
    if (strstr(text, part) == NULL) {
        fail_msg("no %s in: %s", part, text);
    }
    free(text);
    return count;
}

static void what_stays_the_same_is_fine(void **state)
{
    (void)state;
    struct config next = base();
    next.timeouts.drain_ms = 5;
    assert_int_equal(tell(&next, 1, ""), 0);
    next.listener_count = 1;
    next.certificate_count = 0;
    assert_int_equal(tell(&next, 0, ""), 0);
}

static void each_setting_that_needs_a_new_start_is_named(void **state)
{
    (void)state;
    struct config next = base();
    next.tickets.spent_max = 99;
    assert_int_equal(tell(&next, true, "f.yaml: `tickets.spent_max`"), 1);
    next = base();
    next.workers = 3;
    assert_int_equal(tell(&next, 1, "f.yaml: the number of workers"), 1);
    next = base();
    next.user = NULL;
    assert_int_equal(tell(&next, 1, "`user`"), 1);
    next = base();
    next.admin.address.path = "/run/b.sock";
    next.admin.address.place = (struct place){"g.yaml", 3, 9};
    assert_int_equal(tell(&next, 1, "g.yaml:3:9: the admin address"), 1);
    next = base();
    next.log.destination = (struct config_file){.path = "/var/log/x"};
    assert_int_equal(tell(&next, 1, "destination of the log"), 1);
    next = base();
    next.keyholders = 2;
    assert_int_equal(tell(&next, 2, ""), 0);
    assert_int_equal(tell(&next, 1, "the number of keyholders"), 1);
    next = base();
    assert_int_equal(tell(&next, 0, "certificates"), 1);
    next.listener_count = 0; /* no workers */
    next.user = "other";
    assert_int_equal(tell(&next, 0, "`user`"), 3);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_stays_the_same_is_fine),
        cmocka_unit_test(each_setting_that_needs_a_new_start_is_named),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
