/* proxy/upstream/client_codecs.c · SPDX-License-Identifier: Apache-2.0 */
#include "proxy/upstream/client_codecs.h"

#include "proxy/http1/client.h"

client_codec_open *client_codec_for(const struct stream *stream)
{
    /* We offer http/1.1 alone, so nothing else can have been agreed on. */
    (void)stream;
    return http1_client_open;
}
