/* That freed memory holds nothing is shown by tests/e2e/test_key_isolation.py.
 * SPDX-License-Identifier: Apache-2.0 */
#include "crypto/wiped_memory.h"

#include <openssl/crypto.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static bool was_installed;

static void is_installed_before_openssl_holds_memory(void **state)
{
    (void)state;
    assert_true(was_installed);
}

static void keeps_what_fits_when_resized(void **state)
{
    (void)state;
    char *text = OPENSSL_malloc(6);
    assert_non_null(text);
    memcpy(text, "secret", 6);
    text = OPENSSL_realloc(text, 100000);
    assert_non_null(text);
    assert_memory_equal(text, "secret", 6);
    text = OPENSSL_realloc(text, 3);
    assert_non_null(text);
    assert_memory_equal(text, "sec", 3);
    OPENSSL_free(text);
}

static void resizes_nothing_and_to_nothing(void **state)
{
    (void)state;
    void *memory = OPENSSL_realloc(NULL, 8);
    assert_non_null(memory);
    assert_null(OPENSSL_realloc(memory, 0));
    OPENSSL_free(NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(is_installed_before_openssl_holds_memory),
        cmocka_unit_test(keeps_what_fits_when_resized),
        cmocka_unit_test(resizes_nothing_and_to_nothing),
    };
    was_installed = wiped_memory_install();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
