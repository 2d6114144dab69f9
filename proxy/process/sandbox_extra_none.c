/* proxy/process/sandbox_extra_none.c · SPDX-License-Identifier: Apache-2.0 */
#include "proxy/process/sandbox_extra.h"

struct sandbox_calls sandbox_extra_calls(void)
{
    return (struct sandbox_calls){.at = NULL, .count = 0};
}

const char *const *sandbox_extra_paths(void)
{
    static const char *const NONE[] = {NULL};
    return NONE;
}
