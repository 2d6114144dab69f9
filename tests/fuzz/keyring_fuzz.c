/* tests/fuzz/keyring_fuzz.c
 *
 * A keyring that was read is written to a text that reads as the same ring, also after a change;
 * what is refused is told by line and expectation.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include <string.h>

#include "crypto/keyring.h"
#include "proxy/base/assert.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len);

/* Written, read, and written again: the two texts are one. */
static void check_written(const struct keyring *ring)
{
    struct secret text;
    struct secret again;
    assert_always(keyring_write(ring, &text));
    assert_always(secret_len(&text) <= KEYRING_TEXT_BYTES_MAX);
    struct keyring *read =
        keyring_parse((struct bytes){secret_bytes(&text), secret_len(&text)}, NULL);
    assert_always(read != NULL && keyring_count(read) == keyring_count(ring));
    for (size_t i = 0; i < keyring_count(ring); i++) {
        struct bytes key = keyring_key(ring, i);
        struct bytes same = keyring_key(read, i);
        char id[KEYRING_ID_BYTES];
        assert_always(key.len == same.len && memcmp(key.at, same.at, key.len) == 0);
        keyring_id(read, i, id);
        assert_always(keyring_find(ring, id) == i);
    }
    assert_always(keyring_write(read, &again));
    assert_always(secret_equals(&again, secret_bytes(&text), secret_len(&text)));
    keyring_free(read);
    secret_fini(&text);
    secret_fini(&again);
}

static void change_all(struct keyring *ring)
{
    size_t count = keyring_count(ring);
    struct bytes key = {(const uint8_t *)"0123456789abcdef", 16};
    enum keyring_change change = keyring_add(ring, key);
    assert_always(change != KEYRING_FAILED && keyring_add(ring, key) != KEYRING_CHANGED);
    assert_always(keyring_count(ring) == count + (change == KEYRING_CHANGED));
    check_written(ring);
    assert_always(keyring_use(ring, keyring_count(ring) - 1) ==
                  (keyring_count(ring) > 1 ? KEYRING_CHANGED : KEYRING_UNCHANGED));
    check_written(ring);
    while (keyring_count(ring) > 1) {
        assert_always(keyring_remove(ring, (keyring_count(ring) + 1) / 2) == KEYRING_CHANGED);
        check_written(ring);
    }
    assert_always(keyring_remove(ring, 0) == KEYRING_IS_PRIMARY);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
    struct crypto_error error = {{0}};
    struct secret key;
    struct keyring *ring = keyring_parse((struct bytes){bytes, len}, &error);
    bool is_one_key = keyring_key_from_text(&key, (struct bytes){bytes, len});
    assert_always(!is_one_key || (ring != NULL) || len > KEYRING_TEXT_BYTES_MAX);
    secret_fini(&key);
    if (ring == NULL) {
        assert_always(strncmp(error.text, "line ", 5) == 0);
        assert_always(strstr(error.text, "; expected ") != NULL);
        return 0;
    }
    check_written(ring);
    change_all(ring);
    keyring_free(ring);
    return 0;
}
