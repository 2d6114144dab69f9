/* proxy/http2/server.h
 *
 * A client's conn that speaks HTTP/2: each stream that it opens is an exchange. A conn without
 * streams is idle; one that drains says so twice (GOAWAY with the highest id, then with the last
 * one that is served), so that no request is lost.
 *
 *   conn:   PREFACE ──► OPEN ⇄ IDLE ──► (GOAWAY, GOAWAY) ──► closed
 *   lane:   see lane.h
 *
 * Owner: itself, once open; it frees itself after on_closed.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#pragma once

#include "proxy/http/codec.h"

server_codec_open http2_server_open;

/* RFC 9113 §3.4: what a client that speaks HTTP/2 sends first. */
#define HTTP2_PREFACE "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
