/* proxy/http1/server.h
 *
 * A client's conn that speaks HTTP/1.0 or 1.1: reads requests, writes responses, one exchange at a
 * time (pipelined requests wait in the conn). After an upgrade the same conn carries the tunnel:
 * both bodies then go on as bytes without framing.
 *
 *   rx:  HEAD ──► BODY ──► DONE          tx:  NONE ──► BODY ──► DONE
 *          └──────────────► DONE                └─────────────► (tunnel: half-closed)
 *   both DONE ──► next HEAD, or close
 *
 * Owner: itself, once open; it frees itself after on_closed.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#pragma once

#include "proxy/http/codec.h"

server_codec_open http1_server_open;
