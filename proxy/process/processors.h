/* proxy/process/processors.h
 *
 * How many processors this process may really use.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#pragma once

#include <stddef.h>

/* At least 1: the affinity mask, or less when a control group allows less time (a container with
 * half a processor on a machine with sixty-four). */
size_t processors_usable(void);

/* The whole processors that the text of a control group's cpu.max grants ("150000 100000" is 2);
 * 0: no limit, or not such a text. */
size_t processors_of_quota(const char *text);
