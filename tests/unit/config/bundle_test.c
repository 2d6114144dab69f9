/* tests/unit/config/bundle_test.c · SPDX-License-Identifier: Apache-2.0 */
#include "config/bundle.h"

#include "config/check.h"

static struct bundle *sample(void)
{
    struct bundle *bundle = bundle_new();
    assert_non_null(bundle);
    assert_true(bundle_add(bundle, "/etc/sallyport/sallyport.yaml", "listeners: []\n", 14));
    assert_true(bundle_add(bundle, "empty", "", 0));
    assert_true(bundle_add(bundle, "binary", "a\0b", 3));
    return bundle;
}

static void finds_what_was_added(void **state)
{
    (void)state;
    struct bundle *bundle = sample();
    const struct bundle_entry *entry = bundle_find(bundle, "binary");
    assert_int_equal(entry->len, 3);
    assert_memory_equal(entry->bytes, "a\0b", 4);
    assert_int_equal(bundle_find(bundle, "empty")->len, 0);
    assert_null(bundle_find(bundle, "missing"));
    assert_null(bundle_at(bundle, 3));
    bundle_free(bundle);
}

static void a_name_that_is_added_again_is_replaced(void **state)
{
    (void)state;
    struct bundle *bundle = sample();
    assert_true(bundle_add(bundle, "empty", "full", 4));
    assert_int_equal(bundle_count(bundle), 3);
    assert_memory_equal(bundle_find(bundle, "empty")->bytes, "full", 5);
    uint8_t *bytes;
    size_t len;
    assert_true(bundle_serialise(bundle, &bytes, &len));
    struct bundle *again = bundle_parse(bytes, len);
    assert_non_null(again);
    bundle_free(again);
    free(bytes);
    bundle_free(bundle);
}

static void survives_the_way_to_bytes_and_back(void **state)
{
    (void)state;
    struct bundle *bundle = sample();
    uint8_t *bytes;
    size_t len;
    assert_true(bundle_serialise(bundle, &bytes, &len));
    struct bundle *again = bundle_parse(bytes, len);
    assert_non_null(again);
    assert_int_equal(bundle_count(again), bundle_count(bundle));
    for (size_t i = 0; i < bundle_count(bundle); i++) {
        const struct bundle_entry *a = bundle_at(bundle, i);
        const struct bundle_entry *b = bundle_at(again, i);
        assert_string_equal(a->name, b->name);
        assert_int_equal(a->len, b->len);
        assert_memory_equal(a->bytes, b->bytes, a->len + 1);
    }
    bundle_free(again);
    free(bytes);
    bundle_free(bundle);
}

static void refuses_every_cut(void **state)
{
    (void)state;
    struct bundle *bundle = sample();
    uint8_t *bytes;
    size_t len;
    assert_true(bundle_serialise(bundle, &bytes, &len));
    for (size_t cut = 0; cut < len; cut++) {
        /* A copy of exactly this size, so that a read past the end is seen. */
        uint8_t *part = malloc(cut + 1);
        assert_non_null(part);
        memcpy(part, bytes, cut);
        part = realloc(part, cut == 0 ? 1 : cut);
        assert_null(bundle_parse(part, cut));
        free(part);
    }
    free(bytes);
    bundle_free(bundle);
}

static void refuses_malformed_bytes(void **state)
{
    static const struct {
        const char *claim;
        const char *bytes;
        size_t len;
    } ROWS[] = {
        {"other magic", "SPBUNDLX\0\0\0\1\0\0\0\0", 16},
        {"other version", "SPBUNDLE\0\0\0\2\0\0\0\0", 16},
        {"trailing byte", "SPBUNDLE\0\0\0\1\0\0\0\0x", 17},
        {"count beyond the limit", "SPBUNDLE\0\0\0\1\0\0\x10\1", 16},
        {"count beyond the entries", "SPBUNDLE\0\0\0\1\0\0\0\1", 16},
        {"empty name", "SPBUNDLE\0\0\0\1\0\0\0\1\0\0\0\0\0\0\0\0", 24},
        {"name with NUL", "SPBUNDLE\0\0\0\1\0\0\0\1\0\0\0\2\0\0\0\0a\0", 26},
        {"name too long", "SPBUNDLE\0\0\0\1\0\0\0\1\0\0\x10\1\0\0\0\0a", 25},
        {"length that wraps",
         "SPBUNDLE\0\0\0\1\0\0\0\1\0\0\0\1\xff\xff\xff\xff"
         "a",
         25},
        {"name twice", "SPBUNDLE\0\0\0\1\0\0\0\2\0\0\0\1\0\0\0\0a\0\0\0\1\0\0\0\0a", 34},
    };
    (void)state;
    for (size_t i = 0; i < COUNT(ROWS); i++) {
        assert_null(bundle_parse((const uint8_t *)ROWS[i].bytes, ROWS[i].len));
    }
    struct bundle *empty = bundle_parse((const uint8_t *)"SPBUNDLE\0\0\0\1\0\0\0\0", 16);
    assert_non_null(empty);
    assert_int_equal(bundle_count(empty), 0);
    bundle_free(empty);
}

static void refuses_what_exceeds_its_limits(void **state)
{
    (void)state;
    struct bundle *bundle = bundle_new();
    char *name = malloc(BUNDLE_NAME_BYTES_MAX + 2);
    assert_non_null(name);
    memset(name, 'n', BUNDLE_NAME_BYTES_MAX + 1);
    name[BUNDLE_NAME_BYTES_MAX + 1] = '\0';
    assert_false(bundle_add(bundle, name, "", 0));
    assert_false(bundle_add(bundle, "", "", 0));
    assert_false(bundle_add(bundle, "huge", "", BUNDLE_BYTES_MAX));
    assert_int_equal(bundle_count(bundle), 0);
    free(name);
    bundle_free(bundle);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(finds_what_was_added),
        cmocka_unit_test(a_name_that_is_added_again_is_replaced),
        cmocka_unit_test(survives_the_way_to_bytes_and_back),
        cmocka_unit_test(refuses_every_cut),
        cmocka_unit_test(refuses_malformed_bytes),
        cmocka_unit_test(refuses_what_exceeds_its_limits),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
