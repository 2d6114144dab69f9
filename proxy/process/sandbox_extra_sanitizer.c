/* proxy/process/sandbox_extra_sanitizer.c
 *
 * The leak checker stops the process by a thread that traces it, and reads the memory map; a report
 * reads the program and its libraries to name functions.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "proxy/process/sandbox_extra.h"

#include <sys/ioctl.h>

enum { EVERY_ROLE = SANDBOX_KEYHOLDER | SANDBOX_WORKER | SANDBOX_GOSSIP | SANDBOX_FETCHER };

#define ANY(call)                                                                                  \
    {                                                                                              \
        .name = (call), .roles = EVERY_ROLE                                                        \
    }

static const struct sandbox_call CALLS[] = {
    /* files, which Landlock limits to the paths below */
    ANY("access"),
    ANY("faccessat"),
    ANY("fstatfs"),
    ANY("getcwd"),
    ANY("getdents"),
    ANY("getdents64"),
    ANY("lseek"),
    ANY("lstat"),
    ANY("newfstatat"),
    ANY("open"),
    ANY("openat"),
    ANY("pread64"),
    ANY("readlink"),
    ANY("readlinkat"),
    ANY("stat"),
    ANY("statx"),
    /* the thread that traces */
    ANY("clone"),
    ANY("getppid"),
    ANY("prctl"),
    ANY("ptrace"),
    ANY("tgkill"),
    ANY("wait4"),
    /* its memory and signals */
    ANY("arch_prctl"),
    ANY("getrlimit"),
    ANY("mincore"),
    ANY("mmap"),
    ANY("mprotect"),
    ANY("pipe"),
    ANY("pipe2"),
    ANY("prlimit64"),
    ANY("sched_getaffinity"),
    ANY("setrlimit"),
    ANY("sigaltstack"),
    ANY("uname"),
    ANY("dup"),
    /* whether a report may have colours */
    {.name = "ioctl",
     .roles = EVERY_ROLE,
     .check_count = 1,
     .checks = {{1, SCMP_CMP_EQ, TCGETS, 0}}},
};

struct sandbox_calls sandbox_extra_calls(void)
{
    return (struct sandbox_calls){.at = CALLS, .count = sizeof(CALLS) / sizeof(CALLS[0])};
}

const char *const *sandbox_extra_paths(void)
{
    static const char *const PATHS[] = {"/proc",  "/proc/self/exe", "/lib",
                                        "/lib64", "/usr/lib",       NULL};
    return PATHS;
}
