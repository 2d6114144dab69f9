/* tests/unit/proxy/gossip/lzw_test.c · SPDX-License-Identifier: Apache-2.0 */
#include "proxy/gossip/lzw.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>
#include <openssl/evp.h>

#include "support/vectors.h"

enum { LIMIT = 1 << 20 };

static enum status unpacked_length(slice packed, size_t limit, size_t *len)
{
    char *unpacked = NULL;
    enum status status = lzw_unpack(packed, limit, &unpacked, len);
    assert_int_equal(status == STATUS_OK, unpacked != NULL);
    free(unpacked);
    return status;
}

static void unpacks_what_the_real_writer_packs(void **state)
{
    (void)state;
    json_t *vectors = vectors_load("tests/vectors/lzw.json");
    size_t index;
    json_t *vector;
    json_array_foreach(vectors, index, vector)
    {
        slice packed = vectors_bytes(vector, "packed");
        slice sum = vectors_bytes(vector, "sha256");
        uint8_t digest[32];
        char *unpacked = NULL;
        size_t len = 0;
        assert_int_equal(lzw_unpack(packed, LIMIT, &unpacked, &len), STATUS_OK);
        assert_int_equal(len, json_integer_value(json_object_get(vector, "len")));
        assert_int_equal(EVP_Q_digest(NULL, "SHA256", NULL, unpacked, len, digest, NULL), 1);
        assert_memory_equal(digest, sum.at, sizeof(digest));
        free(unpacked);
        free((void *)(uintptr_t)packed.at);
        free((void *)(uintptr_t)sum.at);
    }
    assert_int_equal(index, json_array_size(vectors));
    assert_true(index >= 25);
    json_decref(vectors);
}

static void refuses_what_is_cut_short_or_has_more_behind(void **state)
{
    (void)state;
    json_t *vectors = vectors_load("tests/vectors/lzw.json");
    size_t index;
    json_t *vector;
    json_array_foreach(vectors, index, vector)
    {
        slice packed = vectors_bytes(vector, "packed");
        size_t len = 0;
        size_t step = packed.len > 1500 ? 97 : 1;
        for (size_t cut = 0; cut < packed.len; cut += step) {
            assert_int_equal(unpacked_length(slice_first(packed, cut), LIMIT, &len), STATUS_PEER);
        }
        char *more = calloc(1, packed.len + 1);
        assert_non_null(more);
        memcpy(more, packed.at, packed.len);
        assert_int_equal(unpacked_length((slice){more, packed.len + 1}, LIMIT, &len), STATUS_PEER);
        free(more);
        free((void *)(uintptr_t)packed.at);
    }
    json_decref(vectors);
}

/* A bomb: a million bytes out of some 2000. */
static void unpacks_to_the_limit_and_no_further(void **state)
{
    (void)state;
    json_t *vectors = vectors_load("tests/vectors/lzw.json");
    size_t index;
    json_t *vector;
    json_array_foreach(vectors, index, vector)
    {
        slice packed = vectors_bytes(vector, "packed");
        size_t said = (size_t)json_integer_value(json_object_get(vector, "len"));
        size_t len = 0;
        assert_int_equal(unpacked_length(packed, said, &len), STATUS_OK);
        if (said > 0) {
            assert_int_equal(unpacked_length(packed, said - 1, &len), STATUS_REFUSED);
            assert_int_equal(unpacked_length(packed, 0, &len), STATUS_REFUSED);
        }
        free((void *)(uintptr_t)packed.at);
    }
    json_decref(vectors);
}

/* Codes of 9 bits, least significant bit first, written out by hand. */
static const struct {
    const char *claim;
    slice packed;
} malformed[] = {
    {"nothing at all", SLICE("")},
    {"a code before the table has it", SLICE("\x02\x03\x02")},    /* 258, 257 */
    {"a code two ahead of the table", SLICE("\x61\x06\x06\x04")}, /* 'a', 259, 257 */
    {"no code for the end", SLICE("\x61\x00")},                   /* 'a' */
    {"the table's code after a clearing", SLICE("\x61\x00\x0a\x0c\x08")},
};

static void refuses_codes_that_stand_for_nothing(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(malformed) / sizeof(malformed[0]); i++) {
        size_t len = 0;
        if (unpacked_length(malformed[i].packed, LIMIT, &len) != STATUS_PEER) {
            fail_msg("%s", malformed[i].claim);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(unpacks_what_the_real_writer_packs),
        cmocka_unit_test(refuses_what_is_cut_short_or_has_more_behind),
        cmocka_unit_test(unpacks_to_the_limit_and_no_further),
        cmocka_unit_test(refuses_codes_that_stand_for_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
