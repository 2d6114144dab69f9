/* tests/unit/crypto/websocket_test.c · SPDX-License-Identifier: Apache-2.0 */
#include "crypto/websocket.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

/* RFC 6455 §1.3 has this pair. */
static void the_answer_is_the_one_of_rfc_6455(void **state)
{
    (void)state;
    static const char key[] = "dGhlIHNhbXBsZSBub25jZQ==";
    static const char accept[] = "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=";
    char out[WEBSOCKET_ACCEPT_BYTES];
    assert_true(websocket_accept_of(key, strlen(key), out));
    assert_memory_equal(out, accept, sizeof(out));
}

static void a_key_that_is_too_long_is_none(void **state)
{
    (void)state;
    char key[65];
    char out[WEBSOCKET_ACCEPT_BYTES];
    memset(key, 'k', sizeof(key));
    assert_true(websocket_accept_of(key, 0, out));
    assert_true(websocket_accept_of(key, 64, out));
    assert_false(websocket_accept_of(key, 65, out));
}

static void keys_are_16_bytes_in_base64_and_differ(void **state)
{
    (void)state;
    char first[WEBSOCKET_KEY_BYTES];
    char second[WEBSOCKET_KEY_BYTES];
    assert_true(websocket_key_make(first));
    assert_true(websocket_key_make(second));
    assert_memory_not_equal(first, second, sizeof(first));
    assert_memory_equal(first + 22, "==", 2);
    assert_null(memchr(first, '=', 22));
    assert_null(memchr(first, '\0', sizeof(first)));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_answer_is_the_one_of_rfc_6455),
        cmocka_unit_test(a_key_that_is_too_long_is_none),
        cmocka_unit_test(keys_are_16_bytes_in_base64_and_differ),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
