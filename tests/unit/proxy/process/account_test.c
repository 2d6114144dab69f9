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

static struct accounts root_accounts(void)
{
    return (struct accounts){.worker = {.uid = 65534, .gid = 65534, .name = "nobody"},
                             .keyholder = {.uid = 65533, .gid = 65533, .name = "65533"}};
}

static void gossip_is_somebody_else_than_workers_and_keyholder(void **state)
{
    (void)state;
    struct accounts others = root_accounts();
    struct account account = {0};
    assert_int_equal(account_choose_gossip(&account, NULL, &others, NULL), STATUS_OK);
    assert_false(account.is_own);
    assert_int_not_equal(account.uid, 0);
    assert_int_not_equal(account.gid, 0);
    assert_int_not_equal(account.uid, others.worker.uid);
    assert_int_not_equal(account.uid, others.keyholder.uid);
    assert_int_not_equal(account.gid, others.keyholder.gid);
}

static void gossip_is_whom_the_configuration_names(void **state)
{
    (void)state;
    struct accounts others = root_accounts();
    struct account account = {0};
    struct process_error error = {{0}};
    assert_int_equal(account_choose_gossip(&account, "daemon", &others, &error), STATUS_OK);
    assert_string_equal(account.name, "daemon");
    assert_int_equal(account.uid, 1);
    assert_int_equal(account_choose_gossip(&account, "no-such-user-here", &others, &error),
                     STATUS_REFUSED);
    assert_non_null(strstr(error.text, "no-such-user-here"));
}

static void gossip_stays_who_we_are_without_the_right_to_change(void **state)
{
    (void)state;
    struct accounts others = {.worker = {.is_own = true, .uid = 1234, .gid = 1235}};
    struct account account = {0};
    assert_int_equal(account_choose_gossip(&account, "no-such-user-here", &others, NULL),
                     STATUS_OK);
    assert_true(account.is_own);
    assert_int_equal(account.uid, 1234);
    assert_int_equal(account.gid, 1235);
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
        cmocka_unit_test(gossip_is_somebody_else_than_workers_and_keyholder),
        cmocka_unit_test(gossip_is_whom_the_configuration_names),
        cmocka_unit_test(gossip_stays_who_we_are_without_the_right_to_change),
        cmocka_unit_test(there_is_no_way_back),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
