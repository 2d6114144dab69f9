/* proxy/base/fault.c · SPDX-License-Identifier: Apache-2.0 */
#include "proxy/base/fault.h"

struct fault_row {
    const char *name;
    unsigned http_status;
    const char *sentence;
};

#define FAULT_ROW(code, name, http_status, sentence) [FAULT_##code] = {name, http_status, sentence},
static const struct fault_row fault_rows[FAULT_CODES] = {FAULT_TABLE(FAULT_ROW)};
#undef FAULT_ROW

static const struct fault_row *row_of(enum fault_code code)
{
    return &fault_rows[(unsigned)code < FAULT_CODES ? code : FAULT_INTERNAL];
}

const char *fault_name(enum fault_code code)
{
    return row_of(code)->name;
}

unsigned fault_http_status(enum fault_code code)
{
    return row_of(code)->http_status;
}

const char *fault_sentence(enum fault_code code)
{
    return row_of(code)->sentence;
}
