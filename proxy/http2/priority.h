/* proxy/http2/priority.h
 *
 * What a client's `priority` field asks for (RFC 9218 §4): how urgent a response is, and whether
 * parts of it are of use.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#pragma once

#include <stdbool.h>

#include "proxy/base/slice.h"

struct priority {
    unsigned urgency; /* 0 (first) to 7; 3 unless said */
    bool is_incremental;
};

/* Members that are unknown or malformed are passed over (RFC 9218 §4), as is an empty value. */
struct priority priority_parse(slice value);
