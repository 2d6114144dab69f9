/* tests/unit/crypto/keyring_test.c · SPDX-License-Identifier: Apache-2.0 */
#include "crypto/keyring.h"

#include <openssl/evp.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

/* 16, 24 and 32 bytes. */
#define K16 "Y3qgfuHq8j3HOW0NpngWgA=="
#define K24 "BRI6p07en3iccGMAC+bIJSE9rSK8cLOF"
#define K32 "Z/PRmPCMiNOQND8U0ar/ckgnNfneNE6wShDY1YN+EKQ="

static struct bytes bytes_of(const char *text)
{
    return (struct bytes){(const uint8_t *)text, strlen(text)};
}

static struct keyring *ring_of(const char *text)
{
    struct crypto_error error = {{0}};
    struct keyring *ring = keyring_parse(bytes_of(text), &error);
    assert_string_equal(error.text, "");
    assert_non_null(ring);
    return ring;
}

static void assert_text(const struct keyring *ring, const char *expected)
{
    struct secret text;
    assert_true(keyring_write(ring, &text));
    assert_int_equal(secret_len(&text), strlen(expected));
    assert_memory_equal(secret_bytes(&text), expected, strlen(expected));
    secret_fini(&text);
}

/* ---- reading ---- */

static void reads_lines_json_and_a_single_key(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        size_t count;
        const char *written;
    } CASES[] = {
        {K16, 1, K16 "\n"},
        {K32 "\n", 1, K32 "\n"},
        {"  \t" K24 " \r\n", 1, K24 "\n"},
        {K32 "\r\n" K16 "\r\n", 2, K32 "\n" K16 "\n"},
        {"\n\n" K32 "\n\n" K16, 2, K32 "\n" K16 "\n"},
        {"# top\n  # two\n" K32 "\n#third\n" K16 "\n# end", 2,
         "# top\n# two\n" K32 "\n#third\n" K16 "\n# end\n"},
        {"[\"" K16 "\"]", 1, "[\n  \"" K16 "\"\n]\n"},
        {" \n[\r\n\t\"" K16 "\" ,\"" K32 "\"\n]\n ", 2, "[\n  \"" K16 "\",\n  \"" K32 "\"\n]\n"},
    };
    for (size_t i = 0; i < sizeof(CASES) / sizeof(CASES[0]); i++) {
        struct keyring *ring = ring_of(CASES[i].text);
        assert_int_equal(keyring_count(ring), CASES[i].count);
        assert_text(ring, CASES[i].written);
        keyring_free(ring);
        ring = ring_of(CASES[i].written);
        assert_text(ring, CASES[i].written);
        keyring_free(ring);
    }
}

