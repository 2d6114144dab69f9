/* proxy/relay/server_codecs.h
 *
 * Which codec speaks with a client: the one place on this side that names HTTP versions.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#pragma once

#include "proxy/http/codec.h"

/* For an open stream, whose handshake (if it is TLS) has agreed on a protocol. Never NULL. */
server_codec_open *server_codec_for(const struct stream *stream);
