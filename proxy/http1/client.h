/* proxy/http1/client.h
 *
 * Our conn to a server that speaks HTTP/1: writes one request, reads its response, and is idle
 * again, or is closed when its end could not be proved (RFC 9112 §9.3: a conn is used again only
 * after a complete exchange).
 *
 * Owner: the pool it belongs to, which is told when it becomes idle and when it ends. It frees
 * itself after on_closed.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#pragma once

#include "proxy/http/codec.h"

client_codec_open http1_client_open;