static void refuses_with_line_and_expectation_and_no_byte_of_the_text(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        const char *told;
    } CASES[] = {
        {"", "line 1: there is no key"},
        {"# only this\n", "line 1: there is no key"},
        {"[]", "line 1: there is no key"},
        {K16 "\nQQ==\n", "line 2: 4 characters that are no key"},
        {"#\n\n" K16 "\n" K32 "x", "line 4: 45 characters"},
        {"Y3qgfuHq8j3HOW0NpngWgA", "line 1: 22 characters"},   /* without padding */
        {"Y3qgfuHq8j3HOW0NpngWgB==", "line 1: 24 characters"}, /* bits behind the end */
        {"Y3qgfuHq8j3HOW0NpngWg===", "line 1: 24 characters"}, /* too much padding */
        {"Y3qg=uHq8j3HOW0NpngWgA==", "line 1: 24 characters"}, /* padding inside */
        {"Z_PRmPCMiNOQND8U0ar_ckgnNfneNE6wShDY1YN-EKQ=", "line 1: 44 characters"}, /* URL's */
        {K16 " " K32, "line 1: 69 characters"},
        {"Y3qgfuHq8j3H\rW0NpngWgA==", "line 1: 24 characters"},
        {"\xef\xbb\xbf" K16, "line 1: 27 characters"},
        {K16 "\n" K32 "\n" K16 "\n", "line 3: the key of line 1 again"},
        {"[\n\"" K16 "\",\n\"" K16 "\"]", "line 3: the key of line 2 again"},
        {"[\"" K16 "\",]", "line 1: this is no JSON array"},
        {"[\"" K16 "\" \"" K32 "\"]", "line 1: this is no JSON array"},
        {"[,\"" K16 "\"]", "line 1: this is no JSON array"},
        {"[\"" K16 "\"", "line 1: this is no JSON array"},
        {"[\"" K16 "\"]\n]", "line 2: something behind the ]"},
        {"[\"" K16 "\"] # comment", "line 1: something behind the ]"},
        {"[\"" K16 "\\n\"]", "line 1: a backslash"},
        {"[\"Z\\/PRmPCMiNOQND8U0ar\\/ckgnNfneNE6wShDY1YN+EKQ=\"]", "line 1: a backslash"},
        {"[\"" K16 "\n\"]", "line 1: a key without its end"},
        {"[\"" K16, "line 1: a key without its end"},
        {"[\" " K16 "\"]", "line 1: 25 characters"},
        {"[\n12]", "line 2: this is no JSON array"},
        {"[[\"" K16 "\"]]", "line 1: this is no JSON array"},
        {"{\"a\":1}", "line 1: 7 characters"},
    };
    for (size_t i = 0; i < sizeof(CASES) / sizeof(CASES[0]); i++) {
        struct crypto_error error = {{0}};
        assert_null(keyring_parse(bytes_of(CASES[i].text), &error));
        assert_ptr_equal(strstr(error.text, CASES[i].told), error.text);
        assert_non_null(strstr(error.text, "; expected "));
        assert_null(strstr(error.text, "Y3qg"));
        assert_null(strstr(error.text, "PRmP"));
    }
}

static void a_nul_is_no_end_of_the_text(void **state)
{
    (void)state;
    static const char lines[] = K16 "\n\0";
    static const char json[] = "[\"" K16 "\"]\0";
    static const char inside[] = "[\0]";
    assert_null(keyring_parse((struct bytes){(const uint8_t *)lines, sizeof(lines) - 1}, NULL));
    assert_null(keyring_parse((struct bytes){(const uint8_t *)json, sizeof(json) - 1}, NULL));
    assert_null(keyring_parse((struct bytes){(const uint8_t *)inside, sizeof(inside) - 1}, NULL));
}

/* A text with `count` different keys. */
static void put_keys(char *text, size_t size, size_t count)
{
    text[0] = '\0';
    for (size_t i = 0; i < count; i++) {
        size_t len = strlen(text);
        (void)snprintf(text + len, size - len, "AAAAAAAAAAAAAAAAAAAA%c%c==\n", (char)('A' + i),
                       'A');
    }
}

static void takes_sixteen_keys_and_no_more(void **state)
{
    (void)state;
    char text[1024];
    struct crypto_error error = {{0}};
    put_keys(text, sizeof(text), KEYRING_KEYS_MAX);
    struct keyring *ring = ring_of(text);
    assert_int_equal(keyring_count(ring), 16);
    assert_int_equal(keyring_add(ring, bytes_of("0123456789abcdef")), KEYRING_FULL);
    assert_text(ring, text);
    keyring_free(ring);
    put_keys(text, sizeof(text), KEYRING_KEYS_MAX + 1);
    assert_null(keyring_parse(bytes_of(text), &error));
    assert_string_equal(error.text, "line 17: one key too many; expected at most 16");
}

