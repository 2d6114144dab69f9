/* proxy/http1/head.h
 *
 * Finds the end of an HTTP/1 header section in bytes that arrive in pieces. It looks at each byte
 * once, whatever the pieces, and refuses what no later byte can repair as soon as it comes: a
 * client that sends a bare CR gets its answer at once and does not wait for the header deadline.
 *
 * It also promises to the parsers behind it: in a section that was found, CR and LF occur as CRLF
 * at line ends only, and no other control character but HTAB occurs at all.
 *
 * Owner: the conn.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#pragma once

#include "proxy/base/fault.h"
#include "proxy/base/slice.h"
#include "proxy/base/status.h"
#include "proxy/http/message.h"

enum http1_section {
    HTTP1_REQUEST_HEAD,
    HTTP1_RESPONSE_HEAD,
    HTTP1_TRAILERS,
};

/* Zero is the start of a request head. Fields private to head.c. */
struct http1_head_scan {
    enum http1_section section;
    size_t at;              /* looked at up to here */
    size_t line_at;         /* where the current line begins */
    size_t lines;           /* complete lines, the start line included */
    enum fault_code detail; /* the rule that was broken, of a response too; for the log */
};

static inline void http1_head_scan_init(struct http1_head_scan *scan, enum http1_section section)
{
    *scan = (struct http1_head_scan){.section = section};
}

/* `bytes` begins where the section begins, and is the same as in the call before plus what has
 * arrived since (it may have moved).
 *   STATUS_OK       the section is bytes[0..*head_len), its empty line included
 *   STATUS_AGAIN    more bytes are needed
 *   STATUS_PEER     *fault says which rule was broken
 *   STATUS_REFUSED  *fault says which limit was met
 * A request head may begin with one empty line (RFC 9112 §2.2), which is counted in *head_len and
 * passed over by http1_parse_request. Faults of a response are http1_response_fault's. */
MUST_CHECK enum status http1_head_scan(struct http1_head_scan *scan, slice bytes,
                                       const struct message_limits *limits, size_t *head_len,
                                       enum fault_code *fault);
