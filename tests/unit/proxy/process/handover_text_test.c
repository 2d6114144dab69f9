/* tests/unit/proxy/process/handover_text_test.c · SPDX-License-Identifier: Apache-2.0 */
#include "proxy/process/handover_text.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static const char TEXT[] = "sallyport-handover 1\n"
                           "pid 4711\n"
                           "begun 81723661\n"
                           "crew 2\n"
                           "drain 30000\n"
                           "log 5 2 0\n"
                           "admin 7 /run/sally port/admin.sock\n"
                           "tickets 9\n"
                           "spent 10\n"
                           "socket 11 0 4:7f000001:8443 127.0.0.1:8443\n"
                           "socket 12 1 4:7f000001:8443 127.0.0.1:8443\n"
                           "socket 13 0 6:00000000000000000000000000000000:0 [::]:41234\n"
                           "lent 14 0 unix unix:/run/web.sock\n"
                           "child 15 4712 1 0 worker 1\n"
                           "child - 4713 1 99000 keyholder\n"
                           "rules 7947 7946,8301 nodes\n"
                           "end\n";

static char *write_again(const struct handover *handover)
{
    char *text = NULL;
    size_t len = 0;
    FILE *out = open_memstream(&text, &len);
    handover_write(handover, out);
    assert_int_equal(fclose(out), 0);
    return text;
}

static void is_written_as_it_was_read(void **state)
{
    (void)state;
    struct handover handover;
    assert_int_equal(handover_parse(&handover, slice_of(TEXT)), STATUS_OK);
    assert_int_equal(handover.pid, 4711);
    assert_int_equal(handover.begun_us, 81723661);
    assert_int_equal(handover.crew, 2);
    assert_string_equal(handover.admin_path, "/run/sally port/admin.sock");
    assert_int_equal(handover.socket_count, 4);
    assert_int_equal(handover.sockets[1].row, 1);
    assert_int_equal(handover.sockets[0].asked.ip[0], 127);
    assert_int_equal(handover.sockets[0].asked.port, 8443);
    assert_int_equal(handover.sockets[2].asked.kind, CONFIG_ADDRESS_IP6);
    assert_string_equal(handover_asked(&handover.sockets[3]).path, "/run/web.sock");
    assert_true(handover.sockets[3].is_lent && !handover.sockets[2].is_lent);
    assert_int_equal(handover.child_count, 2);
    assert_int_equal(handover.children[1].channel, -1);
    assert_int_equal(handover.children[1].gone_ms, 99000);
    assert_int_equal(handover.rules[0].port_count, 2);
    char *text = write_again(&handover);
    assert_string_equal(text, TEXT);
    free(text);
    handover_fini(&handover);
}

static void no_part_of_it_is_one(void **state)
{
    (void)state;
    struct handover handover;
    for (size_t len = 0; len < strlen(TEXT); len++) {
        char *part = malloc(len + 1); /* of that size, so that whoever reads on is seen */
        memcpy(part, TEXT, len);
        assert_int_equal(handover_parse(&handover, (slice){part, len}), STATUS_REFUSED);
        free(part);
    }
}

static void what_is_wrong_is_refused(void **state)
{
    (void)state;
    static const char *const LINES[] = {
        "socket 11 0 4:7f00000g:80 x",
        "socket 11 0 4:7f000001:80000 x",
        "socket 11 0 4:7f000001:80",
        "socket -1 0 4:7f000001:80 x",
        "socket 11 0 4:7f000001:80 unix:x",
        "socket 11 0 unix 1.2.3.4:5",
        "socket 11 99999999 unix unix:x",
        "socket x 0 unix unix:x",
        "child 15 0 1 0 worker 1",
        "child 15 4712 1 0",
        "child 15 4712 1 0 a role that is too long for any child",
        "child 15 4712 -1 0 worker 1",
        "rules 7947 7946 a\"; flush",
        "rules 7947  nodes",
        "rules 7947 0 nodes",
        "rules 70000 7946 nodes",
        "admin 8 /second",
        "tickets 10",
        "spent 11",
        "spent -1",
        "log 6 2 0",
        "pid 0",
        "pid 1 2",
        "unknown 1",
        "",
        "begun -1",
    };
    for (size_t i = 0; i < sizeof(LINES) / sizeof(LINES[0]); i++) {
        char text[sizeof(TEXT) + 128];
        size_t head = strlen(TEXT) - strlen("end\n");
        (void)snprintf(text, sizeof(text), "%.*s%s\nend\n", (int)head, TEXT, LINES[i]);
        struct handover handover;
        assert_int_equal(handover_parse(&handover, slice_of(text)), STATUS_REFUSED);
        assert_null(handover.sockets);
    }
}

static void another_version_is_refused(void **state)
{
    (void)state;
    struct handover handover;
    char text[sizeof(TEXT)];
    memcpy(text, TEXT, sizeof(TEXT));
    text[strlen("sallyport-handover ")] = '2';
    assert_int_equal(handover_parse(&handover, slice_of(text)), STATUS_REFUSED);
}

static void count_descriptor(void *self, int descriptor)
{
    int *sum = self;
    *sum += descriptor;
}

static void tells_each_descriptor_once(void **state)
{
    (void)state;
    struct handover handover;
    int sum = 0;
    assert_int_equal(handover_parse(&handover, slice_of(TEXT)), STATUS_OK);
    handover_each_descriptor(&handover, count_descriptor, &sum);
    assert_int_equal(sum, 5 + 7 + 9 + 10 + 11 + 12 + 13 + 14 + 15);
    handover_fini(&handover);
}

static void forgets_a_child_that_is_gone(void **state)
{
    (void)state;
    struct handover handover;
    assert_int_equal(handover_parse(&handover, slice_of(TEXT)), STATUS_OK);
    handover_remove_child(&handover, 4712);
    handover_remove_child(&handover, 1);
    assert_int_equal(handover.child_count, 1);
    assert_int_equal(handover.children[0].pid, 4713);
    handover_fini(&handover);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(is_written_as_it_was_read),
        cmocka_unit_test(no_part_of_it_is_one),
        cmocka_unit_test(what_is_wrong_is_refused),
        cmocka_unit_test(another_version_is_refused),
        cmocka_unit_test(tells_each_descriptor_once),
        cmocka_unit_test(forgets_a_child_that_is_gone),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
