/* proxy/upstream/client_codecs.h
 *
 * Which codec speaks to a server: the one place on this side that names HTTP versions.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#pragma once

#include "proxy/http/codec.h"

/* For an open stream, whose handshake (if it is TLS) has agreed on a protocol. Never NULL. */
client_codec_open *client_codec_for(const struct stream *stream);
