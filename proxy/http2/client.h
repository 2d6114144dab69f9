/* proxy/http2/client.h
 *
 * Our conn to a server that speaks HTTP/2: many exchanges share it, each in a lane of its own.
 *
 *   conn:   OPEN (room for more) ⇄ full ──► leaving (GOAWAY came) ──► closed
 *   lane:   (waits for SETTINGS) ──► request ──► head ──► content ──► over
 *
 * Owner: the server's list of conns, through on_closed; it frees itself.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#pragma once

#include "proxy/http/codec.h"

client_codec_open http2_client_open;
