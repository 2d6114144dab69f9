/* proxy/process/memory_trim.c · SPDX-License-Identifier: Apache-2.0 */
#include "proxy/process/memory_trim.h"

enum {
    PEAK_LEAST = 256, /* conns: some ten MiB with their TLS */
    QUIET_PART = 4,
    PAUSE_MS = 10000,
};

bool memory_trim_is_due(struct memory_trim *trim, uint64_t conns, uint64_t now_ms)
{
    if (conns > trim->peak) {
        trim->peak = conns;
    }
    bool is_quiet = trim->peak >= PEAK_LEAST && conns < trim->peak / QUIET_PART;
    bool was_lately = trim->trimmed_ms > 0 && now_ms - trim->trimmed_ms < PAUSE_MS;
    if (!is_quiet || was_lately) {
        return false;
    }
    trim->peak = conns;
    trim->trimmed_ms = now_ms;
    return true;
}
