/* proxy/process/account.c · SPDX-License-Identifier: Apache-2.0 */
#include "proxy/process/account.h"

#include <grp.h>
#include <linux/capability.h>
#include <pwd.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

enum { NOBODY = 65534, SPARE_LOWEST = 61184, SPARE_HIGHEST = 65533 };

static enum status set_capabilities(const struct __user_cap_data_struct *sets)
{
    struct __user_cap_header_struct head = {.version = _LINUX_CAPABILITY_VERSION_3};
    return syscall(SYS_capset, &head, sets) == 0 ? STATUS_OK : STATUS_SYS;
}

/* Root in a container may be root without these. */
static bool can_change_user(void)
{
    struct __user_cap_header_struct head = {.version = _LINUX_CAPABILITY_VERSION_3};
    struct __user_cap_data_struct sets[2] = {{0}, {0}};
    if (geteuid() != 0 || syscall(SYS_capget, &head, sets) != 0) {
        return false;
    }
    unsigned need = 1U << CAP_SETUID | 1U << CAP_SETGID;
    return (sets[0].effective & need) == need;
}

static void set_account(struct account *account, const char *name, uid_t uid, gid_t gid)
{
    *account = (struct account){.uid = uid, .gid = gid};
    (void)snprintf(account->name, sizeof(account->name), "%s", name);
}

static bool find_account(struct account *account, const char *name)
{
    const struct passwd *entry = getpwnam(name);
    if (entry == NULL) {
        return false;
    }
    set_account(account, name, entry->pw_uid, entry->pw_gid);
    return true;
}

/* A number that no account and no group has. */
static void choose_spare(struct account *account, uid_t other)
{
    for (uid_t uid = SPARE_HIGHEST; uid >= SPARE_LOWEST; uid--) {
        if (uid != other && getpwuid(uid) == NULL && getgrgid((gid_t)uid) == NULL) {
            char name[16];
            (void)snprintf(name, sizeof(name), "%u", (unsigned)uid);
            set_account(account, name, uid, (gid_t)uid);
            return;
        }
    }
    set_account(account, "65533", SPARE_HIGHEST, SPARE_HIGHEST);
}

enum status accounts_choose(struct accounts *accounts, const char *user,
                            struct process_error *error)
{
    if (!can_change_user()) {
        set_account(&accounts->worker, "", geteuid(), getegid());
        accounts->worker.is_own = true;
        accounts->keyholder = accounts->worker;
        return STATUS_OK;
    }
    if (user != NULL && !find_account(&accounts->worker, user)) {
        process_error_set(error, "user %s: there is no such user on this machine", user);
        return STATUS_REFUSED;
    }
    if (user == NULL && !find_account(&accounts->worker, "sallyport")) {
        set_account(&accounts->worker, "nobody", NOBODY, NOBODY);
    }
    if (!find_account(&accounts->keyholder, "sallyport-keys") ||
        accounts->keyholder.uid == accounts->worker.uid) {
        choose_spare(&accounts->keyholder, accounts->worker.uid);
    }
    return STATUS_OK;
}

enum status account_become(const struct account *account)
{
    static const struct __user_cap_data_struct NO_CAPABILITIES[2];
    if (!account->is_own &&
        (setgroups(0, NULL) != 0 || setresgid(account->gid, account->gid, account->gid) != 0 ||
         setresuid(account->uid, account->uid, account->uid) != 0)) {
        return STATUS_SYS;
    }
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0) {
        return STATUS_SYS;
    }
    return set_capabilities(NO_CAPABILITIES);
}
