/* tests/unit/proxy/process/account_test.c · SPDX-License-Identifier: Apache-2.0 */
#include "proxy/process/account.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

static void the_keyholder_is_somebody_else_than_the_workers(void **state)
{
    (void)state;
    struct accounts accounts;
    struct process_error error;
    assert_int_equal(accounts_choose(&accounts, NULL, &error), STATUS_OK);
    if (accounts.worker.is_own) { /* not root, or root that may not change */
        assert_int_equal(accounts.worker.uid, geteuid());
        assert_true(accounts.keyholder.is_own);
        return;
    }
    assert_int_not_equal(accounts.worker.uid, 0);
    assert_int_not_equal(accounts.keyholder.uid, 0);
    assert_int_not_equal(accounts.worker.uid, accounts.keyholder.uid);
    assert_int_not_equal(accounts.worker.gid, accounts.keyholder.gid);
}

static void a_user_that_is_not_there_is_refused(void **state)
{
    (void)state;
    struct accounts accounts;
    struct process_error error;
    enum status status = accounts_choose(&accounts, "no-such-user-here", &error);
    if (status == STATUS_OK) {
        assert_true(accounts.worker.is_own); /* who cannot change has no use for the name */
        return;
    }
    assert_int_equal(status, STATUS_REFUSED);
    assert_non_null(strstr(error.text, "no-such-user-here"));
}

/* In a process of its own: there is no way back. */
static int become_and_look(const struct account *account)
{
    if (account_become(account) != STATUS_OK || geteuid() != account->uid ||
        getuid() != account->uid || getegid() != account->gid) {
        return 1;
    }
    return !account->is_own && setresuid(0, 0, 0) == 0 ? 2 : 0;
}

static void there_is_no_way_back(void **state)
{
    (void)state;
    struct accounts accounts;
    assert_int_equal(accounts_choose(&accounts, NULL, NULL), STATUS_OK);
    pid_t child = fork();
    if (child == 0) {
        _exit(become_and_look(&accounts.worker));
    }
    int status = 0;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_keyholder_is_somebody_else_than_the_workers),
        cmocka_unit_test(a_user_that_is_not_there_is_refused),
        cmocka_unit_test(there_is_no_way_back),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
