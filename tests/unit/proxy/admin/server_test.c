/* tests/unit/proxy/admin/server_test.c
 *
 * A loop and an admin socket in this process; each request is written before the loop turns.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "proxy/admin/server.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "proxy/admin/local_socket.h"
#include "proxy/admin/status.h"
#include "proxy/net/timer.h"

enum { CONNS_MAX = 16, ANSWER_BYTES = 512, TURNS_MS = 50 };

struct rig {
    char folder[32];
    char path[64];
    struct loop *loop;
    struct admin_server *server;
    int drains;
    int stops;
    uint64_t reload_run; /* that the next request for one gets; 0: refused */
};

static char *on_status(void *self)
{
    (void)self;
    return strdup("{\"state\":\"ready\"}");
}

static char *on_metrics(void *self)
{
    (void)self;
    return strdup("{\"metrics\":\"x 1\\n\"}");
}

static void on_drain(void *self)
{
    ((struct rig *)self)->drains++;
}

static void on_stop(void *self)
{
    ((struct rig *)self)->stops++;
}

static uint64_t on_reload(void *self)
{
    return ((struct rig *)self)->reload_run;
}

static int open_rig(void **state)
{
    struct rig *rig = calloc(1, sizeof(*rig));
    strcpy(rig->folder, "/tmp/admin-test-XXXXXX");
    if (mkdtemp(rig->folder) == NULL) {
        free(rig);
        return -1;
    }
    (void)snprintf(rig->path, sizeof(rig->path), "%s/admin.sock", rig->folder);
    const struct admin_events events = {.self = rig,
                                        .on_status = on_status,
                                        .on_metrics = on_metrics,
                                        .on_drain = on_drain,
                                        .on_stop = on_stop,
                                        .on_reload = on_reload};
    rig->loop = loop_new();
    *state = rig;
    return admin_server_open(&rig->server, rig->loop, rig->path, &events) == STATUS_OK ? 0 : -1;
}

static int close_rig(void **state)
{
    struct rig *rig = *state;
    admin_server_close(rig->server);
    loop_free(rig->loop);
    bool is_removed = access(rig->path, F_OK) != 0;
    (void)rmdir(rig->folder);
    free(rig);
    return is_removed ? 0 : -1;
}

static void on_time(void *self)
{
    loop_stop(self);
}

static void turn(struct rig *rig)
{
    struct deadline deadline = {0};
    deadline_arm(&deadline, rig->loop, TURNS_MS, on_time, rig->loop);
    loop_run(rig->loop);
    deadline_disarm(&deadline);
}

static int connect_to(const struct rig *rig)
{
    int conn = local_socket_connect(rig->path);
    assert_true(conn >= 0);
    return conn;
}

/* What has come; the length is -1 when nothing has, and 0 at the end of the conn. */
static ssize_t receive(int conn, char room[ANSWER_BYTES])
{
    ssize_t len = recv(conn, room, ANSWER_BYTES - 1, MSG_DONTWAIT);
    room[len > 0 ? len : 0] = '\0';
    return len;
}

static void answers_each_request_with_one_line(void **state)
{
    struct rig *rig = *state;
    static const struct {
        const char *request;
        const char *answer;
        bool stays;
    } ROWS[] = {
        {"metrics\n", "{\"metrics\":\"x 1\\n\"}\n", false},
        {"status\n", "{\"state\":\"ready\"}\n", false},
        {"drain\n", "{\"ok\":true}\n", true},
        {"stop\n", "{\"ok\":true}\n", true},
        {"reload\n", "{\"ok\":false,\"error\":\"the instance is starting or ending\"}\n", false},
        {"nonsense\n", "{\"ok\":false,\"error\":\"unknown request\"}\n", false},
        {"\n", "{\"ok\":false,\"error\":\"unknown request\"}\n", false},
        {"status\r\n", "{\"ok\":false,\"error\":\"unknown request\"}\n", false},
        {"status\nstop\n", "{\"state\":\"ready\"}\n", false},
    };
    for (size_t i = 0; i < sizeof(ROWS) / sizeof(ROWS[0]); i++) {
        char answer[ANSWER_BYTES];
        int conn = connect_to(rig);
        assert_true(send(conn, ROWS[i].request, strlen(ROWS[i].request), 0) > 0);
        turn(rig);
        assert_true(receive(conn, answer) > 0);
        assert_string_equal(answer, ROWS[i].answer);
        assert_int_equal(receive(conn, answer), ROWS[i].stays ? -1 : 0);
        (void)close(conn);
        turn(rig);
    }
    assert_int_equal(rig->drains, 1);
    assert_int_equal(rig->stops, 1);
}

