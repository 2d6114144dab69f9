/* proxy/http2/priority.c · SPDX-License-Identifier: Apache-2.0 */
#include "proxy/http2/priority.h"

enum { URGENCY_DEFAULT = 3, URGENCY_LAST = 7 };

static void take_member(slice member, struct priority *priority)
{
    slice name = slice_first(member, slice_find(member, ';')); /* parameters mean nothing yet */
    if (name.len == 3 && slice_starts_with(name, SLICE("u=")) && name.at[2] >= '0' &&
        name.at[2] <= '0' + URGENCY_LAST) {
        priority->urgency = (unsigned)(name.at[2] - '0');
    } else if (slice_equal(name, SLICE("i")) || slice_equal(name, SLICE("i=?1"))) {
        priority->is_incremental = true;
    } else if (slice_equal(name, SLICE("i=?0"))) {
        priority->is_incremental = false;
    }
}

struct priority priority_parse(slice value)
{
    struct priority priority = {.urgency = URGENCY_DEFAULT};
    slice member;
    while (slice_next_member(&value, &member)) {
        take_member(member, &priority);
    }
    return priority;
}
