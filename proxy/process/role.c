/* proxy/process/role.c · SPDX-License-Identifier: Apache-2.0 */
#include "proxy/process/role.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>

#include "proxy/process/fetcher_process.h"
#include "proxy/process/gossip_process.h"
#include "proxy/process/keyholder_process.h"
#include "proxy/process/worker_process.h"

enum { NUMBER_MAX = 100000 };

struct role {
    const char *name;
    bool is_numbered;
    int (*run)(size_t index);
};

static const struct role ROLES[] = {
    {"worker ", true, worker_process_run},       {"keyholder", false, keyholder_process_run},
    {"keyholder ", true, keyholder_process_run}, {"fetcher", false, fetcher_process_run},
    {"gossip ", true, gossip_process_run},
};

/* Present only in a build with LeakSanitizer. */
extern void __lsan_do_leak_check(void) __attribute__((weak));

bool role_is_checked(void)
{
    return __lsan_do_leak_check != NULL;
}

void role_harden(const char *name)
{
    (void)prctl(PR_SET_NAME, name, 0, 0, 0);
    if (!role_is_checked()) {
        (void)prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
    }
}

static bool matches(const struct role *role, const char *title, size_t *index)
{
    size_t len = strlen(role->name);
    if (strncmp(title, role->name, len) != 0) {
        return false;
    }
    if (!role->is_numbered) {
        *index = 0;
        return title[len] == '\0';
    }
    char *end = NULL;
    unsigned long number = strtoul(title + len, &end, 10);
    *index = number;
    return end != title + len && *end == '\0' && number < NUMBER_MAX;
}

bool role_run(const char *title, int *exit_status)
{
    size_t len = strlen(ROLE_PREFIX);
    if (title == NULL || strncmp(title, ROLE_PREFIX, len) != 0) {
        return false;
    }
    for (size_t i = 0; i < sizeof(ROLES) / sizeof(ROLES[0]); i++) {
        size_t index = 0;
        if (matches(&ROLES[i], title + len, &index)) {
            *exit_status = ROLES[i].run(index);
            return true;
        }
    }
    return false;
}
