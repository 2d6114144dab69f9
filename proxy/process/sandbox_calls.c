/* proxy/process/sandbox_calls.c · SPDX-License-Identifier: Apache-2.0 */
#include "proxy/process/sandbox_calls.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/socket.h>

#include <linux/sockios.h>

enum {
    KEYHOLDER = SANDBOX_KEYHOLDER,
    WORKER = SANDBOX_WORKER,
    GOSSIP = SANDBOX_GOSSIP,
    FETCHER = SANDBOX_FETCHER,
    PROXIES = WORKER | GOSSIP, /* those with a loop and conns */
    NETWORKED = PROXIES | FETCHER,
    ALL = KEYHOLDER | NETWORKED,
    SOCKET_TYPE = 0xf,         /* the rest of the number is flags */
    BIND_ADDRESS_NO_PORT = 24, /* of IP, whose header clashes with netinet/in.h */
};

/* clang-format off */
#define CALL(call, who) {.name = (call), .roles = (who)}
#define CALL_1(call, who, a) {.name = (call), .roles = (who), .check_count = 1, .checks = {a}}
#define CALL_2(call, who, a, b) {.name = (call), .roles = (who), .check_count = 2, .checks = {a, b}}
/* The kernel reads these as 64 bits: what the caller left above 32 makes them another number. */
#define IS(argument, value) {(argument), SCMP_CMP_EQ, (uint64_t)(value), 0}
#define IS_WITH(argument, bits) {(argument), SCMP_CMP_MASKED_EQ, (uint64_t)(bits), (uint64_t)(bits)}
#define IS_WITHOUT(argument, bits) {(argument), SCMP_CMP_MASKED_EQ, (uint64_t)(bits), 0}
#define SOCKET(who, when, family, type)                                                            \
    {.name = "socket", .roles = (who), .need = (when), .check_count = 3,                           \
     .checks = {IS(0, family), {1, SCMP_CMP_MASKED_EQ, SOCKET_TYPE, (type)}, IS(2, 0)}}
#define OPTION(who, level, option) CALL_2("setsockopt", who, IS(1, level), IS(2, option))

