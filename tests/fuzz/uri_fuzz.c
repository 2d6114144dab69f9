/* tests/fuzz/uri_fuzz.c
 *
 * A normal path is normal, and no longer than it was; what is accepted holds nothing that could
 * end a request line.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include <stdint.h>
#include <stdlib.h>

#include "proxy/base/assert.h"
#include "proxy/http/uri.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len);

static void check_path(slice path)
{
    char *once = malloc(path.len + 1);
    size_t len = 0;
    assert_always(once != NULL);
    if (uri_normalise_path(path, once, &len)) {
        assert_always(len <= path.len && len > 0);
        assert_always(once[0] == '/' || once[0] == '*');
        slice normal = {once, len};
        assert_always(memmem(once, len, "/../", 4) == NULL);
        assert_always(memmem(once, len, "/./", 3) == NULL);
        assert_always(slice_find(normal, '\0') == len);
    }
    free(once);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
    if (len == 0) {
        return 0;
    }
    slice text = {(const char *)bytes + 1, len - 1};
    struct authority authority;
    struct message message = {.method = bytes[0] % 2 == 0 ? METHOD_GET : METHOD_OPTIONS,
                              .scheme = SLICE("https")};
    if (authority_parse(text, &authority)) {
        assert_always(authority.host.len > 0);
        assert_always(authority.has_port == (authority.port != 0));
    }
    if (uri_parse_target(text, &message) == FAULT_NONE) {
        assert_always(field_value_is_valid(text) && slice_find(text, ' ') == text.len);
        assert_always(message.path.len > 0);
        check_path(message.path);
    }
    check_path(text);
    return 0;
}
