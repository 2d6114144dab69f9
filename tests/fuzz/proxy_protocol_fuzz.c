/* tests/fuzz/proxy_protocol_fuzz.c
 *
 * A shorter piece of a good header is never refused, and a header that is written again parses
 * to the same.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include <stdint.h>

#include "proxy/base/assert.h"
#include "proxy/net/proxy_protocol.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len);

static void check_written(const struct proxy_protocol *header)
{
    struct proxy_protocol again;
    size_t consumed;
    char out[PROXY_PROTOCOL_V2_BYTES];
    size_t len = header->version == 1 ? proxy_protocol_write_v1(header, out, sizeof(out))
                                      : proxy_protocol_write_v2(header, out, sizeof(out));
    assert_always(len > 0);
    assert_always(proxy_protocol_parse((slice){out, len}, &again, &consumed) == STATUS_OK);
    assert_always(consumed == len && again.version == header->version);
    assert_always(again.is_local == header->is_local);
    assert_always(memcmp(&again.source, &header->source, sizeof(again.source)) == 0);
    assert_always(memcmp(&again.destination, &header->destination, sizeof(again.destination)) == 0);
    assert_always(slice_equal(again.authority, header->authority));
    assert_always(slice_equal(again.alpn, header->alpn));
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
    slice input = {(const char *)bytes, len};
    struct proxy_protocol header;
    size_t consumed = 0;
    if (proxy_protocol_parse(input, &header, &consumed) != STATUS_OK) {
        return 0;
    }
    assert_always(consumed <= len);
    check_written(&header);
    for (size_t short_len = 0; short_len < consumed; short_len++) {
        size_t ignored;
        assert_always(proxy_protocol_parse(slice_first(input, short_len), &header, &ignored) ==
                      STATUS_AGAIN);
    }
    return 0;
}
