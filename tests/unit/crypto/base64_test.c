/* tests/unit/crypto/base64_test.c · SPDX-License-Identifier: Apache-2.0 */
#include "crypto/base64.h"

#include <openssl/evp.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

static void writes_what_openssl_writes_and_reads_it_back(void **state)
{
    (void)state;
    uint8_t bytes[256];
    uint8_t read[256];
    char text[400];
    unsigned char expected[400];
    for (size_t i = 0; i < sizeof(bytes); i++) {
        bytes[i] = (uint8_t)(i * 167 + 13);
    }
    for (size_t len = 1; len <= sizeof(bytes); len++) {
        size_t got = 0;
        base64_write(text, bytes, len);
        size_t chars = (size_t)EVP_EncodeBlock(expected, bytes, (int)len);
        assert_int_equal(base64_chars(len), chars);
        assert_memory_equal(text, expected, chars);
        assert_true(base64_read(read, len, (const uint8_t *)text, chars, &got));
        assert_int_equal(got, len);
        assert_memory_equal(read, bytes, len);
        assert_false(base64_read(read, len - 1, (const uint8_t *)text, chars, &got));
    }
}

static void each_character_has_one_meaning_and_others_none(void **state)
{
    (void)state;
    static const char ALPHABET[] =
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    for (unsigned c = 0; c < 256; c++) {
        uint8_t text[4] = {(uint8_t)c, 'A', 'A', 'A'};
        uint8_t out[3];
        size_t len = 0;
        const char *at = c != 0 ? strchr(ALPHABET, (int)c) : NULL;
        assert_int_equal(base64_read(out, sizeof(out), text, 4, &len), at != NULL);
        if (at != NULL) {
            assert_int_equal(out[0] >> 2, at - ALPHABET);
        }
    }
}

static void bytes_have_one_spelling(void **state)
{
    (void)state;
    static const char *const WRONG[] = {
        "",     "=",    "====",     "A===",  "QR==",  "QUF=", "QQ=", "QQ",
        "Q=Q=", "=QQQ", "QQ==QQ==", "QQ== ", " QQ==", "Q Q=", "QQ=A"};
    uint8_t out[16];
    size_t len;
    for (size_t i = 0; i < sizeof(WRONG) / sizeof(WRONG[0]); i++) {
        assert_false(
            base64_read(out, sizeof(out), (const uint8_t *)WRONG[i], strlen(WRONG[i]), &len));
    }
}

static void leaves_nothing_of_what_it_refuses(void **state)
{
    (void)state;
    uint8_t out[6] = {0};
    static const uint8_t zero[6];
    size_t len;
    assert_false(base64_read(out, sizeof(out), (const uint8_t *)"QUFBQUF!", 8, &len));
    assert_memory_equal(out, zero, sizeof(out));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(writes_what_openssl_writes_and_reads_it_back),
        cmocka_unit_test(each_character_has_one_meaning_and_others_none),
        cmocka_unit_test(bytes_have_one_spelling),
        cmocka_unit_test(leaves_nothing_of_what_it_refuses),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