static void takes_a_request_byte_by_byte(void **state)
{
    struct rig *rig = *state;
    char answer[ANSWER_BYTES];
    int conn = connect_to(rig);
    for (const char *at = "status\n"; *at != '\0'; at++) {
        assert_int_equal(receive(conn, answer), -1);
        assert_int_equal(send(conn, at, 1, 0), 1);
        turn(rig);
    }
    assert_true(receive(conn, answer) > 0);
    assert_string_equal(answer, "{\"state\":\"ready\"}\n");
    (void)close(conn);
}

static void refuses_a_request_without_an_end(void **state)
{
    struct rig *rig = *state;
    char answer[ANSWER_BYTES];
    char request[4096];
    memset(request, 'x', sizeof(request));
    int conn = connect_to(rig);
    assert_true(send(conn, request, sizeof(request), 0) > 0);
    turn(rig);
    assert_true(receive(conn, answer) > 0);
    assert_string_equal(answer, "{\"ok\":false,\"error\":\"the request is too long\"}\n");
    (void)close(conn);
}

static void closes_conns_beyond_its_limit_and_takes_the_next_ones(void **state)
{
    struct rig *rig = *state;
    char answer[ANSWER_BYTES];
    int conns[CONNS_MAX + 1];
    for (size_t i = 0; i < CONNS_MAX + 1; i++) {
        conns[i] = connect_to(rig);
        turn(rig);
        assert_int_equal(receive(conns[i], answer), i < CONNS_MAX ? -1 : 0);
    }
    for (size_t i = 0; i < CONNS_MAX + 1; i++) {
        (void)close(conns[i]);
    }
    turn(rig);
    int conn = connect_to(rig);
    assert_true(send(conn, "status\n", 7, 0) == 7);
    turn(rig);
    assert_true(receive(conn, answer) > 0);
    (void)close(conn);
}

static void the_socket_is_the_owners_alone(void **state)
{
    const struct rig *rig = *state;
    struct stat facts;
    assert_int_equal(stat(rig->path, &facts), 0);
    assert_int_equal(facts.st_mode & 0777, 0600);
}

static void whoever_waits_sees_the_end(void **state)
{
    struct rig *rig = *state;
    char answer[ANSWER_BYTES];
    int conn = connect_to(rig);
    assert_true(send(conn, "drain\n", 6, 0) == 6);
    turn(rig);
    assert_true(receive(conn, answer) > 0);
    assert_int_equal(receive(conn, answer), -1);
    admin_server_close(rig->server);
    rig->server = NULL;
    assert_int_equal(receive(conn, answer), 0);
    (void)close(conn);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, open_rig, close_rig)

static void a_reload_is_answered_when_its_run_is_over(void **state)
{
    struct rig *rig = *state;
    char answer[ANSWER_BYTES];
    int conns[2];
    for (size_t i = 0; i < 2; i++) {
        rig->reload_run = 7 + i;
        conns[i] = connect_to(rig);
        assert_true(send(conns[i], "reload\n", 7, 0) == 7);
        turn(rig);
        assert_int_equal(receive(conns[i], answer), -1);
    }
    const struct reload_outcome bad = {
        .status = 2, .complaints = "f:1:1: \"no\"\n", .generation = 3, .ms = 4};
    admin_server_tell_reloaded(rig->server, 6, &bad);
    turn(rig);
    assert_int_equal(receive(conns[0], answer), -1);
    admin_server_tell_reloaded(rig->server, 7, &bad);
    turn(rig);
    assert_true(receive(conns[0], answer) > 0);
    assert_string_equal(answer, "{\"ok\":false,\"exit\":2,\"generation\":3,\"ms\":4,"
                                "\"error\":\"f:1:1: \\\"no\\\"\\n\"}\n");
    assert_int_equal(receive(conns[1], answer), -1);
    admin_server_tell_reloaded(rig->server, 8, &(struct reload_outcome){.complaints = ""});
    turn(rig);
    assert_true(receive(conns[1], answer) > 0);
    assert_non_null(strstr(answer, "\"ok\":true"));
    for (size_t i = 0; i < 2; i++) {
        (void)close(conns[i]);
    }
    turn(rig);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(answers_each_request_with_one_line),
        TEST(takes_a_request_byte_by_byte),
        TEST(refuses_a_request_without_an_end),
        TEST(closes_conns_beyond_its_limit_and_takes_the_next_ones),
        TEST(the_socket_is_the_owners_alone),
        TEST(whoever_waits_sees_the_end),
        TEST(a_reload_is_answered_when_its_run_is_over),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
