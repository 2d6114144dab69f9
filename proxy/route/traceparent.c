/* proxy/route/traceparent.c · SPDX-License-Identifier: Apache-2.0 */
#include "proxy/route/traceparent.h"

#include <stdint.h>

#include "proxy/base/hex.h"

/* VV-TTTTTTTTTTTTTTTTTTTTTTTTTTTTTTTT-PPPPPPPPPPPPPPPP-FF
 * 0  3                                36               53  */
enum { VERSION_AT = 0, TRACE_AT = 3, PARENT_AT = 36, FLAGS_AT = 53, PARENT_ID_BYTES = 16 };

static bool is_lower_hex(const char *at, size_t len)
{
    for (size_t i = 0; i < len; i++) {
        if (!((at[i] >= '0' && at[i] <= '9') || (at[i] >= 'a' && at[i] <= 'f'))) {
            return false;
        }
    }
    return true;
}

static bool is_all_zero(const char *at, size_t len)
{
    for (size_t i = 0; i < len; i++) {
        if (at[i] != '0') {
            return false;
        }
    }
    return true;
}

static bool has_valid_length(slice value)
{
    if (value.len < TRACEPARENT_BYTES) {
        return false;
    }
    bool is_version_00 = value.at[0] == '0' && value.at[1] == '0';
    return value.len == TRACEPARENT_BYTES || (!is_version_00 && value.at[TRACEPARENT_BYTES] == '-');
}

bool traceparent_parse(slice value, slice *trace_id)
{
    if (!has_valid_length(value)) {
        return false;
    }
    const char *at = value.at;
    if (at[TRACE_AT - 1] != '-' || at[PARENT_AT - 1] != '-' || at[FLAGS_AT - 1] != '-') {
        return false;
    }
    if (!is_lower_hex(at + VERSION_AT, 2) || (at[0] == 'f' && at[1] == 'f') ||
        !is_lower_hex(at + TRACE_AT, TRACE_ID_BYTES) ||
        !is_lower_hex(at + PARENT_AT, PARENT_ID_BYTES) || !is_lower_hex(at + FLAGS_AT, 2)) {
        return false;
    }
    if (is_all_zero(at + TRACE_AT, TRACE_ID_BYTES) ||
        is_all_zero(at + PARENT_AT, PARENT_ID_BYTES)) {
        return false;
    }
    *trace_id = (slice){at + TRACE_AT, TRACE_ID_BYTES};
    return true;
}

void traceparent_make(const struct random_source *random, char *out)
{
    uint8_t trace[TRACE_ID_BYTES / 2];
    uint8_t parent[PARENT_ID_BYTES / 2];
    random->fill(random->self, trace, sizeof(trace));
    random->fill(random->self, parent, sizeof(parent));
    /* An id of zeroes is invalid; one bit keeps even a broken source's result valid. */
    trace[sizeof(trace) - 1] |= 1;
    parent[sizeof(parent) - 1] |= 1;
    memcpy(out, "00-", 3);
    hex_put_bytes(out + TRACE_AT, trace, sizeof(trace));
    out[PARENT_AT - 1] = '-';
    hex_put_bytes(out + PARENT_AT, parent, sizeof(parent));
    memcpy(out + FLAGS_AT - 1, "-01", 3);
}
