/* tests/fuzz/handover_fuzz.c
 *
 * What one program leaves to the next: whatever is read is written again with the same meaning.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "proxy/process/handover.c"
#include "proxy/process/handover_text.c"

#include "proxy/base/assert.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len);

static char *write_text(const struct handover *handover, size_t *len)
{
    char *text = NULL;
    FILE *out = open_memstream(&text, len);
    assert_always(out != NULL);
    handover_write(handover, out);
    assert_always(fclose(out) == 0);
    return text;
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
    struct handover handover;
    struct handover again;
    if (handover_parse(&handover, (slice){(const char *)bytes, len}) != STATUS_OK) {
        return 0;
    }
    size_t first_len = 0;
    size_t second_len = 0;
    char *first = write_text(&handover, &first_len);
    assert_always(handover_parse(&again, (slice){first, first_len}) == STATUS_OK);
    char *second = write_text(&again, &second_len);
    assert_always(first_len == second_len && memcmp(first, second, first_len) == 0);
    free(first);
    free(second);
    handover_fini(&handover);
    handover_fini(&again);
    return 0;
}
