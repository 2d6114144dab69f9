/* proxy/relay/server_codecs.c · SPDX-License-Identifier: Apache-2.0 */
#include "proxy/relay/server_codecs.h"

#include "proxy/http1/server.h"

server_codec_open *server_codec_for(const struct stream *stream)
{
    /* ALPN offers http/1.1 alone (a client without ALPN speaks it too, RFC 9110 §7.8 aside). */
    (void)stream;
    return http1_server_open;
}
