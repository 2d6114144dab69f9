/* proxy/route/date.h
 *
 * Days and times without the C library's locks and locales: the Date field (RFC 9110 §5.6.7) and
 * the times in logs (RFC 3339), both in UTC.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#pragma once

#include <stdint.h>

#include "proxy/base/slice.h"

enum { DATE_HTTP_BYTES = 29, DATE_LOG_BYTES = 24 };

/* "Sun, 06 Nov 1994 08:49:37 GMT"; `out` has DATE_HTTP_BYTES of room. */
void date_write_http(uint64_t seconds_since_1970, char *out);

/* "1994-11-06T08:49:37.123Z"; `out` has DATE_LOG_BYTES of room. */
void date_write_log(uint64_t microseconds_since_1970, char *out);

/* The Date field of the current second, kept between calls. Zero is a valid initial state. */
struct date_field {
    uint64_t second;
    char text[DATE_HTTP_BYTES];
};

/* Valid until a call with another second: copy it into the arena if it must live longer. */
slice date_field_at(struct date_field *field, uint64_t wall_us);
