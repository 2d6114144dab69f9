/* proxy/relay/server_codecs.h
 *
 * Which codec speaks with a client: the one place on this side that names HTTP versions.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#pragma once

#include "proxy/http/codec.h"

/* For an open TLS stream, whose handshake may have agreed on a protocol. Never NULL. */
server_codec_open *server_codec_of_tls(const struct stream *stream);

/* For a plaintext stream, by the first bytes that it brings. NULL: they say nothing yet. */
server_codec_open *server_codec_of_bytes(slice first);

/* For a plaintext stream whose client is not asked: the one that all clients speak. */
server_codec_open *server_codec_common(void);

enum { SERVER_CODEC_BYTES = 24 }; /* that say it for certain */
