/* tests/unit/proxy/process/service_manager_test.c · SPDX-License-Identifier: Apache-2.0 */
#include "proxy/process/service_manager.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cmocka.h>

/* The manager's end: a datagram socket in the abstract namespace. */
struct rig {
    int descriptor;
    char name[64];
    struct loop *loop;
    struct service_manager manager;
};

static int open_rig(void **state)
{
    struct rig *rig = calloc(1, sizeof(*rig));
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    rig->loop = loop_new();
    rig->manager.descriptor = -1;
    rig->descriptor = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    (void)snprintf(rig->name, sizeof(rig->name), "@sallyport-manager-%d", getpid());
    memcpy(address.sun_path, rig->name, strlen(rig->name));
    address.sun_path[0] = '\0';
    socklen_t len = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + strlen(rig->name));
    assert_int_equal(bind(rig->descriptor, (struct sockaddr *)&address, len), 0);
    (void)unsetenv("WATCHDOG_USEC");
    (void)unsetenv("WATCHDOG_PID");
    (void)setenv("NOTIFY_SOCKET", rig->name, 1);
    *state = rig;
    return 0;
}

static int close_rig(void **state)
{
    struct rig *rig = *state;
    service_manager_close(&rig->manager);
    loop_free(rig->loop);
    (void)close(rig->descriptor);
    free(rig);
    return 0;
}

static const char *heard(const struct rig *rig)
{
    static char text[256];
    ssize_t len = recv(rig->descriptor, text, sizeof(text) - 1, MSG_DONTWAIT);
    text[len < 0 ? 0 : len] = '\0';
    return text;
}

static void stop(void *self)
{
    loop_stop(self);
}

static void run_for(struct rig *rig, uint64_t ms)
{
    struct deadline end = {.at_ms = 0};
    deadline_arm(&end, rig->loop, ms, stop, rig->loop);
    loop_run(rig->loop);
    deadline_disarm(&end);
}

static void tells_that_it_is_ready_and_that_it_ends(void **state)
{
    struct rig *rig = *state;
    service_manager_open(&rig->manager, rig->loop);
    service_manager_tell_ready(&rig->manager);
    assert_string_equal(heard(rig), "READY=1\nSTATUS=serving");
    service_manager_tell_reloading(&rig->manager);
    const char *reloading = "RELOADING=1\nSTATUS=reloading\nMONOTONIC_USEC=";
    const char *told = heard(rig);
    assert_int_equal(strncmp(told, reloading, strlen(reloading)), 0);
    assert_true(strtoull(told + strlen(reloading), NULL, 10) > 0);
    service_manager_tell_stopping(&rig->manager);
    assert_string_equal(heard(rig), "STOPPING=1\nSTATUS=ending");
}

static void gives_signs_of_life_while_they_are_asked_for(void **state)
{
    struct rig *rig = *state;
    (void)setenv("WATCHDOG_USEC", "400000", 1);
    service_manager_open(&rig->manager, rig->loop);
    service_manager_tell_ready(&rig->manager);
    assert_string_equal(heard(rig), "READY=1\nSTATUS=serving");
    assert_string_equal(heard(rig), "");
    run_for(rig, 1000);
    assert_string_equal(heard(rig), "WATCHDOG=1");
    assert_string_equal(heard(rig), "WATCHDOG=1");
}

static void gives_none_for_another_process(void **state)
{
    struct rig *rig = *state;
    (void)setenv("WATCHDOG_USEC", "200000", 1);
    (void)setenv("WATCHDOG_PID", "1", 1);
    service_manager_open(&rig->manager, rig->loop);
    service_manager_tell_ready(&rig->manager);
    (void)heard(rig);
    run_for(rig, 500);
    assert_string_equal(heard(rig), "");
}

static void is_silent_when_nobody_asked(void **state)
{
    struct rig *rig = *state;
    static const char *const NAMES[] = {NULL, "", "@", "relative", "/no/such/socket"};
    for (size_t i = 0; i < sizeof(NAMES) / sizeof(NAMES[0]); i++) {
        if (NAMES[i] == NULL) {
            (void)unsetenv("NOTIFY_SOCKET");
        } else {
            (void)setenv("NOTIFY_SOCKET", NAMES[i], 1);
        }
        service_manager_open(&rig->manager, rig->loop);
        assert_int_equal(rig->manager.descriptor, -1);
        service_manager_tell_ready(&rig->manager);
        service_manager_close(&rig->manager);
    }
    assert_string_equal(heard(rig), "");
}

int main(void)
{
#define IN_RIG(test) cmocka_unit_test_setup_teardown(test, open_rig, close_rig)
    const struct CMUnitTest tests[] = {
        IN_RIG(tells_that_it_is_ready_and_that_it_ends),
        IN_RIG(gives_signs_of_life_while_they_are_asked_for),
        IN_RIG(gives_none_for_another_process),
        IN_RIG(is_silent_when_nobody_asked),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
