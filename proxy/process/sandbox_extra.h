/* proxy/process/sandbox_extra.h
 *
 * What every role may do beyond its own tables, because of how the program was built: nothing
 * (sandbox_extra_none.c), or what the reports of sanitizers need (sandbox_extra_sanitizer.c). The
 * build chooses the file.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#pragma once

#include "proxy/process/sandbox_calls.h"

struct sandbox_calls sandbox_extra_calls(void);

/* Readable, ends with NULL. */
const char *const *sandbox_extra_paths(void);
