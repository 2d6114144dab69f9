/* tests/unit/proxy/commands/cert_test.c · SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "proxy/commands/command.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

static char folder[64];

static int set_up(void **state)
{
    (void)state;
    (void)snprintf(folder, sizeof(folder), "/tmp/sallyport-cert-XXXXXX");
    return mkdtemp(folder) != NULL ? 0 : -1;
}

static int tear_down(void **state)
{
    (void)state;
    static const char *const FILES[] = {"ca.pem", "ca.key", "leaf.pem", "leaf.key"};
    for (size_t i = 0; i < sizeof(FILES) / sizeof(FILES[0]); i++) {
        char path[128];
        (void)snprintf(path, sizeof(path), "%s/%s", folder, FILES[i]);
        (void)unlink(path);
    }
    return rmdir(folder);
}

enum { ARGUMENTS_MAX = 8 };

static int run(const char *const *arguments)
{
    char *argv[ARGUMENTS_MAX + 2] = {(char *)"cert"};
    int argc = 1;
    for (; argc <= ARGUMENTS_MAX && arguments[argc - 1] != NULL; argc++) {
        argv[argc] = (char *)arguments[argc - 1];
    }
    return command_cert(argc, argv);
}

static void makes_and_shows_what_it_is_asked_for(void **state)
{
    (void)state;
    char leaf[128];
    char key[128];
    (void)snprintf(leaf, sizeof(leaf), "%s/leaf.pem", folder);
    (void)snprintf(key, sizeof(key), "%s/leaf.key", folder);
    const struct {
        const char *arguments[ARGUMENTS_MAX];
        int expected;
    } ROWS[] = {
        {{"create", "--out", folder, "--ecdsa", "--name", "a.example", NULL}, COMMAND_FINE},
        {{"create", "--out", folder, NULL}, COMMAND_FINE},
        {{"show", leaf, NULL}, COMMAND_FINE},
        {{"show", leaf, "--json", NULL}, COMMAND_FINE},
        {{"show", key, NULL}, COMMAND_BAD_INPUT},
        {{"show", folder, NULL}, COMMAND_BAD_INPUT},
        {{"show", "/nowhere/at/all", NULL}, COMMAND_BAD_INPUT},
        {{"show", NULL}, COMMAND_BAD_INPUT},
        {{"create", "--out", folder, "--name", "not a name", NULL}, COMMAND_BAD_INPUT},
        {{"create", "a.example", NULL}, COMMAND_BAD_INPUT},
        {{"create", "--nonsense", NULL}, COMMAND_BAD_INPUT},
        {{"--help", NULL}, COMMAND_FINE},
        {{"create", "--help", NULL}, COMMAND_FINE},
        {{"nonsense", NULL}, COMMAND_BAD_INPUT},
        {{NULL}, COMMAND_BAD_INPUT},
    };
    for (size_t i = 0; i < sizeof(ROWS) / sizeof(ROWS[0]); i++) {
        if (run(ROWS[i].arguments) != ROWS[i].expected) {
            fail_msg("row %zu", i);
        }
    }
    struct stat facts;
    assert_int_equal(stat(key, &facts), 0);
    assert_int_equal(facts.st_mode & 0777, 0600);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(makes_and_shows_what_it_is_asked_for, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