static void a_text_that_could_not_be_read_again_is_never_made(void **state)
{
    (void)state;
    char text[KEYRING_TEXT_BYTES_MAX + 2];
    struct crypto_error error = {{0}};
    memset(text, '#', sizeof(text));
    memcpy(text, K16 "\n", strlen(K16) + 1);
    text[KEYRING_TEXT_BYTES_MAX - 1] = '\n';
    text[KEYRING_TEXT_BYTES_MAX] = '\0';
    struct keyring *ring = ring_of(text);
    assert_int_equal(keyring_add(ring, bytes_of("0123456789abcdef")), KEYRING_FULL);
    assert_int_equal(keyring_count(ring), 1);
    keyring_free(ring);
    text[KEYRING_TEXT_BYTES_MAX - 1] = '#'; /* its end of line would make it too long */
    assert_null(keyring_parse(bytes_of(text), &error));
    assert_string_equal(error.text, "line 1: this is too long; expected at most 4096 bytes");
    text[KEYRING_TEXT_BYTES_MAX] = '\n';
    text[KEYRING_TEXT_BYTES_MAX + 1] = '\0';
    assert_null(keyring_parse(bytes_of(text), &error));
}

/* ---- changing ---- */

static void the_primary_changes_by_use_and_cannot_be_removed(void **state)
{
    (void)state;
    struct keyring *ring = ring_of("# top\n" K16 "\n# of 24\n" K24 "\n# of 32\n" K32 "\n# end\n");
    assert_int_equal(keyring_use(ring, 0), KEYRING_UNCHANGED);
    assert_int_equal(keyring_use(ring, 3), KEYRING_UNKNOWN);
    assert_int_equal(keyring_remove(ring, 0), KEYRING_IS_PRIMARY);
    assert_int_equal(keyring_remove(ring, 3), KEYRING_UNKNOWN);
    assert_int_equal(keyring_use(ring, 2), KEYRING_CHANGED);
    assert_text(ring, "# top\n# of 32\n" K32 "\n" K16 "\n# of 24\n" K24 "\n# end\n");
    assert_int_equal(keyring_remove(ring, 1), KEYRING_CHANGED);
    assert_text(ring, "# top\n# of 32\n" K32 "\n# of 24\n" K24 "\n# end\n");
    assert_int_equal(keyring_remove(ring, 1), KEYRING_CHANGED);
    assert_int_equal(keyring_remove(ring, 0), KEYRING_IS_PRIMARY);
    assert_text(ring, "# top\n# of 32\n" K32 "\n# end\n");
    keyring_free(ring);
}

static void adding_appends_once_and_keeps_the_form(void **state)
{
    (void)state;
    struct secret key;
    struct keyring *ring = ring_of("[\"" K32 "\"]");
    assert_true(keyring_key_from_text(&key, bytes_of("\n " K16 " \r\n")));
    struct bytes raw = {secret_bytes(&key), secret_len(&key)};
    assert_int_equal(keyring_add(ring, raw), KEYRING_CHANGED);
    assert_int_equal(keyring_add(ring, raw), KEYRING_UNCHANGED);
    assert_int_equal(keyring_add(ring, (struct bytes){raw.at, 15}), KEYRING_FAILED);
    assert_int_equal(keyring_count(ring), 2);
    assert_int_equal(keyring_key_bits(ring, 0), 256);
    assert_int_equal(keyring_key_bits(ring, 1), 128);
    assert_memory_equal(keyring_key(ring, 1).at, raw.at, raw.len);
    assert_text(ring, "[\n  \"" K32 "\",\n  \"" K16 "\"\n]\n");
    secret_fini(&key);
    keyring_free(ring);
}

/* A key is no other key's beginning: 16 bytes of a key of 32 are another key. */
static void a_shorter_key_is_another_key(void **state)
{
    (void)state;
    struct keyring *ring = ring_of(K32);
    uint8_t half[16];
    memcpy(half, keyring_key(ring, 0).at, sizeof(half));
    assert_int_equal(keyring_add(ring, (struct bytes){half, sizeof(half)}), KEYRING_CHANGED);
    keyring_free(ring);
}

