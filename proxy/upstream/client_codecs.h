/* proxy/upstream/client_codecs.h
 *
 * Which codec speaks to a server: the one place on this side that names HTTP versions.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#pragma once

#include "config/model.h"
#include "proxy/http/codec.h"

/* For an open stream to a server of this scheme, whose handshake (if it is TLS) may have agreed on
 * a protocol. NULL: on none that the scheme allows. */
client_codec_open *client_codec_for(const struct stream *stream, enum config_scheme scheme);

/* Before the first conn: can many exchanges be expected to share one? */
bool client_codec_may_multiplex(enum config_scheme scheme);
