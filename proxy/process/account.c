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

/* A number that no account and no group has, nor those others. */
static void choose_spare(struct account *account, uid_t other, uid_t another)
{
    for (uid_t uid = SPARE_HIGHEST; uid >= SPARE_LOWEST; uid--) {
        if (uid != other && uid != another && getpwuid(uid) == NULL &&
            getgrgid((gid_t)uid) == NULL) {
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
        choose_spare(&accounts->keyholder, accounts->worker.uid, accounts->worker.uid);
    }
    return STATUS_OK;
}

enum status account_choose_gossip(struct account *account, const char *user,
                                  const struct accounts *others, struct process_error *error)
{
    *account = others->worker; /* and stays so without the right to change */
    if (others->worker.is_own) {
        return STATUS_OK;
    }
    if (user != NULL && !find_account(account, user)) {
        process_error_set(error, "user %s: there is no such user on this machine", user);
        return STATUS_REFUSED;
    }
    if (user == NULL && !find_account(account, "sallyport-gossip")) {
        choose_spare(account, others->worker.uid, others->keyholder.uid);
    }
    return STATUS_OK;
}

/* ---- becoming ---- */

static enum status change_user(const struct account *account)
{
    if (account->is_own) {
        return STATUS_OK;
    }
    /* Otherwise the change of user takes all capabilities, and none can be kept. */
    if (account->keeps_net_raw && prctl(PR_SET_KEEPCAPS, 1, 0, 0, 0) != 0) {
        return STATUS_SYS;
    }
    return setgroups(0, NULL) == 0 && setresgid(account->gid, account->gid, account->gid) == 0 &&
                   setresuid(account->uid, account->uid, account->uid) == 0
               ? STATUS_OK
               : STATUS_SYS;
}

static bool has_net_raw(void)
{
    struct __user_cap_header_struct head = {.version = _LINUX_CAPABILITY_VERSION_3};
    struct __user_cap_data_struct sets[2] = {{0}, {0}};
    return syscall(SYS_capget, &head, sets) == 0 && (sets[0].permitted & 1U << CAP_NET_RAW) != 0;
}

/* Ambient: so that it outlives the execution of the program, which is no file with capabilities. */
static enum status keep_net_raw(void)
{
    const struct __user_cap_data_struct sets[2] = {{.effective = 1U << CAP_NET_RAW,
                                                    .permitted = 1U << CAP_NET_RAW,
                                                    .inheritable = 1U << CAP_NET_RAW}};
    if (set_capabilities(sets) != STATUS_OK ||
        prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, CAP_NET_RAW, 0, 0) != 0) {
        return STATUS_SYS;
    }
    return STATUS_OK;
}

enum status account_become(const struct account *account)
{
    static const struct __user_cap_data_struct NO_CAPABILITIES[2];
    if (change_user(account) != STATUS_OK || prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0) {
        return STATUS_SYS;
    }
    if (account->keeps_net_raw && has_net_raw()) {
        return keep_net_raw();
    }
    return set_capabilities(NO_CAPABILITIES);
}
