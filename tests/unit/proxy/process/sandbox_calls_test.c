/* tests/unit/proxy/process/sandbox_calls_test.c · SPDX-License-Identifier: Apache-2.0 */
#include "proxy/process/sandbox_calls.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "proxy/process/sandbox_extra.h"

enum { EVERY_ROLE = SANDBOX_KEYHOLDER | SANDBOX_WORKER | SANDBOX_GOSSIP | SANDBOX_FETCHER };

/* Calls that are there without arguments for whatever they are asked to check. */
static unsigned roles_of(const char *name)
{
    struct sandbox_calls calls = sandbox_calls();
    unsigned roles = 0;
    for (size_t i = 0; i < calls.count; i++) {
        if (strcmp(calls.at[i].name, name) == 0 && calls.at[i].refusal == 0) {
            roles |= calls.at[i].roles;
        }
    }
    return roles;
}

/* A name that is wrong would be left out, and missed years later. */
static void assert_known(struct sandbox_calls calls, uint32_t architecture)
{
    for (size_t i = 0; i < calls.count; i++) {
        if (seccomp_syscall_resolve_name_arch(architecture, calls.at[i].name) == __NR_SCMP_ERROR) {
            fail_msg("%s is no system call", calls.at[i].name);
        }
    }
}

static void every_name_is_known_on_both_architectures(void **state)
{
    (void)state;
    assert_known(sandbox_calls(), SCMP_ARCH_X86_64);
    assert_known(sandbox_calls(), SCMP_ARCH_AARCH64);
    assert_known(sandbox_extra_calls(), SCMP_ARCH_X86_64);
    assert_known(sandbox_extra_calls(), SCMP_ARCH_AARCH64);
}

/* What each architecture has to have for a child to run at all. */
static void what_all_need_exists_on_both_architectures(void **state)
{
    (void)state;
    static const char *const NAMES[] = {
        "read",    "write",      "sendto",         "recvfrom", "epoll_pwait", "ppoll", "accept4",
        "connect", "exit_group", "rt_sigprocmask", "madvise",  "futex",       "mmap",  "getrandom"};
    for (size_t i = 0; i < sizeof(NAMES) / sizeof(NAMES[0]); i++) {
        assert_true(seccomp_syscall_resolve_name_arch(SCMP_ARCH_X86_64, NAMES[i]) >= 0);
        assert_true(seccomp_syscall_resolve_name_arch(SCMP_ARCH_AARCH64, NAMES[i]) >= 0);
        assert_int_not_equal(roles_of(NAMES[i]), 0);
    }
}

static void nobody_executes_traces_mounts_or_changes_who_he_is(void **state)
{
    (void)state;
    static const char *const NAMES[] = {"execve",
                                        "execveat",
                                        "fork",
                                        "vfork",
                                        "ptrace",
                                        "process_vm_readv",
                                        "mount",
                                        "umount2",
                                        "bpf",
                                        "io_uring_setup",
                                        "userfaultfd",
                                        "setuid",
                                        "setresuid",
                                        "capset",
                                        "kill",
                                        "unshare",
                                        "setns",
                                        "pidfd_getfd",
                                        "perf_event_open",
                                        "keyctl",
                                        "init_module",
                                        "listen",
                                        "chmod",
                                        "unlink",
                                        "rename",
                                        "mkdir",
                                        "prctl",
                                        "seccomp",
                                        "personality",
                                        "process_vm_writev",
                                        "io_uring_enter",
                                        "open_by_handle_at"};
    for (size_t i = 0; i < sizeof(NAMES) / sizeof(NAMES[0]); i++) {
        assert_int_not_equal(seccomp_syscall_resolve_name(NAMES[i]), __NR_SCMP_ERROR);
        if (roles_of(NAMES[i]) != 0) {
            fail_msg("%s is allowed", NAMES[i]);
        }
    }
}

static void only_a_fetcher_opens_files_and_makes_threads(void **state)
{
    (void)state;
    static const char *const NAMES[] = {"openat",     "open",  "stat",
                                        "getdents64", "clone", "memfd_create"};
    for (size_t i = 0; i < sizeof(NAMES) / sizeof(NAMES[0]); i++) {
        assert_int_equal(roles_of(NAMES[i]), SANDBOX_FETCHER);
    }
}

static void the_keyholder_has_no_network(void **state)
{
    (void)state;
    static const char *const NAMES[] = {"socket",  "socketpair", "connect", "bind",
                                        "accept4", "setsockopt", "ioctl",   "epoll_ctl"};
    for (size_t i = 0; i < sizeof(NAMES) / sizeof(NAMES[0]); i++) {
        assert_int_equal(roles_of(NAMES[i]) & SANDBOX_KEYHOLDER, 0);
    }
    assert_int_equal(roles_of("bind") & SANDBOX_WORKER, 0);
}

static void workers_and_keyholders_send_no_descriptors(void **state)
{
    (void)state;
    static const char *const NAMES[] = {"sendmsg", "sendmmsg"};
    for (size_t i = 0; i < sizeof(NAMES) / sizeof(NAMES[0]); i++) {
        assert_int_equal(roles_of(NAMES[i]) & (SANDBOX_KEYHOLDER | SANDBOX_WORKER), 0);
    }
}

/* The stacks of parked handshakes are switched with it. */
static void signal_masks_may_be_changed(void **state)
{
    (void)state;
    assert_int_equal(roles_of("rt_sigprocmask"), EVERY_ROLE);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_name_is_known_on_both_architectures),
        cmocka_unit_test(what_all_need_exists_on_both_architectures),
        cmocka_unit_test(nobody_executes_traces_mounts_or_changes_who_he_is),
        cmocka_unit_test(only_a_fetcher_opens_files_and_makes_threads),
        cmocka_unit_test(the_keyholder_has_no_network),
        cmocka_unit_test(workers_and_keyholders_send_no_descriptors),
        cmocka_unit_test(signal_masks_may_be_changed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
