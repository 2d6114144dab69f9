/* proxy/relay/server_codecs.c · SPDX-License-Identifier: Apache-2.0 */
#include "proxy/relay/server_codecs.h"

#include "proxy/http1/server.h"

server_codec_open *server_codec_for(const struct stream *stream)
{
    /* ALPN offers http/1.1 alone, and a client that knows no ALPN speaks nothing else. */
    (void)stream;
    return http1_server_open;
}
