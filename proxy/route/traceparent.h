/* proxy/route/traceparent.h
 *
 * The traceparent field of W3C Trace Context (level 1, §3.2): version, trace id, parent id, flags.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#pragma once

#include <stdbool.h>

#include "proxy/base/slice.h"
#include "proxy/route/random_source.h"

enum { TRACEPARENT_BYTES = 55, TRACE_ID_BYTES = 32 };

/* Strict for version 00; later versions need the known front part (§3.2.4). All-zero ids, upper
 * case and version ff are refused. `trace_id` becomes a slice of `value`. */
bool traceparent_parse(slice value, slice *trace_id);

/* A new trace: version 00, random ids, the sampled flag set. Unset it would tell the tracing
 * libraries of most backends to record nothing, so a proxy put in front would silence them.
 * `out` has TRACEPARENT_BYTES of room. */
void traceparent_make(const struct random_source *random, char *out);
