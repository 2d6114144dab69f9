/* proxy/base/status.h
 *
 * What a fallible call answers, chosen by who must act next. Detail travels as a fault code
 * (proxy/base/fault.h).
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#pragma once

#define MUST_CHECK __attribute__((warn_unused_result))

enum status {
    STATUS_OK,      /* done: go on */
    STATUS_AGAIN,   /* not now: return to the loop, a callback follows */
    STATUS_END,     /* orderly end of a byte stream or of a message */
    STATUS_PEER,    /* the other side broke the protocol: answer with its code, count, close */
    STATUS_REFUSED, /* our policy or a limit says no */
    STATUS_BROKEN,  /* the transport failed: close, perhaps retry */
    STATUS_NOMEM,   /* out of memory: shed this exchange or conn */
    STATUS_SYS,     /* the system refused: errno says why */
};
