/* proxy/process/reload_limits.h
 *
 * What a running instance cannot change: told as mistakes are, all at once.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#pragma once

#include <stdbool.h>
#include <stdio.h>

#include "config/model.h"

/* Writes a sentence for each setting of `next` that needs a new start. How many there are. */
size_t reload_limits_tell(const struct config *present, const struct config *next,
                          size_t keyholder_count, FILE *complaints);
