/* proxy/http2/meter.h
 *
 * Looks at the header of each frame that arrives, before the library does, and ends the patience
 * with a peer whose frames are mostly of no use: PING, SETTINGS, PRIORITY, RST_STREAM, unknown
 * types, empty DATA and CONTINUATION. The library is happy to process any number of them.
 *
 * A WINDOW_UPDATE is of use as the answer to content that we sent, and of none without it.
 *
 * Patience is a number that useless frames use up, that useful ones (content, new requests,
 * content that we send) and time give back, and that is never more than it was at the start.
 *
 * Owner: the framer.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "proxy/base/fault.h"
#include "proxy/base/slice.h"
#include "proxy/base/status.h"

/* Has this stream of the peer's ended, so that no content may come on it? */
typedef bool meter_is_closed(const void *self, uint32_t stream);

/* Fields private to meter.c, but for `in_block`. */
struct meter {
    uint8_t head[10]; /* of the frame that arrives, and the length of its padding */
    uint8_t head_len;
    uint8_t preface_left; /* bytes of the client's preface that are still to come */
    bool in_block;        /* a header block has begun and not ended */
    uint32_t payload_left;
    uint32_t continuations; /* of this block */
    uint32_t last_stream;   /* the highest id of a HEADERS frame */
    int32_t patience;
    uint32_t crumb_bytes; /* sent, and not yet enough to pay */
    uint32_t updates_due; /* WINDOW_UPDATE frames that answer content of ours */
    uint64_t paid_at_ms;  /* when time last gave some back */
    meter_is_closed *is_closed;
    const void *is_closed_self;
};

void meter_init(struct meter *meter, bool is_server, uint64_t now_ms);

/* Asks this of each DATA frame. The library drops those of streams that it has forgotten without
 * telling anybody (RFC 9113 §5.1 wants the conn ended). */
void meter_watch_content(struct meter *meter, meter_is_closed *is_closed, const void *self);

/* Looks at bytes as they arrive, in any pieces. FAULT_H2_FLOOD, or FAULT_H2_PROTOCOL for content on
 * a stream that has ended: the conn must end. */
MUST_CHECK enum fault_code meter_take(struct meter *meter, slice bytes, uint64_t now_ms);

/* A frame with content was sent. `worth`: its bytes if it is a crumb, else H2_CRUMB_BYTES. */
void meter_pay(struct meter *meter, size_t worth);

/* An exchange was ended by a reset, the peer's or one that its frames made us send. */
void meter_charge_reset(struct meter *meter);

/* False when patience is at an end. */
bool meter_is_patient(const struct meter *meter);
