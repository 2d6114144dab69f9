/* proxy/process/processors.c · SPDX-License-Identifier: Apache-2.0 */
#include "proxy/process/processors.h"

#include <sched.h>
#include <stdio.h>
#include <unistd.h>

size_t processors_of_quota(const char *text)
{
    unsigned long long quota = 0;
    unsigned long long period = 0;
    if (sscanf(text, "%llu %llu", &quota, &period) != 2 || quota == 0 || period == 0) {
        return 0;
    }
    return (size_t)((quota - 1) / period + 1);
}

static size_t quota(void)
{
    char text[64] = "";
    FILE *file = fopen("/sys/fs/cgroup/cpu.max", "re");
    if (file == NULL) {
        return 0;
    }
    if (fgets(text, sizeof(text), file) == NULL) {
        text[0] = '\0';
    }
    (void)fclose(file);
    return processors_of_quota(text);
}

size_t processors_usable(void)
{
    cpu_set_t set;
    size_t count = 0;
    if (sched_getaffinity(0, sizeof(set), &set) == 0) {
        count = (size_t)CPU_COUNT(&set);
    } else {
        long online = sysconf(_SC_NPROCESSORS_ONLN);
        count = online > 0 ? (size_t)online : 1;
    }
    size_t granted = quota();
    return granted > 0 && granted < count ? granted : count;
}
