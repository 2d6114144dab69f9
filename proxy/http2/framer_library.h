/* proxy/http2/framer_library.h
 *
 * What the library (nghttp2) calls while it reads and makes frames, for framer.c alone: blocks,
 * content and ends of streams go to their lanes, which are marked ready; content to send comes from
 * them. Nothing here calls a codec, but for open_lane, parse_head and the conn's own news.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#pragma once

#include "proxy/http2/framer.h"

enum { FRAMER_DATA_HEADER_BYTES = 9 };

/* Makes the session. False: no memory. */
MUST_CHECK bool framer_library_open(struct framer *framer, bool is_server);

/* RFC 9113 §5.1: on a stream that has ended only PRIORITY, WINDOW_UPDATE and RST_STREAM may come;
 * on one that we reset, the peer's frames may still have been on the way. The library lets all of
 * them pass. `self` is the framer. */
bool framer_library_is_closed(const void *self, uint32_t stream);