static void one_key_of_text_is_one_key(void **state)
{
    (void)state;
    struct secret key;
    static const char *const WRONG[] = {
        "", " ", "QQ==", K16 "\n" K32, "[\"" K16 "\"]", "0123456789abcdef"};
    for (size_t i = 0; i < sizeof(WRONG) / sizeof(WRONG[0]); i++) {
        assert_false(keyring_key_from_text(&key, bytes_of(WRONG[i])));
        assert_int_equal(secret_len(&key), 0);
    }
}

/* ---- ids ---- */

/* sha256 of "sallyport keyring", NUL and the key, computed apart with Python's hashlib. */
static void ids_are_those_of_the_documented_hash(void **state)
{
    (void)state;
    char id[KEYRING_ID_BYTES];
    struct keyring *ring = ring_of(K16 "\n" K32);
    keyring_id(ring, 0, id);
    assert_string_equal(id, "59754884cb05c362");
    keyring_id(ring, 1, id);
    assert_string_equal(id, "21c2ab7402dc4df7");
    keyring_free(ring);
}

static void finds_by_a_beginning_that_only_one_has(void **state)
{
    (void)state;
    /* Two keys whose ids begin with the same four digits. */
    struct keyring *ring = ring_of("AAAAAAAAAAAAAAAAAAAAmg==\n" K16 "\nAAAAAAAAAAAAAAAAAAAA/A==\n");
    char id[KEYRING_ID_BYTES];
    keyring_id(ring, 0, id);
    assert_int_equal(keyring_find(ring, id), 0);
    id[5] = '\0';
    assert_int_equal(keyring_find(ring, id), 0);
    id[4] = '\0';
    assert_int_equal(keyring_find(ring, id), 3);
    keyring_id(ring, 1, id);
    id[4] = '\0';
    assert_int_equal(keyring_find(ring, id), 1);
    for (size_t i = 0; i < 4; i++) {
        id[i] = (char)(id[i] >= 'a' ? id[i] - 'a' + 'A' : id[i]);
    }
    assert_int_equal(keyring_find(ring, id), 1);
    id[3] = '\0';
    assert_int_equal(keyring_find(ring, id), 3);
    assert_int_equal(keyring_find(ring, ""), 3);
    assert_int_equal(keyring_find(ring, "0123456789abcdef0"), 3);
    keyring_free(ring);
}

static void new_keys_have_the_size_asked_for_and_differ(void **state)
{
    (void)state;
    static const unsigned BITS[] = {128, 192, 256};
    for (size_t i = 0; i < 3; i++) {
        struct keyring *one = keyring_new_random(BITS[i]);
        struct keyring *other = keyring_new_random(BITS[i]);
        assert_int_equal(keyring_count(one), 1);
        assert_int_equal(keyring_key_bits(one, 0), BITS[i]);
        assert_memory_not_equal(keyring_key(one, 0).at, keyring_key(other, 0).at, BITS[i] / 8);
        keyring_free(one);
        keyring_free(other);
    }
    assert_null(keyring_new_random(0));
    assert_null(keyring_new_random(64));
    assert_null(keyring_new_random(255));
    assert_null(keyring_new_random(512));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reads_lines_json_and_a_single_key),
        cmocka_unit_test(refuses_with_line_and_expectation_and_no_byte_of_the_text),
        cmocka_unit_test(a_nul_is_no_end_of_the_text),
        cmocka_unit_test(takes_sixteen_keys_and_no_more),
        cmocka_unit_test(a_text_that_could_not_be_read_again_is_never_made),
        cmocka_unit_test(the_primary_changes_by_use_and_cannot_be_removed),
        cmocka_unit_test(adding_appends_once_and_keeps_the_form),
        cmocka_unit_test(a_shorter_key_is_another_key),
        cmocka_unit_test(one_key_of_text_is_one_key),
        cmocka_unit_test(ids_are_those_of_the_documented_hash),
        cmocka_unit_test(finds_by_a_beginning_that_only_one_has),
        cmocka_unit_test(new_keys_have_the_size_asked_for_and_differ),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
