/* proxy/process/landlock.c · SPDX-License-Identifier: Apache-2.0 */
#include "proxy/process/landlock.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

enum {
    CREATE_VERSION = 1U << 0, /* of landlock_create_ruleset: tell the version */
    RULE_PATH = 1,
    RULE_PORT = 2,
    READ_FILE = 1U << 2,
    READ_FOLDER = 1U << 3,
    BIND_TCP = 1U << 0,
    CONNECT_TCP = 1U << 1,
    NET_SINCE = 4,
    SCOPES_SINCE = 6,
    ALL_NET = BIND_TCP | CONNECT_TCP,
    ALL_SCOPES = (1U << 0) | (1U << 1), /* abstract unix sockets, signals */
};

/* Rights over files that each version knows. */
static const uint64_t FILE_RIGHTS[] = {
    [0] = 0,
    [1] = (1U << 13) - 1,
    [2] = (1U << 14) - 1,
    [3] = (1U << 15) - 1,
    [4] = (1U << 15) - 1,
    [5] = (1U << 16) - 1,
};

/* As the kernel reads them; one that knows less is given less. */
struct ruleset_request {
    uint64_t files;
    uint64_t net;
    uint64_t scopes;
};

struct path_rule {
    uint64_t rights;
    int32_t descriptor;
} __attribute__((packed));

struct port_rule {
    uint64_t rights;
    uint64_t port;
};

unsigned landlock_version(void)
{
    long version = syscall(SYS_landlock_create_ruleset, NULL, 0, CREATE_VERSION);
    return version > 0 ? (unsigned)version : 0;
}

static size_t request_bytes(unsigned version)
{
    size_t known = version < NET_SINCE ? 1 : version < SCOPES_SINCE ? 2 : 3;
    return known * sizeof(uint64_t);
}

static int open_ruleset(unsigned version, const struct landlock_wish *wish)
{
    size_t last = sizeof(FILE_RIGHTS) / sizeof(FILE_RIGHTS[0]) - 1;
    const struct ruleset_request request = {
        .files = FILE_RIGHTS[version < last ? version : last],
        .net = wish->connects_anywhere ? BIND_TCP : ALL_NET,
        .scopes = ALL_SCOPES,
    };
    return (int)syscall(SYS_landlock_create_ruleset, &request, request_bytes(version), 0);
}

static bool add_path(int ruleset, const char *path)
{
    struct stat facts;
    int descriptor = open(path, O_PATH | O_CLOEXEC);
    if (descriptor < 0) {
        return true; /* what is not there needs no rule */
    }
    bool is_known = fstat(descriptor, &facts) == 0;
    const struct path_rule rule = {
        .rights = is_known && S_ISDIR(facts.st_mode) ? READ_FILE | READ_FOLDER : READ_FILE,
        .descriptor = descriptor,
    };
    bool is_added = is_known && syscall(SYS_landlock_add_rule, ruleset, RULE_PATH, &rule, 0) == 0;
    (void)close(descriptor);
    return is_added;
}

static bool add_paths(int ruleset, const char *const *paths)
{
    for (; paths != NULL && *paths != NULL; paths++) {
        if (!add_path(ruleset, *paths)) {
            return false;
        }
    }
    return true;
}

static bool add_port(int ruleset, uint64_t rights, uint64_t port)
{
    const struct port_rule rule = {.rights = rights, .port = port};
    return syscall(SYS_landlock_add_rule, ruleset, RULE_PORT, &rule, 0) == 0;
}

static bool add_ports(int ruleset, const struct landlock_wish *wish)
{
    if (wish->binds_any_port && !add_port(ruleset, BIND_TCP, 0)) {
        return false;
    }
    for (unsigned port = 1;
         wish->connect_ports != NULL && port <= UINT16_MAX && !wish->connects_anywhere; port++) {
        if (port_set_has(wish->connect_ports, (uint16_t)port) &&
            !add_port(ruleset, CONNECT_TCP, port)) {
            return false;
        }
    }
    return true;
}

unsigned landlock_enter(const struct landlock_wish *wish)
{
    unsigned version = landlock_version();
    int ruleset = version == 0 ? -1 : open_ruleset(version, wish);
    if (ruleset < 0) {
        return 0;
    }
    bool is_entered = add_paths(ruleset, wish->paths) && add_paths(ruleset, wish->more_paths) &&
                      (version < NET_SINCE || add_ports(ruleset, wish)) &&
                      syscall(SYS_landlock_restrict_self, ruleset, 0) == 0;
    (void)close(ruleset);
    return is_entered ? version : 0;
}
