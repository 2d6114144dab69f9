/* proxy/process/sandbox.c · SPDX-License-Identifier: Apache-2.0 */
#include "proxy/process/sandbox.h"

#include <seccomp.h>
#include <stddef.h>
#include <stdio.h>
#include <time.h>
#include <unistd.h>

#include "crypto/library.h"
#include "proxy/process/landlock.h"
#include "proxy/process/sandbox_calls.h"
#include "proxy/process/sandbox_extra.h"

enum { HAS_SECCOMP = 1U << 8, LANDLOCK_MASK = 0xff, AS_TREE = 2 };

/* What libcurl and the resolver read. */
static const char *const FETCHER_PATHS[] = {
    "/etc/gai.conf",
    "/etc/host.conf",
    "/etc/hosts",
    "/etc/ld.so.cache",
    "/etc/nsswitch.conf",
    "/etc/pki/tls",
    "/etc/resolv.conf",
    "/etc/ssl/certs",
    "/etc/ssl/openssl.cnf",
    "/lib",
    "/lib64",
    "/run/nscd",
    "/run/systemd/resolve",
    "/usr/lib",
    "/usr/local/share/ca-certificates",
    "/usr/share/ca-certificates",
    NULL,
};

/* ---- system calls ---- */

static bool plan_has(const struct sandbox_plan *plan, enum sandbox_need need)
{
    switch (need) {
    case SANDBOX_ALWAYS:
        return true;
    case SANDBOX_FOR_NAMES:
        return plan->asks_names;
    case SANDBOX_FOR_UNIX:
        return plan->has_unix_server;
    }
    return false;
}

/* Architectures do not all have the same calls; one that is not here needs no rule. */
static bool add_call(scmp_filter_ctx filter, const struct sandbox_call *call)
{
    int number = seccomp_syscall_resolve_name(call->name);
    uint32_t action = call->refusal == 0 ? SCMP_ACT_ALLOW : SCMP_ACT_ERRNO((uint32_t)call->refusal);
    return number < 0 ||
           seccomp_rule_add_array(filter, action, number, call->check_count, call->checks) == 0;
}

static bool add_calls(scmp_filter_ctx filter, struct sandbox_calls calls,
                      const struct sandbox_plan *plan)
{
    for (size_t i = 0; i < calls.count; i++) {
        const struct sandbox_call *call = &calls.at[i];
        if ((call->roles & plan->role) != 0 && plan_has(plan, call->need) &&
            !add_call(filter, call)) {
            return false;
        }
    }
    return true;
}

/* How abort(3) ends the process: a signal to itself. */
static bool add_abort(scmp_filter_ctx filter)
{
    const struct scmp_arg_cmp own = {0, SCMP_CMP_EQ, (scmp_datum_t)getpid(), 0};
    return seccomp_rule_add(filter, SCMP_ACT_ALLOW, SCMP_SYS(tgkill), 1, own) == 0;
}

static bool enter_seccomp(const struct sandbox_plan *plan)
{
    scmp_filter_ctx filter = seccomp_init(SCMP_ACT_KILL_PROCESS);
    if (filter == NULL) {
        return false;
    }
    bool is_entered =
        seccomp_attr_set(filter, SCMP_FLTATR_ACT_BADARCH, SCMP_ACT_KILL_PROCESS) == 0 &&
        seccomp_attr_set(filter, SCMP_FLTATR_CTL_OPTIMIZE, AS_TREE) == 0 && add_abort(filter) &&
        add_calls(filter, sandbox_calls(), plan) &&
        add_calls(filter, sandbox_extra_calls(), plan) && seccomp_load(filter) == 0;
    seccomp_release(filter);
    return is_entered;
}

/* ---- all ---- */

/* What libraries open when they are used for the first time, which would be too late. */
static void load_late_files(void)
{
    tzset();                      /* the first conversion of a time, even to UTC */
    (void)!crypto_library_load(); /* what fails now fails later too, and is told there */
}

struct sandbox_facts sandbox_enter(const struct sandbox_plan *plan)
{
    const struct landlock_wish wish = {
        .paths = plan->role == SANDBOX_FETCHER ? FETCHER_PATHS : NULL,
        .more_paths = sandbox_extra_paths(),
        .connect_ports = &plan->ports,
        .connects_anywhere = plan->connects_anywhere,
        .binds_any_port = plan->role == SANDBOX_GOSSIP,
    };
    load_late_files();
    struct sandbox_facts facts = {.landlock = landlock_enter(&wish)};
    facts.has_seccomp = enter_seccomp(plan); /* the last: it forbids the rest of this */
    return facts;
}

uint32_t sandbox_to_number(struct sandbox_facts facts)
{
    return (facts.landlock & LANDLOCK_MASK) | (facts.has_seccomp ? HAS_SECCOMP : 0);
}

struct sandbox_facts sandbox_from_number(uint32_t number)
{
    return (struct sandbox_facts){.has_seccomp = (number & HAS_SECCOMP) != 0,
                                  .landlock = number & LANDLOCK_MASK};
}

void sandbox_describe(struct sandbox_facts facts, char text[SANDBOX_TEXT_BYTES])
{
    if (facts.landlock == 0) {
        (void)snprintf(text, SANDBOX_TEXT_BYTES, "%s", facts.has_seccomp ? "seccomp" : "none");
        return;
    }
    (void)snprintf(text, SANDBOX_TEXT_BYTES, "%slandlock %u", facts.has_seccomp ? "seccomp, " : "",
                   facts.landlock);
}

const char *sandbox_missing(struct sandbox_facts facts)
{
    if (!facts.has_seccomp) {
        return facts.landlock == 0 ? "seccomp, landlock" : "seccomp";
    }
    return facts.landlock == 0 ? "landlock" : NULL;
}
