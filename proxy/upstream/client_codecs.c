/* proxy/upstream/client_codecs.c · SPDX-License-Identifier: Apache-2.0 */
#include "proxy/upstream/client_codecs.h"

#include "crypto/tls_facts.h"
#include "proxy/http1/client.h"
#include "proxy/http2/client.h"

static bool has_agreed_on_h2(const struct stream *stream)
{
    struct tls_facts facts;
    stream_tls_facts(stream, &facts);
    return slice_equal(slice_of(facts.alpn), SLICE("h2"));
}

client_codec_open *client_codec_for(const struct stream *stream, enum config_scheme scheme)
{
    switch (scheme) {
    case CONFIG_SCHEME_HTTP:
        return http1_client_open;
    case CONFIG_SCHEME_H2C:
        return http2_client_open;
    case CONFIG_SCHEME_HTTPS:
        return has_agreed_on_h2(stream) ? http2_client_open : http1_client_open;
    case CONFIG_SCHEME_H2:
        return has_agreed_on_h2(stream) ? http2_client_open : NULL;
    }
    return NULL;
}

bool client_codec_may_multiplex(enum config_scheme scheme)
{
    return scheme != CONFIG_SCHEME_HTTP;
}
