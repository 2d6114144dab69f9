/* proxy/relay/counters.c · SPDX-License-Identifier: Apache-2.0 */
#include "proxy/relay/counters.h"

#define COUNTER_NAME(code, name, help) [COUNTER_##code] = (name),
static const char *const NAMES[COUNTERS] = {COUNTER_TABLE(COUNTER_NAME)};
#undef COUNTER_NAME

#define COUNTER_HELP(code, name, help) [COUNTER_##code] = (help),
static const char *const HELPS[COUNTERS] = {COUNTER_TABLE(COUNTER_HELP)};
#undef COUNTER_HELP

const char *counter_name(enum counter counter)
{
    return NAMES[counter];
}

const char *counter_help(enum counter counter)
{
    return HELPS[counter];
}
