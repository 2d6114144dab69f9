/* tests/fuzz/yaml_bundle_fuzz.c
 *
 * Any bytes as a serialised bundle: what is accepted serialises to the same bytes again.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "config/bundle.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len);

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
    struct bundle *bundle = bundle_parse(bytes, len);
    if (bundle == NULL) {
        return 0;
    }
    uint8_t *again = NULL;
    size_t again_len = 0;
    if (bundle_serialise(bundle, &again, &again_len)) {
        if (again_len != len || memcmp(again, bytes, len) != 0) {
            abort();
        }
        free(again);
    }
    bundle_free(bundle);
    return 0;
}