static const struct sandbox_call CALLS[] = {
    /* Memory. None that is written becomes code; only a fetcher loads libraries at run time. */
    CALL("brk", ALL),
    CALL("madvise", ALL),
    CALL("mlock", ALL),
    CALL("mremap", ALL),
    CALL("munlock", ALL),
    CALL("munmap", ALL),
    CALL_1("mmap", KEYHOLDER | PROXIES, IS_WITHOUT(2, PROT_EXEC)),
    CALL_1("mprotect", KEYHOLDER | PROXIES, IS_WITHOUT(2, PROT_EXEC)),
    CALL("mmap", FETCHER),
    CALL("mprotect", FETCHER),

    /* Time and chance; most of it without entering the kernel. */
    CALL("clock_getres", ALL),
    CALL("clock_gettime", ALL),
    CALL("clock_nanosleep", ALL),
    CALL("getrandom", ALL),
    CALL("gettimeofday", ALL),
    CALL("nanosleep", ALL),
    CALL("time", ALL),

    /* The process itself: its end, its signals, what it is. A switch between the stacks of parked
     * handshakes saves and restores the signal mask. */
    CALL("exit", ALL),
    CALL("exit_group", ALL),
    CALL("futex", ALL),
    CALL("getegid", ALL),
    CALL("geteuid", ALL),
    CALL("getgid", ALL),
    CALL("getpid", ALL),
    CALL("gettid", ALL),
    CALL("getuid", ALL),
    CALL("restart_syscall", ALL),
    CALL("rt_sigaction", ALL),
    CALL("rt_sigprocmask", ALL),
    CALL("rt_sigreturn", ALL),
    CALL("sched_yield", ALL),
    CALL("sysinfo", ALL), /* the C library's qsort */
    CALL_2("prlimit64", ALL, IS(0, 0), IS(2, 0)), /* its own limits, only to read */

    /* Descriptors that it holds. The C library's fstat is newfstatat with an empty path, which cannot
     * be checked here: with another one it tells what anybody may know who can list the folder. */
    CALL("close", ALL),
    CALL("dup3", PROXIES), /* the log file, opened again */
    CALL("fstat", ALL),
    CALL_1("newfstatat", KEYHOLDER | PROXIES, IS(3, AT_EMPTY_PATH)), /* fstat, mostly */
    CALL("read", ALL),
    CALL("readv", ALL),
    CALL("write", ALL),
    CALL("writev", ALL),
    CALL_1("fcntl", ALL, IS(1, F_GETFD)),
    CALL_1("fcntl", ALL, IS(1, F_SETFD)),
    CALL_1("fcntl", ALL, IS(1, F_GETFL)),
    CALL_1("fcntl", ALL, IS(1, F_SETFL)),
    CALL_1("fcntl", ALL, IS(1, F_GET_SEALS)),

    /* Waiting. */
    CALL("epoll_ctl", PROXIES),
    CALL("epoll_pwait", PROXIES),
    CALL("epoll_pwait2", PROXIES),
    CALL("epoll_wait", PROXIES),
    CALL("poll", ALL),
    CALL("ppoll", ALL),

    /* Messages. A sending call may not connect by the way: Landlock looks at connect(2). Nor may a
     * worker or keyholder send descriptors: whoever receives them has to close them, and closing some
     * takes long. */
    CALL("recvfrom", ALL),
    CALL("recvmmsg", GOSSIP),
    CALL("recvmsg", ALL),
    CALL_1("sendmmsg", GOSSIP | FETCHER, IS_WITHOUT(3, MSG_FASTOPEN)),
    CALL_1("sendmsg", GOSSIP | FETCHER, IS_WITHOUT(2, MSG_FASTOPEN)),
    CALL_1("sendto", ALL, IS_WITHOUT(3, MSG_FASTOPEN)),

    /* Sockets. Nobody listens that did not from the start; raw ones are there or never. */
    CALL("accept4", PROXIES),
    CALL("bind", GOSSIP | FETCHER), /* where to dial from; TCP with Landlock: no port of choice */
    CALL("connect", NETWORKED),
    CALL("getpeername", NETWORKED),
    CALL("getsockname", NETWORKED),
    CALL("getsockopt", NETWORKED),
    CALL("shutdown", NETWORKED),
    SOCKET(PROXIES, SANDBOX_ALWAYS, AF_INET, SOCK_STREAM),
    SOCKET(PROXIES, SANDBOX_ALWAYS, AF_INET6, SOCK_STREAM),
    SOCKET(WORKER, SANDBOX_FOR_NAMES, AF_INET, SOCK_DGRAM),
    SOCKET(WORKER, SANDBOX_FOR_NAMES, AF_INET6, SOCK_DGRAM),
    SOCKET(WORKER, SANDBOX_FOR_UNIX, AF_UNIX, SOCK_STREAM),
    SOCKET(GOSSIP, SANDBOX_ALWAYS, AF_INET, SOCK_DGRAM), /* asks how large a packet may be */
    SOCKET(GOSSIP, SANDBOX_ALWAYS, AF_INET6, SOCK_DGRAM),
    OPTION(PROXIES, SOL_SOCKET, SO_KEEPALIVE),
    OPTION(PROXIES, SOL_SOCKET, SO_LINGER),
    OPTION(PROXIES, IPPROTO_TCP, TCP_KEEPCNT),
    OPTION(PROXIES, IPPROTO_TCP, TCP_KEEPIDLE),
    OPTION(PROXIES, IPPROTO_TCP, TCP_KEEPINTVL),
    OPTION(PROXIES, IPPROTO_TCP, TCP_NODELAY),
    OPTION(PROXIES, IPPROTO_TCP, TCP_USER_TIMEOUT),
    OPTION(GOSSIP, SOL_SOCKET, SO_MARK),
    OPTION(GOSSIP, IPPROTO_IP, BIND_ADDRESS_NO_PORT),
    CALL_1("ioctl", PROXIES, IS(1, SIOCOUTQ)),
    CALL_1("ioctl", WORKER, IS(1, SIOCGIFINDEX)), /* fe80::1%eth0 */

    /* A fetcher: what libcurl, its thread and the C library's resolver need. Landlock says which
     * files; no flag that makes or changes one. */
    CALL("access", FETCHER),
    CALL("epoll_create1", FETCHER),
    CALL("eventfd2", FETCHER),
    CALL("faccessat", FETCHER),
    CALL("faccessat2", FETCHER),
    CALL("fcntl", FETCHER),
    CALL("fstatfs", FETCHER),
    CALL("getdents64", FETCHER),
    CALL("ioctl", FETCHER),
    CALL("lseek", FETCHER),
    CALL("lstat", FETCHER),
    CALL("newfstatat", FETCHER),
    CALL_1("open", FETCHER, IS_WITHOUT(1, O_ACCMODE | O_CREAT | O_TRUNC)),
    CALL_1("openat", FETCHER, IS_WITHOUT(2, O_ACCMODE | O_CREAT | O_TRUNC)),
    CALL("pipe2", FETCHER),
    CALL("pread64", FETCHER),
    CALL("readlink", FETCHER),
    CALL("readlinkat", FETCHER),
    CALL("rseq", FETCHER),
    CALL("sched_getaffinity", FETCHER),
    CALL("set_robust_list", FETCHER),
    CALL("setsockopt", FETCHER),
    CALL("socketpair", FETCHER),
    CALL("stat", FETCHER),
    CALL("statx", FETCHER),
    CALL("uname", FETCHER),
    CALL_1("socket", FETCHER, IS(0, AF_INET)),
    CALL_1("socket", FETCHER, IS(0, AF_INET6)),
    CALL_1("socket", FETCHER, IS(0, AF_UNIX)), /* daemons that answer for names */
    CALL_2("socket", FETCHER, IS(0, AF_NETLINK), IS(2, 0)), /* which addresses there are */
    CALL_1("clone", FETCHER, IS_WITH(0, CLONE_THREAD)),
    /* Its flags are in memory, which a filter cannot read: the C library falls back to clone. */
    {.name = "clone3", .roles = FETCHER, .refusal = ENOSYS},
    /* Its answer. */
    CALL("ftruncate", FETCHER),
    CALL("memfd_create", FETCHER),
};
/* clang-format on */

struct sandbox_calls sandbox_calls(void)
{
    return (struct sandbox_calls){.at = CALLS, .count = sizeof(CALLS) / sizeof(CALLS[0])};
}
