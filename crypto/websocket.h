/* crypto/websocket.h
 *
 * The two values by which the ends of a WebSocket over HTTP/1.1 make sure that both mean it (RFC
 * 6455 §1.3). Needed where one side of the proxy speaks HTTP/1.1 and the other one does not have
 * them (RFC 8441 §5).
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

enum { WEBSOCKET_KEY_BYTES = 24, WEBSOCKET_ACCEPT_BYTES = 28 };

/* A fresh Sec-WebSocket-Key; not terminated. False: no random bytes could be had. */
bool websocket_key_make(char out[WEBSOCKET_KEY_BYTES]);

/* The Sec-WebSocket-Accept that answers the key; not terminated. False: the key is too long to be
 * one, or memory is out. */
bool websocket_accept_of(const char *key, size_t key_len, char out[WEBSOCKET_ACCEPT_BYTES]);
