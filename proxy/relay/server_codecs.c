/* proxy/relay/server_codecs.c · SPDX-License-Identifier: Apache-2.0 */
#include "proxy/relay/server_codecs.h"

#include "crypto/tls_facts.h"
#include "proxy/http1/server.h"
#include "proxy/http2/server.h"

/* A client that knows no ALPN speaks HTTP/1.1 (RFC 9113 §3.3). */
server_codec_open *server_codec_of_tls(const struct stream *stream)
{
    struct tls_facts facts;
    stream_tls_facts(stream, &facts);
    return slice_equal(slice_of(facts.alpn), SLICE("h2")) ? http2_server_open : http1_server_open;
}

server_codec_open *server_codec_common(void)
{
    return http1_server_open;
}

/* Prior knowledge (RFC 9113 §3.3): a client of HTTP/2 begins with bytes that no other sends. */
server_codec_open *server_codec_of_bytes(slice first)
{
    slice preface = SLICE(HTTP2_PREFACE);
    size_t len = first.len < preface.len ? first.len : preface.len;
    if (!slice_equal(slice_first(first, len), slice_first(preface, len))) {
        return server_codec_common();
    }
    return len == preface.len ? http2_server_open : NULL;
}
